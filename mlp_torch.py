# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "requests", "torch"]
# ///
"""A 784-100-10 network in PyTorch: a module, an optimizer, a schedule, and autograd, which records ordinary Python."""
from time import perf_counter

import numpy as np
import torch
from torch import nn, optim

import mnist

EPOCHS, BATCH_SIZE, LEARNING_RATE = 20, 100, 1.0
DEVICE = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


# Weights
def init_weights(layer):
    if isinstance(layer, nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # He initialization
        nn.init.zeros_(layer.bias)


# Model
def build_model():
    return nn.Sequential(
        nn.Linear(784, 100), nn.ReLU(),  # (batch, 784) -> (batch, 100)
        nn.Linear(100, 10),              # (batch, 100) -> (batch, 10)
    ).apply(init_weights).to(DEVICE)


@torch.inference_mode()
def accuracy(x, y, model):
    logits = model.eval()(torch.from_numpy(x).to(DEVICE))
    return (logits.argmax(dim=1).cpu().numpy() == y).mean()


# Step
def step(x, y, model, optimizer, schedule):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()


# Training
def train(epochs=EPOCHS, seed=0):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    (x_train, y_train), valid, test = mnist.load_data()
    model = build_model()
    optimizer = optim.SGD(model.parameters(), lr=LEARNING_RATE)
    steps = epochs * (len(x_train) // BATCH_SIZE)
    # A factor on LEARNING_RATE at step i: it rises to 1 over the first fifth of the steps, then falls to zero
    schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda i: float(np.interp(i, [0, steps / 5, steps], [0, 1, 0])))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        # Shuffled, in whole batches
        x, y = (torch.from_numpy(a).to(DEVICE) for a in mnist.epoch(x_train, y_train, rng, BATCH_SIZE))
        model.train()
        for i in range(0, len(x), BATCH_SIZE):
            step(x[i:i + BATCH_SIZE], y[i:i + BATCH_SIZE], model, optimizer, schedule)
        print(f"epoch {epoch:2}  validation accuracy {accuracy(*valid, model):.2%}  {perf_counter() - start:.2f} s")
    test_accuracy = float(accuracy(*test, model))
    print(f"test accuracy {test_accuracy:.2%}")
    return model, test_accuracy


if __name__ == "__main__":
    train()
