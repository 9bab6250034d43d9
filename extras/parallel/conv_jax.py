# /// script
# requires-python = ">=3.11"
# dependencies = ["jax", "numpy", "requests", "tqdm"]
# ///
"""conv_jax.py on several devices: each takes its share of a batch. Run python -m extras.parallel.conv_jax"""
import os
import socket
import sys
from time import perf_counter

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")  # they need threads, or wait for each other for ever
os.environ["NPROC"] = str(max(os.cpu_count(), 2 * int(os.environ["JAX_NUM_CPU_DEVICES"])))
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.multihost_utils import sync_global_devices
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tqdm import tqdm

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 5, 64, 0.2
if "JAX_COORDINATOR_ADDRESS" in os.environ:  # several machines
    try:  # JAX would crash on a port that is in use
        if os.environ["JAX_PROCESS_ID"] == "0":
            socket.create_server(("", int(os.environ["JAX_COORDINATOR_ADDRESS"].split(":")[-1]))).close()
    except OSError as error:
        sys.exit(f"The first process cannot listen on the port of JAX_COORDINATOR_ADDRESS: {error}. Choose another.")
    jax.distributed.initialize(num_processes=int(os.environ["JAX_NUM_PROCESSES"]),
                               process_id=int(os.environ["JAX_PROCESS_ID"]), initialization_timeout=60)
MESH = Mesh(jax.devices(), "data")
if jax.default_backend() == "cpu" and jax.local_device_count() != int(os.environ["JAX_NUM_CPU_DEVICES"]):
    sys.exit("JAX had started before JAX_NUM_CPU_DEVICES was set. Restart the notebook or Python, and run this first.")


# Weights
def init_weights(key):
    he_normal = jax.nn.initializers.he_normal()
    keys = jax.random.split(key, 4)
    return [he_normal(keys[0], (5, 5, 1, 8)), jnp.zeros(8), he_normal(keys[1], (5, 5, 8, 16)), jnp.zeros(16),
            he_normal(keys[2], (1600, 100)), jnp.zeros(100), he_normal(keys[3], (100, 10)), jnp.zeros(10)]


# Model
def conv(x, w):
    return jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))


@jax.jit
def forward(x, weights):
    w1, b1, w2, b2, w3, b3, w4, b4 = weights
    conv1 = jax.nn.relu(conv(x, w1) + b1)                          # (batch, 28, 28, 1) -> (batch, 24, 24, 8)
    conv2 = conv(conv1, w2) + b2                                   # -> (batch, 20, 20, 16)
    # The largest of each 2x2 square, which reshape gives two axes of its own, 2 and 4
    pooled = conv2.reshape(-1, 10, 2, 10, 2, 16).max(axis=(2, 4))  # -> (batch, 10, 10, 16)
    flat = jax.nn.relu(pooled).reshape(-1, 1600)                   # -> (batch, 1600)
    hidden = jax.nn.relu(flat @ w3 + b3)                           # -> (batch, 100)
    return hidden @ w4 + b4                                        # -> (batch, 10)


def accuracy(x, y, weights):
    # 250 at a time, to save memory
    logits = np.concatenate([forward(x[i:i + 250], weights) for i in range(0, len(x), 250)])
    return (logits.argmax(axis=1) == y).mean()


# Step
def loss(weights, x, y):  # weights first: grad differentiates by the first argument
    log_softmax = jax.nn.log_softmax(forward(x, weights))
    return -log_softmax[jnp.arange(len(y)), y].mean()


@jax.jit
def step(weights, x, y, rate):
    gradients = jax.grad(loss)(weights, x, y)
    return [w - rate * d_w for w, d_w in zip(weights, gradients)]


# Training
def split(batch):  # each device gets its share; of several machines, each hands out those of its own devices
    return jax.make_array_from_callback(batch.shape, NamedSharding(MESH, PartitionSpec("data")), batch.__getitem__)


def train(epochs=EPOCHS, seed=0):
    if BATCH_SIZE % MESH.size:
        sys.exit(f"A batch of {BATCH_SIZE} cannot be split evenly among {MESH.size} devices.")
    if jax.process_index() > 0:
        sys.stdout = open(os.devnull, "w")
        sync_global_devices("data")  # process 0 has downloaded them
    rng = np.random.default_rng(seed)
    (x_train, y_train), valid, test = mnist.load_data(reshape=(28, 28, 1))
    if jax.process_index() == 0:
        sync_global_devices("data")
    weights = jax.device_put(init_weights(jax.random.key(seed)), NamedSharding(MESH, PartitionSpec()))
    steps = epochs * (len(x_train) // BATCH_SIZE)
    # The learning rate rises over the first fifth of the steps, then falls to zero
    rates = iter(np.interp(np.arange(steps), [0, steps / 5, steps], [0, LEARNING_RATE, 0]).astype(np.float32))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng, BATCH_SIZE)  # shuffled, in whole batches
        for i in tqdm(range(0, len(x), BATCH_SIZE), leave=False, disable=None):  # a bar in a terminal
            weights = step(weights, split(x[i:i + BATCH_SIZE]), split(y[i:i + BATCH_SIZE]), next(rates))
        print(f"epoch {epoch}  validation accuracy {accuracy(*valid, weights):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, weights))
    print(f"test accuracy {test_accuracy:.2%}")
    return weights, test_accuracy


if __name__ == "__main__":
    try:
        train()
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        print(f"Training cannot go on, as when another process has ended: {error}", file=sys.stderr)
        sys.stdout.flush()
        os._exit(1)  # without waiting for the other processes
