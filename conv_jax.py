# /// script
# requires-python = ">=3.11"
# dependencies = ["jax", "numpy", "requests", "tqdm"]
# ///
"""A small ConvNet in JAX: pure functions, transformed by grad and jit."""
from time import perf_counter

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 5, 64, 0.2


# Weights
def init_weights(key):
    he_normal = jax.nn.initializers.he_normal()
    keys = jax.random.split(key, 4)
    return [he_normal(keys[0], (5, 5, 1, 8)), jnp.zeros(8), he_normal(keys[1], (5, 5, 8, 16)), jnp.zeros(16),
            he_normal(keys[2], (1600, 100)), jnp.zeros(100), he_normal(keys[3], (100, 10)), jnp.zeros(10)]


# Model
def conv(x, w):
    return jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def forward(x, weights):
    w1, b1, w2, b2, w3, b3, w4, b4 = weights
    conv1 = jax.nn.relu(conv(x, w1) + b1)                          # (batch, 28, 28, 1) -> (batch, 24, 24, 8)
    conv2 = conv(conv1, w2) + b2                                   # -> (batch, 20, 20, 16)
    pooled = conv2.reshape(-1, 10, 2, 10, 2, 16).max(axis=(2, 4))  # -> (batch, 10, 10, 16)
    flat = jax.nn.relu(pooled).reshape(-1, 1600)                   # -> (batch, 1600)
    hidden = jax.nn.relu(flat @ w3 + b3)                           # -> (batch, 100)
    return hidden @ w4 + b4                                        # -> (batch, 10)


@jax.jit
def accuracy(x, y, weights):
    return (forward(x, weights).argmax(axis=1) == y).mean()


# Step
def loss(weights, x, y):  # weights first: grad differentiates by the first argument
    log_softmax = jax.nn.log_softmax(forward(x, weights))
    return -log_softmax[jnp.arange(len(y)), y].mean()


@jax.jit
def step(weights, x, y, rate):
    gradients = jax.grad(loss)(weights, x, y)
    return [w - rate * d_w for w, d_w in zip(weights, gradients)]


# Training
def train(epochs=EPOCHS, seed=0):
    rng = np.random.default_rng(seed)
    (x_train, y_train), valid, test = mnist.load_data(reshape=(28, 28, 1))
    weights = init_weights(jax.random.key(seed))
    done = np.linspace(0, 1, epochs * (len(x_train) // BATCH_SIZE), endpoint=False).reshape(epochs, -1)
    rates = np.interp(done, [0, 0.2, 1], [0, LEARNING_RATE, 0]).astype(np.float32)  # by epoch and step
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng)
        for rate, i in zip(tqdm(rates[epoch - 1], leave=False, disable=None), range(0, len(x), BATCH_SIZE)):
            weights = step(weights, x[i:i + BATCH_SIZE], y[i:i + BATCH_SIZE], rate)
        print(f"epoch {epoch}  validation accuracy {accuracy(*valid, weights):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, weights))
    print(f"test accuracy {test_accuracy:.2%}")
    return test_accuracy


if __name__ == "__main__":
    train()
