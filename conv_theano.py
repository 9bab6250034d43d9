# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "pytensor", "requests", "tqdm"]
# ///
"""A small ConvNet in Theano, or PyTensor, its continuation: a graph of symbols, compiled into two functions."""
import sys
from time import perf_counter

import numpy as np
from tqdm import tqdm

try:
    import theano
except ImportError:
    import pytensor as theano

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 15, 32, 0.2
T = theano.tensor


# Weights
def init_weights(rng):
    shapes = (8, 5 * 5 * 1), (16, 5 * 5 * 8), (100, 10 * 10 * 16), (10, 100)
    arrays = [a for n, m in shapes for a in (rng.normal(0, np.sqrt(2 / m), (n, m)), np.zeros(n))]
    return [theano.shared(array.astype(np.float32)) for array in arrays]


# Model
def patches(x, channels, size):  # the batch is the last axis, so that to take patches is to take rows
    pixels = np.arange(channels * size * size).reshape(channels, size, size)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (5, 5), axis=(1, 2)).transpose(0, 3, 4, 1, 2)
    return x.reshape((pixels.size, -1))[windows.ravel()].reshape((channels * 5 * 5, -1))


def pool(x):  # not T.max: its gradient goes to all pixels that are equal, that of T.maximum to the first
    rows = np.arange(16 * 20 * 20).reshape(16, 20, 20)
    a, b, c, d = (x.reshape((rows.size, -1))[rows[:, i::2, j::2].ravel()] for i in (0, 1) for j in (0, 1))
    return T.maximum(T.maximum(a, b), T.maximum(c, d))


def forward(x, weights):
    w1, b1, w2, b2, w3, b3, w4, b4 = weights
    # The 0 comes first in T.maximum, so that the gradient at 0 is 0, as in the other libraries.
    conv1 = T.maximum(0, T.dot(w1, patches(x.T, 1, 28)) + b1[:, None])    # (784, batch) -> (8, 24 * 24 * batch)
    conv2 = T.maximum(0, T.dot(w2, patches(conv1, 8, 24)) + b2[:, None])  # -> (16, 20 * 20 * batch)
    hidden = T.maximum(0, T.dot(w3, pool(conv2)) + b3[:, None])           # -> (1600, batch) -> (100, batch)
    return T.dot(hidden.T, w4.T) + b4                                     # -> (batch, 10)


# Step
def compile_functions(weights):
    x, y, rate = T.fmatrix("x"), T.lvector("y"), T.fscalar("rate")
    logits = forward(x, weights)
    shifted = logits - logits.max(axis=1, keepdims=True)  # keeps exp from overflowing
    loss = (T.log(T.exp(shifted).sum(axis=1)) - shifted[T.arange(y.shape[0]), y]).mean()
    updates = [(w, w - rate * d_w) for w, d_w in zip(weights, T.grad(loss, weights))]
    return theano.function([x, y, rate], loss, updates=updates), theano.function([x], logits.argmax(axis=1))


def accuracy(x, y, predict):
    return (np.concatenate([predict(x[i:i + 500]) for i in range(0, len(x), 500)]) == y).mean()


# Training
def train(epochs=EPOCHS, seed=0):
    rng = np.random.default_rng(seed)
    (x_train, y_train), valid, test = mnist.load_data()
    step, predict = compile_functions(init_weights(rng))
    steps = len(x_train) // BATCH_SIZE
    rates = iter(np.linspace(LEARNING_RATE, 0, epochs * steps, endpoint=False, dtype=np.float32))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng, shift=2)
        for i in tqdm(range(0, steps * BATCH_SIZE, BATCH_SIZE), file=sys.stdout, leave=False, disable=None):
            step(x[i:i + BATCH_SIZE], y[i:i + BATCH_SIZE], next(rates))
        print(f"epoch {epoch:2}  validation accuracy {accuracy(*valid, predict):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, predict))
    print(f"test accuracy {test_accuracy:.2%}")
    return test_accuracy


if __name__ == "__main__":
    train()
