# /// script
# requires-python = ">=3.10,<3.12"
# dependencies = ["keras-mxnet==2.2.4.3", "mxnet==1.9.1", "numpy==1.23.5", "requests"]
# ///
"""A small ConvNet in Keras 2 on MXNet: layers, compile and fit; a Module below them."""
import collections.abc
import os
import sys
import warnings
from time import perf_counter

import numpy as np

collections.Iterable = collections.abc.Iterable  # where Keras 2 looks for it; it moved in Python 3.10
os.environ["KERAS_BACKEND"] = "mxnet"
import keras
import mxnet as mx
from keras import layers

import mnist

warnings.filterwarnings("ignore", module="mxnet")  # at every epoch, of the age of its calls to SciPy

EPOCHS, BATCH_SIZE, LEARNING_RATE = 5, 64, 0.2
DEVICES = [mx.cpu()]  # or [mx.cpu(0), mx.cpu(1)], [mx.gpu(0), mx.gpu(1)]: each takes its share of a batch


# Weights
def he_normal(rng):  # Without a seed of its own each layer, in every run, would begin with the same numbers.
    return keras.initializers.he_normal(int(rng.integers(1, 2**31)))


# Model
def build_model(rng):
    return keras.Sequential([
        layers.Conv2D(8, 5, activation="relu", kernel_initializer=he_normal(rng),
                      input_shape=(28, 28, 1)),                                   # -> (batch, 24, 24, 8)
        layers.Conv2D(16, 5, kernel_initializer=he_normal(rng)),                  # -> (batch, 20, 20, 16)
        layers.MaxPooling2D(), layers.ReLU(),                                     # -> (batch, 10, 10, 16)
        layers.Flatten(),                                                         # -> (batch, 1600)
        layers.Dense(100, activation="relu", kernel_initializer=he_normal(rng)),  # -> (batch, 100)
        layers.Dense(10, kernel_initializer=he_normal(rng))])                     # -> (batch, 10)


def accuracy(x, y, model):
    return model.evaluate(x, y, batch_size=BATCH_SIZE, verbose=0)[1]


# Step
def cross_entropy(y, logits):
    return keras.backend.sparse_categorical_crossentropy(y, logits, from_logits=True)


def compile_model(model):
    # Each device computes the mean over its share, and the sum of these is what the optimizer gets.
    optimizer = keras.optimizers.SGD(rescale_grad=1 / len(DEVICES))
    model.compile(optimizer, cross_entropy, metrics=["sparse_categorical_accuracy"], context=[*map(str, DEVICES)])


# Training
def train(epochs=EPOCHS, seed=0):
    gpus = mx.context.num_gpus()
    if not DEVICES or BATCH_SIZE % len(DEVICES) or any(d.device_type == "gpu" and d.device_id >= gpus for d in DEVICES):
        sys.exit(f"DEVICES is {DEVICES}. List as many as divide a batch of {BATCH_SIZE}; MXNet finds {gpus} GPUs.")
    rng = np.random.default_rng(seed)
    (x_train, y_train), valid, test = mnist.load_data(reshape=(28, 28, 1))
    model = build_model(rng)
    compile_model(model)
    steps = len(x_train) // BATCH_SIZE
    rates = iter(np.interp(np.linspace(0, 1, epochs * steps, endpoint=False), [0, 0.2, 1], [0, LEARNING_RATE, 0]))
    schedule = keras.callbacks.LambdaCallback(
        on_batch_begin=lambda batch, logs: keras.backend.set_value(model.optimizer.lr, next(rates)))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng)
        x, y = x[:steps * BATCH_SIZE], y[:steps * BATCH_SIZE]
        model.fit(x, y, BATCH_SIZE, verbose=int(sys.stdout.isatty()), callbacks=[schedule], shuffle=False)
        print(f"epoch {epoch}  validation accuracy {accuracy(*valid, model):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, model))
    print(f"test accuracy {test_accuracy:.2%}")
    return test_accuracy


if __name__ == "__main__":
    train()
