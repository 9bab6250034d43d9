# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = ["keras", "numpy", "requests", "tensorflow"]
# ///
"""A small ConvNet in Keras 3: layers, compile and fit, on the engine that KERAS_BACKEND names."""
import os
import sys
from time import perf_counter

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before the import: fewer of TensorFlow's messages on stderr
import keras
from keras import layers

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 5, 64, 0.2


# Weights
# Every layer makes its own as the model is built: the kernel by the initializer it is given, the biases as zeros.


# Model
def build_model():
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(8, 5, activation="relu", kernel_initializer="he_normal"),  # -> (batch, 24, 24, 8)
        layers.Conv2D(16, 5, kernel_initializer="he_normal"),                    # -> (batch, 20, 20, 16)
        layers.MaxPooling2D(), layers.ReLU(),                                    # -> (batch, 10, 10, 16)
        layers.Flatten(),                                                        # -> (batch, 1600)
        layers.Dense(100, "relu", kernel_initializer="he_normal"),               # -> (batch, 100)
        layers.Dense(10, kernel_initializer="he_normal")])                       # -> (batch, 10)


def accuracy(x, y, model):
    return model.evaluate(x, y, batch_size=1000, verbose=0, return_dict=True)["accuracy"]


# Step
def compile_model(model, rates):
    optimizer = keras.optimizers.SGD(lambda: keras.ops.take(rates, optimizer.iterations))
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"])


# Training
def train(epochs=EPOCHS, seed=0):
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    (x_train, y_train), valid, test = mnist.load_data(reshape=(28, 28, 1))
    model = build_model()
    steps = len(x_train) // BATCH_SIZE
    rates = np.interp(np.linspace(0, 1, epochs * steps, endpoint=False), [0, 0.2, 1], [0, LEARNING_RATE, 0])
    compile_model(model, rates.astype(np.float32))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng)
        x, y = x[:steps * BATCH_SIZE], y[:steps * BATCH_SIZE]
        model.fit(x, y, BATCH_SIZE, shuffle=False, verbose=int(sys.stdout.isatty()))  # mnist.epoch has shuffled them
        print(f"epoch {epoch}  validation accuracy {accuracy(*valid, model):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = accuracy(*test, model)
    print(f"test accuracy {test_accuracy:.2%}")
    return test_accuracy


if __name__ == "__main__":
    train()
