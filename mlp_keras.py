# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = ["keras", "numpy", "requests", "tensorflow"]
# ///
"""A 784-100-10 network in Keras 3: layers, compile and fit, on the engine that KERAS_BACKEND names."""
import os
from time import perf_counter

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before the import: fewer of TensorFlow's messages on stderr
import keras
from keras import layers

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 20, 100, 1.0


# Weights
# Every layer makes its own as the model is built: the kernel by the initializer it is given, the biases as zeros.


# Model
def build_model():
    return keras.Sequential([
        keras.Input((784,)),
        layers.Dense(100, "relu", kernel_initializer="he_normal"),  # (batch, 784) -> (batch, 100)
        layers.Dense(10, kernel_initializer="he_normal")])          # (batch, 100) -> (batch, 10)


def accuracy(x, y, model):
    return model.evaluate(x, y, batch_size=1000, verbose=0, return_dict=True)["accuracy"]


# Step
def compile_model(model, rates):
    optimizer = keras.optimizers.SGD(lambda: keras.ops.take(rates, optimizer.iterations))
    # Fifty steps in one call of what the engine has compiled; PyTorch runs as it is, a step a call.
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"], steps_per_execution=1 if keras.backend.backend() == "torch" else 50)


# Training
def train(epochs=EPOCHS, seed=0):
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    (x_train, y_train), valid, test = mnist.load_data()
    model = build_model()
    steps = len(x_train) // BATCH_SIZE
    rates = np.interp(np.linspace(0, 1, epochs * steps, endpoint=False), [0, 0.2, 1], [0, LEARNING_RATE, 0])
    compile_model(model, rates.astype(np.float32))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng)
        x, y = x[:steps * BATCH_SIZE], y[:steps * BATCH_SIZE]
        model.fit(x, y, BATCH_SIZE, shuffle=False, verbose=0)  # mnist.epoch has shuffled them
        print(f"epoch {epoch:2}  validation accuracy {accuracy(*valid, model):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = accuracy(*test, model)
    print(f"test accuracy {test_accuracy:.2%}")
    return test_accuracy


if __name__ == "__main__":
    train()
