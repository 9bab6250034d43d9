# /// script
# requires-python = ">=3.10,<3.12"
# dependencies = ["horovod==0.28.1", "mxnet==1.9.1", "numpy==1.23.5", "requests", "tqdm"]
# ///
"""conv_gluon.py on several processes, which Horovod starts: horovodrun -np 2 python -m extras.retired.conv_horovod"""
import os
import sys
from time import perf_counter

import horovod.mxnet as hvd
import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, init, nd
from mxnet.gluon import nn
from tqdm import tqdm

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 5, 64, 0.2
hvd.init()
DEVICE = mx.gpu(hvd.local_rank()) if mx.context.num_gpus() else mx.cpu()


# Weights
he_normal = init.MSRAPrelu("in", slope=0)  # of weights; the biases of a layer begin as zeros


# Model
def build_model():
    model = nn.HybridSequential()
    model.add(
        nn.Conv2D(8, 5, activation="relu", in_channels=1),  # (batch, 1, 28, 28) -> (batch, 8, 24, 24)
        nn.Conv2D(16, 5, in_channels=8),                    # -> (batch, 16, 20, 20)
        nn.MaxPool2D(), nn.Activation("relu"),              # -> (batch, 16, 10, 10)
        nn.Dense(100, "relu", in_units=1600),               # flattens -> (batch, 100)
        nn.Dense(10, in_units=100))                         # -> (batch, 10)
    model.initialize(he_normal, DEVICE)
    model.hybridize(static_alloc=True, static_shape=True)  # the first call records a graph, the others run it
    return model


def accuracy(x, y, model):
    logits = nd.concat(*(model(nd.array(x[i:i + 500], DEVICE)) for i in range(0, len(x), 500)), dim=0)
    return (logits.argmax(axis=1).asnumpy() == y).mean()


# Step
cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()  # of each image


def step(x, y, model, trainer):
    with autograd.record():  # also tells the layers that this is training
        losses = cross_entropy(model(x), y)
    losses.backward()
    trainer.step(len(x))  # the mean over the share of this process; Horovod takes the mean of these


# Training
def train(epochs=EPOCHS, seed=0):
    if BATCH_SIZE % hvd.size():
        sys.exit(f"{hvd.size()} processes cannot share a batch of {BATCH_SIZE} evenly. Start as many as divide it.")
    if hvd.rank() > 0:
        sys.stdout = open(os.devnull, "w")  # only the first process prints
    rng = np.random.default_rng(seed)
    mx.random.seed(seed)
    (x_train, y_train), valid, test = mnist.load_data(reshape=(1, 28, 28))
    model = build_model()
    steps = len(x_train) // BATCH_SIZE
    trainer = hvd.DistributedTrainer(model.collect_params(), "sgd", {"learning_rate": LEARNING_RATE})
    hvd.broadcast_parameters(model.collect_params())
    share = BATCH_SIZE // hvd.size()
    rates = iter(np.interp(np.linspace(0, 1, epochs * steps, endpoint=False), [0, 0.2, 1], [0, LEARNING_RATE, 0]))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = (nd.array(a, DEVICE) for a in mnist.epoch(x_train, y_train, rng))
        for i in tqdm(range(hvd.rank() * share, steps * BATCH_SIZE, BATCH_SIZE), leave=False, disable=None):
            trainer.set_learning_rate(next(rates))
            step(x[i:i + share], y[i:i + share], model, trainer)
        print(f"epoch {epoch}  validation accuracy {accuracy(*valid, model):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, model))
    print(f"test accuracy {test_accuracy:.2%}")
    return test_accuracy


if __name__ == "__main__":
    train()
