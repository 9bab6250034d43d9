# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "pytensor", "requests"]
# ///
"""A 784-100-10 network in Theano, or PyTensor, its continuation: a graph of symbols, compiled into two functions."""
from time import perf_counter

import numpy as np

try:
    import theano
except ImportError:
    import pytensor as theano

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 100, 50, 0.5
T = theano.tensor


# Weights
def he_normal(rng, *shape):
    return rng.normal(0, np.sqrt(2 / shape[0]), shape)


def init_weights(rng):
    arrays = he_normal(rng, 784, 100), np.zeros(100), he_normal(rng, 100, 10), np.zeros(10)
    return [theano.shared(array.astype(np.float32)) for array in arrays]


# Model
def forward(x, weights):
    w1, b1, w2, b2 = weights
    hidden = T.maximum(0, T.dot(x, w1) + b1)  # (batch, 784) -> (batch, 100)
    return T.dot(hidden, w2) + b2             # (batch, 100) -> (batch, 10)


# Step
def compile_functions(weights):
    x, y, rate = T.fmatrix("x"), T.lvector("y"), T.fscalar("rate")
    logits = forward(x, weights)
    shifted = logits - logits.max(axis=1, keepdims=True)  # keeps exp from overflowing
    loss = (T.log(T.exp(shifted).sum(axis=1)) - shifted[T.arange(y.shape[0]), y]).mean()
    updates = [(w, w - rate * d_w) for w, d_w in zip(weights, T.grad(loss, weights))]
    return theano.function([x, y, rate], loss, updates=updates), theano.function([x], logits.argmax(axis=1))


def accuracy(x, y, predict):
    return (predict(x) == y).mean()


# Training
def train(epochs=EPOCHS, seed=0):
    rng = np.random.default_rng(seed)
    (x_train, y_train), valid, test = mnist.load_data()
    step, predict = compile_functions(init_weights(rng))
    steps = len(x_train) // BATCH_SIZE
    rates = iter(np.linspace(LEARNING_RATE, 0, epochs * steps, endpoint=False, dtype=np.float32))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng)
        for i in range(0, steps * BATCH_SIZE, BATCH_SIZE):
            step(x[i:i + BATCH_SIZE], y[i:i + BATCH_SIZE], next(rates))
        print(f"epoch {epoch:3}  validation accuracy {accuracy(*valid, predict):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, predict))
    print(f"test accuracy {test_accuracy:.2%}")
    return test_accuracy


if __name__ == "__main__":
    train()
