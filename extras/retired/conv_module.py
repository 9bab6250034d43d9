# /// script
# requires-python = ">=3.10,<3.12"
# dependencies = ["mxnet==1.9.1", "numpy==1.23.5", "requests", "tqdm"]
# ///
"""A small ConvNet in MXNet's first style: symbols joined to a graph, and a Module that binds it to devices."""
import sys
from time import perf_counter

import mxnet as mx
import numpy as np
from mxnet import init, io, mod, sym
from tqdm import tqdm

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 5, 64, 0.2
DEVICES = [mx.cpu()]  # or [mx.cpu(0), mx.cpu(1)], [mx.gpu(0), mx.gpu(1)]: each takes its share of a batch


# Weights
he_normal = init.MSRAPrelu("in", slope=0)  # of weights; what is named a bias begins as zeros


# Model
def relu(x):
    return sym.Activation(x, act_type="relu")


def build_model():
    x = sym.var("data")                                              # (batch, 1, 28, 28)
    conv1 = relu(sym.Convolution(x, num_filter=8, kernel=(5, 5)))    # -> (batch, 8, 24, 24)
    conv2 = sym.Convolution(conv1, num_filter=16, kernel=(5, 5))     # -> (batch, 16, 20, 20)
    pooled = relu(sym.Pooling(conv2, kernel=(2, 2), stride=(2, 2)))  # -> (batch, 16, 10, 10)
    hidden = relu(sym.FullyConnected(pooled, num_hidden=100))        # flattens -> (batch, 100)
    logits = sym.FullyConnected(hidden, num_hidden=10)               # -> (batch, 10)
    model = mod.Module(sym.SoftmaxOutput(logits, name="softmax"), context=DEVICES)
    model.bind([("data", (BATCH_SIZE, 1, 28, 28))], [("softmax_label", (BATCH_SIZE,))])  # the label of "softmax"
    model.init_params(he_normal)
    return model


def accuracy(x, y, model):
    probabilities = model.predict(io.NDArrayIter(x, batch_size=BATCH_SIZE))
    return (probabilities.asnumpy().argmax(axis=1) == y).mean()


# Step
def step(x, y, model):
    # The gradient of SoftmaxOutput is that of the cross-entropy, though the cross-entropy itself is computed nowhere.
    model.forward_backward(io.DataBatch([x], [y]))
    model.update()  # by the gradients of all images, on all devices, added up and divided by BATCH_SIZE


# Training
def train(epochs=EPOCHS, seed=0):
    gpus = mx.context.num_gpus()
    if not DEVICES or BATCH_SIZE % len(DEVICES) or any(d.device_type == "gpu" and d.device_id >= gpus for d in DEVICES):
        sys.exit(f"DEVICES is {DEVICES}. List as many as divide a batch of {BATCH_SIZE}; MXNet finds {gpus} GPUs.")
    rng = np.random.default_rng(seed)
    mx.random.seed(seed)
    (x_train, y_train), valid, test = mnist.load_data(reshape=(1, 28, 28))
    model = build_model()
    steps = len(x_train) // BATCH_SIZE
    rates = np.interp(np.linspace(0, 1, epochs * steps, endpoint=False), [0, 0.2, 1], [0, LEARNING_RATE, 0])
    model.init_optimizer(optimizer="sgd", optimizer_params={"lr_scheduler": lambda i: rates[i - 1]})  # i is 1 first
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        x, y = (mx.nd.array(a) for a in mnist.epoch(x_train, y_train, rng))
        for i in tqdm(range(0, steps * BATCH_SIZE, BATCH_SIZE), leave=False, disable=None):
            step(x[i:i + BATCH_SIZE], y[i:i + BATCH_SIZE], model)
        mx.nd.waitall()  # The steps are only queued; predict would turn training off for those that still wait.
        print(f"epoch {epoch}  validation accuracy {accuracy(*valid, model):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, model))
    print(f"test accuracy {test_accuracy:.2%}")
    return test_accuracy


if __name__ == "__main__":
    train()
