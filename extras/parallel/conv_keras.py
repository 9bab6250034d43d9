# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = ["jax", "keras", "numpy", "requests"]
# ///
"""conv_keras.py on several devices, to which Keras on JAX splits every batch: python -m extras.parallel.conv_keras"""
import os
import socket
import sys
from time import perf_counter

import numpy as np

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")  # they need threads, or wait for each other for ever
os.environ["NPROC"] = str(max(os.cpu_count(), 2 * int(os.environ["JAX_NUM_CPU_DEVICES"])))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before the import: TensorFlow prints fewer messages
import keras
import jax
from jax.experimental.multihost_utils import sync_global_devices
from keras import distribution, layers

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 5, 64, 0.2
if addresses := os.environ.get("KERAS_DISTRIBUTION_JOB_ADDRESSES"):  # several machines
    try:  # JAX would crash on a port that is in use
        if os.environ["KERAS_DISTRIBUTION_PROCESS_ID"] == "0":
            socket.create_server(("", int(addresses.split(",")[0].split(":")[-1]))).close()
    except OSError as error:
        sys.exit(f"The first process cannot listen on its port: {error}. Choose another.")
    distribution.initialize()
if jax.default_backend() == "cpu" and jax.local_device_count() != int(os.environ["JAX_NUM_CPU_DEVICES"]):
    sys.exit("JAX had started before JAX_NUM_CPU_DEVICES was set. Restart the notebook or Python, and run this first.")
distribution.set_distribution(distribution.DataParallel(auto_shard_dataset=False))


# Weights
# Keras creates the weights together with the layers below, with the initializer named there and biases of zero.


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
    rank, size = jax.process_index(), jax.process_count()
    if BATCH_SIZE % jax.device_count():
        sys.exit(f"A batch of {BATCH_SIZE} cannot be split evenly among {jax.device_count()} devices.")
    if rank > 0:
        sys.stdout = open(os.devnull, "w")
        sync_global_devices("data")  # process 0 has downloaded them
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    (x_train, y_train), valid, test = mnist.load_data(reshape=(28, 28, 1))
    if rank == 0:
        sync_global_devices("data")
    model = build_model()
    compile_model(model, epochs * (len(x_train) // BATCH_SIZE))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng, BATCH_SIZE)  # shuffled, in whole batches
        own = np.arange(len(x)).reshape(-1, size, BATCH_SIZE // size)[:, rank].ravel()  # of every batch
        x, y, share = x[own], y[own], BATCH_SIZE // size
        # One epoch per call; the optimizer goes on counting its steps
        model.fit(x, y, share, shuffle=False, verbose=int(sys.stdout.isatty()))
        print(f"epoch {epoch}  validation accuracy {accuracy(*valid, model):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = accuracy(*test, model)
    print(f"test accuracy {test_accuracy:.2%}")
    return model, test_accuracy


if __name__ == "__main__":
    try:
        train()
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        print(f"Training cannot go on, as when another process has ended: {error}", file=sys.stderr)
        sys.stdout.flush()
        os._exit(1)  # without waiting for the other processes
