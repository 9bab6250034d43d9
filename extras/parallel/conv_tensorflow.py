# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = ["numpy", "requests", "tensorflow", "tqdm"]
# ///
"""conv_tensorflow.py on several devices: a replica on each takes its share of every batch, a strategy joins them:
python -m extras.parallel.conv_tensorflow"""
import os
import sys
from time import perf_counter

import numpy as np
from tqdm import tqdm

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before the import: TensorFlow prints fewer messages
import tensorflow as tf

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 5, 64, 0.2
if "TF_CONFIG" in os.environ:  # several machines
    try:
        STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, ValueError) as error:
        sys.exit(f"{error}. Is TF_CONFIG right? Or is the port in use that it names for this machine?")
else:
    cpu, cpus = tf.config.list_physical_devices("CPU")[0], int(os.environ.get("CPU_DEVICES", 2))
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * cpus)
    except RuntimeError as error:
        sys.exit(f"{error}. Restart the notebook or Python, and run this first.")
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    STRATEGY = tf.distribute.MirroredStrategy([device.name for device in devices])
RESOLVER = tf.distribute.cluster_resolver.TFConfigClusterResolver()  # if there is a chief, it is the first
RANK = (RESOLVER.task_id or 0) + (RESOLVER.task_type == "worker" and "chief" in RESOLVER.cluster_spec().jobs)


# Weights
def he_normal(*shape):  # He initialization: variance 2 / inputs
    return tf.Variable(tf.random.normal(shape, stddev=np.sqrt(2 / np.prod(shape[:-1]))))


def init_weights():
    return [he_normal(5, 5, 1, 8), tf.Variable(tf.zeros(8)), he_normal(5, 5, 8, 16), tf.Variable(tf.zeros(16)),
            he_normal(1600, 100), tf.Variable(tf.zeros(100)), he_normal(100, 10), tf.Variable(tf.zeros(10))]


# Model
def forward(x, weights):
    w1, b1, w2, b2, w3, b3, w4, b4 = weights
    conv1 = tf.nn.relu(tf.nn.conv2d(x, w1, 1, "VALID") + b1)       # (batch, 28, 28, 1) -> (batch, 24, 24, 8)
    conv2 = tf.nn.conv2d(conv1, w2, 1, "VALID") + b2               # -> (batch, 20, 20, 16)
    pooled = tf.nn.relu(tf.nn.max_pool2d(conv2, 2, 2, "VALID"))    # -> (batch, 10, 10, 16)
    hidden = tf.nn.relu(tf.reshape(pooled, (-1, 1600)) @ w3 + b3)  # -> (batch, 100)
    return hidden @ w4 + b4                                        # -> (batch, 10)


def accuracy(x, y, weights):
    # 250 at a time, to save memory
    logits = np.concatenate([forward(x[i:i + 250], weights) for i in range(0, len(x), 250)])
    return (logits.argmax(axis=1) == y).mean()


# Step
def step(x, y, weights, rate):
    replica = tf.distribute.get_replica_context()
    share = BATCH_SIZE // replica.num_replicas_in_sync
    x, y = (a[replica.replica_id_in_sync_group * share:][:share] for a in (x, y))
    with tf.GradientTape() as tape:
        logits = forward(x, weights)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
    for w, d_w in zip(weights, replica.all_reduce("mean", tape.gradient(loss, weights))):
        w.assign_sub(rate * d_w)


# Training
def train(epochs=EPOCHS, seed=0):
    if BATCH_SIZE % STRATEGY.num_replicas_in_sync:
        sys.exit(f"A batch of {BATCH_SIZE} cannot be split evenly among {STRATEGY.num_replicas_in_sync} devices.")
    if RANK > 0:
        sys.stdout = open(os.devnull, "w")
    rng = np.random.default_rng(seed)
    tf.random.set_seed(seed)
    if RANK == 0:
        mnist.load_data()  # downloads what is missing; the others wait for the weights
    with STRATEGY.scope():
        weights = init_weights()
    (x_train, y_train), valid, test = mnist.load_data(reshape=(28, 28, 1))
    steps = epochs * (len(x_train) // BATCH_SIZE)
    # The learning rate rises over the first fifth of the steps, then falls to zero
    rates = iter(np.interp(np.arange(steps), [0, steps / 5, steps], [0, LEARNING_RATE, 0]).astype(np.float32))
    everywhere = tf.function(lambda *batch: STRATEGY.run(step, batch))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = mnist.epoch(x_train, y_train, rng, BATCH_SIZE)  # shuffled, in whole batches
        for i in tqdm(range(0, len(x), BATCH_SIZE), leave=False, disable=None):  # a bar in a terminal
            everywhere(x[i:i + BATCH_SIZE], y[i:i + BATCH_SIZE], weights, next(rates))
        print(f"epoch {epoch}  validation accuracy {accuracy(*valid, weights):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, weights))
    print(f"test accuracy {test_accuracy:.2%}")
    return weights, test_accuracy


if __name__ == "__main__":
    try:
        train()
    except tf.errors.OpError as error:
        sys.exit(f"Training cannot go on, as when another process has ended: {error.message.splitlines()[-1]}")
