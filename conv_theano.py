# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "pytensor", "requests", "tqdm"]
# ///
"""A small ConvNet in Theano, or PyTensor, its continuation: a graph of symbols, compiled into two functions."""
from time import perf_counter

import numpy as np
from tqdm import tqdm

try:
    from theano import function, shared, tensor as T
except ImportError:
    from pytensor import function, shared, tensor as T

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 5, 64, 0.2


# Weights
def he_normal(rng, *shape):  # He initialization: variance 2 / inputs
    return shared(rng.normal(0, np.sqrt(2 / shape[1]), shape).astype(np.float32))


def init_weights(rng):
    return [he_normal(rng, 8, 5 * 5 * 1), shared(np.zeros(8, np.float32)),
            he_normal(rng, 16, 5 * 5 * 8), shared(np.zeros(16, np.float32)),
            he_normal(rng, 100, 10 * 10 * 16), shared(np.zeros(100, np.float32)),
            he_normal(rng, 10, 100), shared(np.zeros(10, np.float32))]


# Model
def patches(x, channels, size):  # by hand: Theano had conv2d and pool_2d, PyTensor has not
    # The batch is the last axis, so that to take patches is to take rows.
    pixels = np.arange(channels * size * size).reshape(channels, size, size)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (5, 5), axis=(1, 2)).transpose(0, 3, 4, 1, 2)
    return x.reshape((pixels.size, -1))[windows.ravel()].reshape((channels * 5 * 5, -1))


def pool(x):  # not T.max: its gradient goes to all pixels that are equal, that of T.maximum to the first
    x = T.maximum(*(x.reshape((16 * 20 * 10, 2, -1))[:, i] for i in (0, 1)))  # two columns to one, then two rows
    return T.maximum(*(x.reshape((16 * 10, 2, -1))[:, i] for i in (0, 1))).reshape((16 * 10 * 10, -1))


def forward(x, weights):
    w1, b1, w2, b2, w3, b3, w4, b4 = weights
    # The 0 comes first in T.maximum, so that the gradient at 0 is 0, as in the other libraries.
    conv1 = T.maximum(0, T.dot(w1, patches(x.T, 1, 28)) + b1[:, None])         # (784, batch) -> (8, 24 * 24 * batch)
    conv2 = T.dot(w2, patches(conv1, 8, 24)) + b2[:, None]                     # -> (16, 20 * 20 * batch)
    hidden = T.maximum(0, T.dot(w3, T.maximum(0, pool(conv2))) + b3[:, None])  # -> (1600, batch) -> (100, batch)
    return T.dot(hidden.T, w4.T) + b4                                          # -> (batch, 10)


def accuracy(x, y, predict):
    # 250 at a time, to save memory
    return (np.concatenate([predict(x[i:i + 250]) for i in range(0, len(x), 250)]) == y).mean()


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
        for i in tqdm(range(0, len(x), BATCH_SIZE), leave=False, disable=None):  # a bar in a terminal
            step(x[i:i + BATCH_SIZE], y[i:i + BATCH_SIZE], next(rates))
        print(f"epoch {epoch}  validation accuracy {accuracy(*valid, predict):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, predict))
    print(f"test accuracy {test_accuracy:.2%}")
    return weights, test_accuracy


if __name__ == "__main__":
    train()
