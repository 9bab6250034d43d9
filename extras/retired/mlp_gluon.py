# /// script
# requires-python = ">=3.10,<3.12"
# dependencies = ["mxnet==1.9.1", "numpy==1.23.5", "requests"]
# ///
"""A 784-100-10 network in Gluon, MXNet's later style: blocks, a Trainer, and autograd that records ordinary Python."""
import sys
from time import perf_counter

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, init, nd
from mxnet.gluon import nn

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 20, 100, 1.0
DEVICES = [mx.cpu()]  # or [mx.cpu(0), mx.cpu(1)], [mx.gpu(0), mx.gpu(1)]: each takes its share of a batch


# Weights
he_normal = init.MSRAPrelu("in", slope=0)  # of weights; the biases of a layer begin as zeros


# Model
def build_model():
    model = nn.HybridSequential()
    model.add(
        nn.Dense(100, "relu", in_units=784),  # (batch, 784) -> (batch, 100)
        nn.Dense(10, in_units=100))           # (batch, 100) -> (batch, 10)
    model.initialize(he_normal, DEVICES)
    return model


def accuracy(x, y, model):
    logits = model(nd.array(x, DEVICES[0]))
    return (logits.argmax(axis=1).asnumpy() == y).mean()


# Step
cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()  # of each image


def step(x, y, model, trainer):
    shares = zip(gluon.utils.split_and_load(x, DEVICES), gluon.utils.split_and_load(y, DEVICES))
    with autograd.record():  # also tells the layers that this is training
        losses = [cross_entropy(model(x), y) for x, y in shares]
    autograd.backward(losses)
    trainer.step(BATCH_SIZE)  # by the gradients of all images, on all devices, added up and divided by BATCH_SIZE


# Training
def train(epochs=EPOCHS, seed=0):
    gpus = mx.context.num_gpus()
    if not DEVICES or BATCH_SIZE % len(DEVICES) or any(d.device_type == "gpu" and d.device_id >= gpus for d in DEVICES):
        sys.exit(f"DEVICES is {DEVICES}. List as many as divide a batch of {BATCH_SIZE}; MXNet finds {gpus} GPUs.")
    rng = np.random.default_rng(seed)
    mx.random.seed(seed)
    (x_train, y_train), valid, test = mnist.load_data()
    model = build_model()
    steps = len(x_train) // BATCH_SIZE
    trainer = gluon.Trainer(model.collect_params(), "sgd", {"learning_rate": LEARNING_RATE})
    rates = iter(np.interp(np.linspace(0, 1, epochs * steps, endpoint=False), [0, 0.2, 1], [0, LEARNING_RATE, 0]))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = (nd.array(a) for a in mnist.epoch(x_train, y_train, rng))
        for i in range(0, steps * BATCH_SIZE, BATCH_SIZE):
            trainer.set_learning_rate(next(rates))
            step(x[i:i + BATCH_SIZE], y[i:i + BATCH_SIZE], model, trainer)
        print(f"epoch {epoch:2}  validation accuracy {accuracy(*valid, model):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, model))
    print(f"test accuracy {test_accuracy:.2%}")
    return test_accuracy


if __name__ == "__main__":
    train()
