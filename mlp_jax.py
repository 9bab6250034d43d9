# /// script
# requires-python = ">=3.11"
# dependencies = ["jax", "numpy", "requests"]
# ///
"""A 784-100-10 network in JAX: pure functions, transformed by grad and jit."""
from time import perf_counter

import jax
import jax.numpy as jnp
import numpy as np

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 20, 100, 1.0


# Weights
def init_weights(key):
    he_normal = jax.nn.initializers.he_normal()
    key1, key2 = jax.random.split(key)
    return [he_normal(key1, (784, 100)), jnp.zeros(100), he_normal(key2, (100, 10)), jnp.zeros(10)]


# Model
@jax.jit
def forward(x, weights):
    w1, b1, w2, b2 = weights
    hidden = jax.nn.relu(x @ w1 + b1)  # (batch, 784) -> (batch, 100)
    return hidden @ w2 + b2            # (batch, 100) -> (batch, 10)


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
    (x_train, y_train), valid, test = mnist.load_data()
    weights = init_weights(jax.random.key(seed))
    steps = epochs * (len(x_train) // BATCH_SIZE)
    # The learning rate rises over the first fifth of the steps, then falls to zero
    rates = iter(np.interp(np.arange(steps), [0, steps / 5, steps], [0, LEARNING_RATE, 0]).astype(np.float32))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng, BATCH_SIZE)  # shuffled, in whole batches
        for i in range(0, len(x), BATCH_SIZE):
            weights = step(weights, x[i:i + BATCH_SIZE], y[i:i + BATCH_SIZE], next(rates))
        print(f"epoch {epoch:2}  validation accuracy {accuracy(*valid, weights):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, weights))
    print(f"test accuracy {test_accuracy:.2%}")
    return weights, test_accuracy


if __name__ == "__main__":
    train()
