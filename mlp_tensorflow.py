# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "requests", "tensorflow"]
# ///
"""A 784-100-10 network in TensorFlow 2: variables, a GradientTape, and one tf.function for a whole epoch."""
import os
from time import perf_counter

import numpy as np

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}  # no greetings on stderr
import tensorflow as tf

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 100, 50, 0.5


# Weights
def he_normal(*shape):
    return tf.Variable(tf.random.normal(shape, stddev=np.sqrt(2 / shape[0])))


def init_weights():
    return [he_normal(784, 100), tf.Variable(tf.zeros(100)), he_normal(100, 10), tf.Variable(tf.zeros(10))]


# Model
def forward(x, weights):
    w1, b1, w2, b2 = weights
    hidden = tf.nn.relu(x @ w1 + b1)  # (batch, 784) -> (batch, 100)
    return hidden @ w2 + b2           # (batch, 100) -> (batch, 10)


def accuracy(x, y, weights):
    return tf.reduce_mean(tf.cast(tf.argmax(forward(x, weights), axis=1) == y, tf.float32))


# Step
def step(x, y, weights, rate):
    with tf.GradientTape() as tape:
        logits = forward(x, weights)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
    for w, d_w in zip(weights, tape.gradient(loss, weights)):
        w.assign_sub(rate * d_w)


@tf.function(jit_compile=True)
def train_epoch(x, y, weights, rates):
    x, y = tf.reshape(x, (-1, BATCH_SIZE, 784)), tf.reshape(y, (-1, BATCH_SIZE))
    for i in tf.range(len(rates)):
        step(x[i], y[i], weights, rates[i])


# Training
def train(epochs=EPOCHS, seed=0):
    rng = np.random.default_rng(seed)
    tf.random.set_seed(seed)
    (x_train, y_train), valid, test = mnist.load_data()
    weights = init_weights()
    steps = len(x_train) // BATCH_SIZE
    rates = np.linspace(LEARNING_RATE, 0, epochs * steps, endpoint=False, dtype=np.float32).reshape(epochs, steps)
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng)
        train_epoch(x[:steps * BATCH_SIZE], y[:steps * BATCH_SIZE], weights, rates[epoch - 1])
        print(f"epoch {epoch:3}  validation accuracy {accuracy(*valid, weights):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, weights))
    print(f"test accuracy {test_accuracy:.2%}")
    return test_accuracy


if __name__ == "__main__":
    train()
