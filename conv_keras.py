# /// script
# requires-python = ">=3.11"
# dependencies = ["keras", "numpy", "requests", "tensorflow"]
# ///
"""A small ConvNet in Keras 3: layers, compile and fit, on the engine that KERAS_BACKEND names."""
import os
import sys
from time import perf_counter

import numpy as np

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1"}  # oneDNN's convolutions take half the time
stderr = os.dup(2)
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # and it greets on stderr, whatever the log level
try:
    import keras
finally:
    os.dup2(stderr, 2)
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # another engine loads TensorFlow only later: then without greetings
from keras import layers

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 15, 32, 0.2


# Weights
def conv(filters):
    return layers.Conv2D(filters, 5, activation="relu", kernel_initializer="he_normal")


def dense(units, activation=None):
    return layers.Dense(units, activation, kernel_initializer="he_normal")


# Model
def build_model():
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        conv(8),                # (batch, 28, 28, 1) -> (batch, 24, 24, 8)
        conv(16),               # -> (batch, 20, 20, 16)
        layers.MaxPooling2D(),  # -> (batch, 10, 10, 16)
        layers.Flatten(),       # -> (batch, 1600)
        dense(100, "relu"),     # -> (batch, 100)
        dense(10)])             # -> (batch, 10)


def accuracy(x, y, model):
    return model.evaluate(x, y, batch_size=1000, verbose=0, return_dict=True)["accuracy"]


# Step
def compile_model(model, steps, epochs):
    rate = keras.optimizers.schedules.PolynomialDecay(LEARNING_RATE, epochs * steps, end_learning_rate=0)
    model.compile(
        keras.optimizers.SGD(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"])


# Training
def train(epochs=EPOCHS, seed=0):
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    (x_train, y_train), valid, test = mnist.load_data(reshape=(28, 28, 1))
    model = build_model()
    steps = len(x_train) // BATCH_SIZE
    compile_model(model, steps, epochs)
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng, shift=2)
        x, y = x[:steps * BATCH_SIZE], y[:steps * BATCH_SIZE]
        model.fit(x, y, BATCH_SIZE, shuffle=False, verbose=int(sys.stdout.isatty()))  # mnist.epoch has shuffled them
        print(f"epoch {epoch:2}  validation accuracy {accuracy(*valid, model):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = accuracy(*test, model)
    print(f"test accuracy {test_accuracy:.2%}")
    return test_accuracy


if __name__ == "__main__":
    train()
