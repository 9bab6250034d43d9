# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = ["numpy", "requests", "tensorflow"]
# ///
"""A 784-100-10 network in TensorFlow 2: variables, a GradientTape, and one tf.function for a whole epoch."""
import os
from time import perf_counter

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before the import: TensorFlow prints fewer messages
import tensorflow as tf

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 20, 100, 1.0


# Weights
def he_normal(*shape):  # He initialization: variance 2 / inputs
    return tf.Variable(tf.random.normal(shape, stddev=np.sqrt(2 / shape[0])))


def init_weights():
    return [he_normal(784, 100), tf.Variable(tf.zeros(100)), he_normal(100, 10), tf.Variable(tf.zeros(10))]


# Model
def forward(x, weights):
    w1, b1, w2, b2 = weights
    hidden = tf.nn.relu(x @ w1 + b1)  # (batch, 784) -> (batch, 100)
    return hidden @ w2 + b2           # (batch, 100) -> (batch, 10)


def accuracy(x, y, weights):
    return (tf.argmax(forward(x, weights), axis=1).numpy() == y).mean()


# Step
def step(x, y, weights, rate):
    with tf.GradientTape() as tape:
        logits = forward(x, weights)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
    for w, d_w in zip(weights, tape.gradient(loss, weights)):
        w.assign_sub(rate * d_w)


@tf.function  # makes a graph of the whole epoch: a call from Python for each step would cost more than the step
def train_epoch(x, y, weights, rates):
    for i in tf.range(0, len(x), BATCH_SIZE):  # a loop in the graph; Python's range would copy the step 500 times
        step(x[i:i + BATCH_SIZE], y[i:i + BATCH_SIZE], weights, rates[i // BATCH_SIZE])


# Training
def train(epochs=EPOCHS, seed=0):
    rng = np.random.default_rng(seed)
    tf.random.set_seed(seed)
    (x_train, y_train), valid, test = mnist.load_data()
    weights = init_weights()
    steps = epochs * (len(x_train) // BATCH_SIZE)
    # The learning rate rises over the first fifth of the steps, then falls to zero
    rates = np.interp(np.arange(steps), [0, steps / 5, steps], [0, LEARNING_RATE, 0]).astype(np.float32)
    rates = rates.reshape(epochs, -1)
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng, BATCH_SIZE)  # shuffled, in whole batches
        train_epoch(x, y, weights, rates[epoch - 1])
        print(f"epoch {epoch:2}  validation accuracy {accuracy(*valid, weights):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, weights))
    print(f"test accuracy {test_accuracy:.2%}")
    return weights, test_accuracy


if __name__ == "__main__":
    train()
