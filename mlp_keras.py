# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = ["keras", "numpy", "requests", "tensorflow"]
# ///
"""A 784-100-10 network in Keras 3: layers, compile, fit. The environment variable KERAS_BACKEND names the backend."""
import os
from time import perf_counter

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before the import: TensorFlow prints fewer messages
import keras
from keras import layers

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 20, 100, 1.0


# Weights
# Keras creates the weights together with the layers below, with the initializer named there and biases of zero.


# Model
def build_model():
    return keras.Sequential([
        keras.Input((784,)),
        layers.Dense(100, "relu", kernel_initializer="he_normal"),  # (batch, 784) -> (batch, 100)
        layers.Dense(10, kernel_initializer="he_normal")])          # (batch, 100) -> (batch, 10)


def accuracy(x, y, model):
    return model.evaluate(x, y, batch_size=250, verbose=0, return_dict=True)["accuracy"]


# Step
@keras.saving.register_keras_serializable()  # so that keras.saving.load_model finds the class
class WarmUp(keras.optimizers.schedules.PolynomialDecay):
    # The learning rate rises over the first fifth of the steps, then falls to zero: the lower of two straight lines.
    # PolynomialDecay falls from 1.25 * LEARNING_RATE; the rise is 4 times as steep, so they cross after one fifth.
    def __call__(self, step):
        rise = 4 * self.initial_learning_rate * step / self.decay_steps
        return keras.ops.minimum(rise, super().__call__(step))


def compile_model(model, steps):
    model.compile(
        keras.optimizers.SGD(WarmUp(1.25 * LEARNING_RATE, max(steps, 1), end_learning_rate=0)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"],
        # On TensorFlow, one call from Python runs several steps, which saves time. JAX and PyTorch gain nothing by it.
        steps_per_execution=50 if keras.backend.backend() == "tensorflow" else 1)


# Training
def train(epochs=EPOCHS, seed=0):
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    (x_train, y_train), valid, test = mnist.load_data()
    model = build_model()
    compile_model(model, epochs * (len(x_train) // BATCH_SIZE))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng, BATCH_SIZE)  # shuffled, in whole batches
        # One epoch per call; the optimizer goes on counting its steps
        model.fit(x, y, BATCH_SIZE, shuffle=False, verbose=0)
        print(f"epoch {epoch:2}  validation accuracy {accuracy(*valid, model):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = accuracy(*test, model)
    print(f"test accuracy {test_accuracy:.2%}")
    return model, test_accuracy


if __name__ == "__main__":
    train()
