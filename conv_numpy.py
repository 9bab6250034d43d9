# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "requests", "tqdm"]
# ///
"""A small ConvNet in NumPy: a convolution is a product of patches and weights, the gradient is written out by hand."""
from time import perf_counter

import numpy as np
from tqdm import tqdm

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 5, 64, 0.2


# Weights
def he_normal(rng, *shape):  # He initialization: variance 2 / inputs
    return rng.normal(0, np.sqrt(2 / shape[0]), shape).astype(np.float32)


def init_weights(rng):
    return [he_normal(rng, 5 * 5 * 1, 8), np.zeros(8, np.float32),
            he_normal(rng, 5 * 5 * 8, 16), np.zeros(16, np.float32),
            he_normal(rng, 10 * 10 * 16, 100), np.zeros(100, np.float32),
            he_normal(rng, 100, 10), np.zeros(10, np.float32)]


# Model
def patches(x):  # (batch, h, w, c) -> (batch * (h - 4) * (w - 4), 5 * 5 * c), a row per patch
    windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(1, 2))  # (batch, h - 4, w - 4, c, 5, 5)
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 5 * 5 * x.shape[3])


def pool(x):  # (batch, h, w, c) -> (batch, h / 2, w / 2, c)
    return np.maximum(np.maximum(x[:, ::2, ::2], x[:, ::2, 1::2]), np.maximum(x[:, 1::2, ::2], x[:, 1::2, 1::2]))


def forward(x, weights):
    w1, b1, w2, b2, w3, b3, w4, b4 = weights
    patches1 = patches(x)  # (batch, 28, 28, 1) -> (batch * 576, 25)
    conv1 = np.maximum(patches1 @ w1 + b1, 0).reshape(-1, 24, 24, 8)
    patches2 = patches(conv1)  # -> (batch * 400, 200)
    conv2 = (patches2 @ w2 + b2).reshape(-1, 20, 20, 16)
    pooled = np.maximum(pool(conv2), 0)  # -> (batch, 10, 10, 16); ReLU after pooling has a quarter of the work
    flat = pooled.reshape(-1, 1600)
    hidden = np.maximum(flat @ w3 + b3, 0)  # -> (batch, 100)
    return hidden @ w4 + b4, (patches1, conv1, patches2, conv2, pooled, flat, hidden)  # logits: (batch, 10)


def accuracy(x, y, weights):
    # 250 at a time, to save memory
    logits = np.concatenate([forward(x[i:i + 250], weights)[0] for i in range(0, len(x), 250)])
    return (logits.argmax(axis=1) == y).mean()


# Step
def gradients(x, y, weights):  # d_logits: gradient of the loss with respect to logits; d_hidden: before its ReLU
    w1, b1, w2, b2, w3, b3, w4, b4 = weights
    logits, (patches1, conv1, patches2, conv2, pooled, flat, hidden) = forward(x, weights)
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))  # subtracting the maximum keeps exp from overflowing
    # With softmax = exp / exp.sum(axis=1, keepdims=True), the loss is -np.log(softmax[np.arange(len(y)), y]).mean().
    # Its value is not needed here, only its gradient:
    d_logits = (exp / exp.sum(axis=1, keepdims=True) - np.eye(10, dtype=np.float32)[y]) / len(x)
    d_hidden = d_logits @ w4.T * (hidden > 0)
    d_pooled = (d_hidden @ w3.T).reshape(pooled.shape) * (pooled > 0)
    d_conv2 = np.zeros_like(conv2)
    for i, j in (0, 0), (0, 1), (1, 0), (1, 1):  # the four pixels of every 2x2 square
        largest = conv2[:, i::2, j::2] == pooled     # did pooling take this pixel?
        d_conv2[:, i::2, j::2] = d_pooled * largest  # then it gets the gradient,
        d_pooled = d_pooled * ~largest               # and nothing is left for a later pixel that is as large
    d_conv2 = d_conv2.reshape(-1, 16)
    d_conv1 = np.zeros_like(conv1)
    for i, j in np.ndindex(5, 5):  # place i, j of the patch at r, c is pixel r + i, c + j, which is in up to 25 patches
        d_conv1[:, i:i + 20, j:j + 20] += (d_conv2 @ w2.reshape(5, 5, 8, 16)[i, j].T).reshape(-1, 20, 20, 8)
    d_conv1 = (d_conv1 * (conv1 > 0)).reshape(-1, 8)
    return (patches1.T @ d_conv1, d_conv1.sum(axis=0), patches2.T @ d_conv2, d_conv2.sum(axis=0),
            flat.T @ d_hidden, d_hidden.sum(axis=0), hidden.T @ d_logits, d_logits.sum(axis=0))


def step(x, y, weights, rate):
    for w, d_w in zip(weights, gradients(x, y, weights)):
        w -= rate * d_w


# Training
def train(epochs=EPOCHS, seed=0):
    rng = np.random.default_rng(seed)
    (x_train, y_train), valid, test = mnist.load_data(reshape=(28, 28, 1))
    weights = init_weights(rng)
    steps = epochs * (len(x_train) // BATCH_SIZE)
    # The learning rate rises over the first fifth of the steps, then falls to zero
    rates = iter(np.interp(np.arange(steps), [0, steps / 5, steps], [0, LEARNING_RATE, 0]).astype(np.float32))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng, BATCH_SIZE)  # shuffled, in whole batches
        for i in tqdm(range(0, len(x), BATCH_SIZE), leave=False, disable=None):  # a bar in a terminal
            step(x[i:i + BATCH_SIZE], y[i:i + BATCH_SIZE], weights, next(rates))
        print(f"epoch {epoch}  validation accuracy {accuracy(*valid, weights):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, weights))
    print(f"test accuracy {test_accuracy:.2%}")
    return weights, test_accuracy


if __name__ == "__main__":
    train()
