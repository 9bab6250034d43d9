# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "pytensor", "requests"]
# ///
"""A 784-100-10 network in Theano, or PyTensor, its continuation: a graph of symbols, compiled into two functions."""
from time import perf_counter

import numpy as np

try:
    from theano import function, shared, tensor as T
except ImportError:
    from pytensor import function, shared, tensor as T

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 20, 100, 1.0


# Weights
def he_normal(rng, *shape):  # He initialization: variance 2 / inputs
    return shared(rng.normal(0, np.sqrt(2 / shape[0]), shape).astype(np.float32))


def init_weights(rng):
    return [he_normal(rng, 784, 100), shared(np.zeros(100, np.float32)),
            he_normal(rng, 100, 10), shared(np.zeros(10, np.float32))]


# Model
def forward(x, weights):
    w1, b1, w2, b2 = weights
    # The 0 comes first in T.maximum, so that the gradient at 0 is 0, as in the other libraries.
    hidden = T.maximum(0, T.dot(x, w1) + b1)  # (batch, 784) -> (batch, 100)
    return T.dot(hidden, w2) + b2             # (batch, 100) -> (batch, 10)


def accuracy(x, y, predict):
    return (predict(x) == y).mean()


# Step
def compile_functions(weights):
    x, y, rate = T.fmatrix("x"), T.lvector("y"), T.fscalar("rate")
    logits = forward(x, weights)
    shifted = logits - logits.max(axis=1, keepdims=True)  # keeps exp from overflowing
    loss = (T.log(T.exp(shifted).sum(axis=1)) - shifted[T.arange(y.shape[0]), y]).mean()
    updates = [(w, w - rate * d_w) for w, d_w in zip(weights, T.grad(loss, weights))]
    return function([x, y, rate], updates=updates), function([x], logits.argmax(axis=1))


# Training
def train(epochs=EPOCHS, seed=0):
    rng = np.random.default_rng(seed)
    (x_train, y_train), valid, test = mnist.load_data()
    weights = init_weights(rng)
    step, predict = compile_functions(weights)
    steps = epochs * (len(x_train) // BATCH_SIZE)
    # The learning rate rises over the first fifth of the steps, then falls to zero
    rates = iter(np.interp(np.arange(steps), [0, steps / 5, steps], [0, LEARNING_RATE, 0]).astype(np.float32))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng, BATCH_SIZE)  # shuffled, in whole batches
        for i in range(0, len(x), BATCH_SIZE):
            step(x[i:i + BATCH_SIZE], y[i:i + BATCH_SIZE], next(rates))
        print(f"epoch {epoch:2}  validation accuracy {accuracy(*valid, predict):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, predict))
    print(f"test accuracy {test_accuracy:.2%}")
    return weights, test_accuracy


if __name__ == "__main__":
    train()
