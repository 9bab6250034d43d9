# /// script
# requires-python = ">=3.11"
# dependencies = ["jax", "numpy", "requests"]
# ///
"""A 784-100-10 network in JAX: pure functions, transformed by grad and jit; an epoch is one compiled scan."""
from time import perf_counter

import jax
import jax.numpy as jnp
import numpy as np

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 100, 50, 0.5


# Weights
def init_weights(key):
    he_normal = jax.nn.initializers.he_normal()
    key1, key2 = jax.random.split(key)
    return [he_normal(key1, (784, 100)), jnp.zeros(100), he_normal(key2, (100, 10)), jnp.zeros(10)]


# Model
def forward(x, weights):
    w1, b1, w2, b2 = weights
    hidden = jax.nn.relu(x @ w1 + b1)  # (batch, 784) -> (batch, 100)
    return hidden @ w2 + b2            # (batch, 100) -> (batch, 10)


@jax.jit
def accuracy(x, y, weights):
    return (forward(x, weights).argmax(axis=1) == y).mean()


# Step
def loss(weights, x, y):
    log_softmax = jax.nn.log_softmax(forward(x, weights))
    return -log_softmax[jnp.arange(len(y)), y].mean()


def step(weights, batch):
    x, y, rate = batch
    gradients = jax.grad(loss)(weights, x, y)
    return [w - rate * d_w for w, d_w in zip(weights, gradients)], None


@jax.jit
def train_epoch(weights, x, y, rates):
    batches = x.reshape(len(rates), BATCH_SIZE, 784), y.reshape(len(rates), BATCH_SIZE), rates
    return jax.lax.scan(step, weights, batches)[0]


# Training
def train(epochs=EPOCHS, seed=0):
    rng = np.random.default_rng(seed)
    (x_train, y_train), valid, test = mnist.load_data()
    weights = init_weights(jax.random.key(seed))
    steps = len(x_train) // BATCH_SIZE
    rates = np.linspace(LEARNING_RATE, 0, epochs * steps, endpoint=False, dtype=np.float32).reshape(epochs, steps)
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng)
        weights = train_epoch(weights, x[:steps * BATCH_SIZE], y[:steps * BATCH_SIZE], rates[epoch - 1])
        print(f"epoch {epoch:3}  validation accuracy {accuracy(*valid, weights):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, weights))
    print(f"test accuracy {test_accuracy:.2%}")
    return test_accuracy


if __name__ == "__main__":
    train()
