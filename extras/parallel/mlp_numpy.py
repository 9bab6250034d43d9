# /// script
# requires-python = ">=3.11"
# dependencies = ["joblib", "mpi4py", "mpich", "numpy", "requests"]
# ///
"""The network of mlp_numpy.py on several processes: each takes its share of every batch, MPI adds up the gradients.

    OPENBLAS_NUM_THREADS=1 mpiexec -n 2 python -m extras.parallel.mlp_numpy
"""
import os
import sys
from time import perf_counter

import numpy as np
from joblib import cpu_count
from mpi4py import MPI
from mpi4py.run import set_abort_status

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 20, 100, 1.0
WORLD = MPI.COMM_WORLD


# Weights
def he_normal(rng, *shape):  # He initialization: variance 2 / inputs
    return rng.normal(0, np.sqrt(2 / shape[0]), shape).astype(np.float32)


def init_weights(rng):
    return [he_normal(rng, 784, 100), np.zeros(100, np.float32),
            he_normal(rng, 100, 10), np.zeros(10, np.float32)]


# Model
def forward(x, weights):
    w1, b1, w2, b2 = weights
    hidden = np.maximum(x @ w1 + b1, 0)  # (batch, 784) -> (batch, 100)
    return hidden @ w2 + b2, hidden      # logits: (batch, 100) -> (batch, 10)


def accuracy(x, y, weights):
    return (forward(x, weights)[0].argmax(axis=1) == y).mean()


# Step
def gradients(x, y, weights):  # d_logits: gradient of the loss with respect to logits; d_hidden: before its ReLU
    w1, b1, w2, b2 = weights
    logits, hidden = forward(x, weights)
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))  # subtracting the maximum keeps exp from overflowing
    # With softmax = exp / exp.sum(axis=1, keepdims=True), the loss is -np.log(softmax[np.arange(len(y)), y]).mean().
    # Its value is not needed here, only its gradient:
    d_logits = (exp / exp.sum(axis=1, keepdims=True) - np.eye(10, dtype=np.float32)[y]) / len(x)
    d_hidden = d_logits @ w2.T * (hidden > 0)
    return x.T @ d_hidden, d_hidden.sum(axis=0), hidden.T @ d_logits, d_logits.sum(axis=0)


def step(x, y, weights, rate):
    flat = np.concatenate([d_w.ravel() for d_w in gradients(x, y, weights)]) / WORLD.size
    WORLD.Allreduce(MPI.IN_PLACE, flat)  # one message for all: the sum over the processes
    for w, d_w in zip(weights, np.split(flat, np.cumsum([w.size for w in weights[:-1]]))):
        w -= rate * d_w.reshape(w.shape)


# Training
def train(epochs=EPOCHS, seed=0):
    here = WORLD.Split_type(MPI.COMM_TYPE_SHARED).size
    if WORLD.rank == 0 and (BATCH_SIZE % WORLD.size or here > cpu_count()):
        sys.exit(f"{WORLD.size} processes cannot share a batch of {BATCH_SIZE} evenly, or {here} are too many here.")
    if WORLD.rank > 0:
        sys.stdout = open(os.devnull, "w")  # only the first process prints
    rng = np.random.default_rng(seed)
    (x_train, y_train), valid, test = WORLD.bcast(mnist.load_data() if WORLD.rank == 0 else None)
    weights = init_weights(rng)
    steps = epochs * (len(x_train) // BATCH_SIZE)
    # The learning rate rises over the first fifth of the steps, then falls to zero
    rates = iter(np.interp(np.arange(steps), [0, steps / 5, steps], [0, LEARNING_RATE, 0]).astype(np.float32))
    share = BATCH_SIZE // WORLD.size
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng, BATCH_SIZE)  # shuffled, in whole batches
        for i in range(WORLD.rank * share, len(x), BATCH_SIZE):
            step(x[i:i + share], y[i:i + share], weights, next(rates))
        print(f"epoch {epoch:2}  validation accuracy {accuracy(*valid, weights):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, weights))
    print(f"test accuracy {test_accuracy:.2%}")
    return weights, test_accuracy


if __name__ == "__main__":
    try:
        train()
    except BaseException as error:
        set_abort_status(error)  # a process that fails ends them all, which would wait for it
        raise
