# /// script
# requires-python = ">=3.11"
# dependencies = ["keras", "numpy", "requests", "tensorflow"]
# ///
"""A 784-100-10 network in Keras 3: layers, compile and fit, on the engine that KERAS_BACKEND names."""
import os
from time import perf_counter

import numpy as np

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}  # TensorFlow: no greetings on stderr
import keras
from keras import layers

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 100, 50, 0.5


# Weights
def dense(units, activation=None):
    return layers.Dense(units, activation, kernel_initializer="he_normal")


# Model
def build_model():
    return keras.Sequential([
        keras.Input((784,)),
        dense(100, "relu"),  # (batch, 784) -> (batch, 100)
        dense(10)])          # (batch, 100) -> (batch, 10)


def accuracy(x, y, model):
    return model.evaluate(x, y, batch_size=1000, verbose=0, return_dict=True)["accuracy"]


# Step
def compile_model(model, steps, epochs):
    rate = keras.optimizers.schedules.PolynomialDecay(LEARNING_RATE, epochs * steps, end_learning_rate=0)
    model.compile(
        keras.optimizers.SGD(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"], steps_per_execution=1 if keras.backend.backend() == "torch" else 50)


# Training
def train(epochs=EPOCHS, seed=0):
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    (x_train, y_train), valid, test = mnist.load_data()
    model = build_model()
    steps = len(x_train) // BATCH_SIZE
    compile_model(model, steps, epochs)
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng)
        x, y = x[:steps * BATCH_SIZE], y[:steps * BATCH_SIZE]
        model.fit(x, y, BATCH_SIZE, shuffle=False, verbose=0)  # mnist.epoch has shuffled them
        print(f"epoch {epoch:3}  validation accuracy {accuracy(*valid, model):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = accuracy(*test, model)
    print(f"test accuracy {test_accuracy:.2%}")
    return test_accuracy


if __name__ == "__main__":
    train()
