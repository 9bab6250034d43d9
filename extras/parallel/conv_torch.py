# /// script
# requires-python = ">=3.11"
# dependencies = ["filelock", "joblib", "numpy", "requests", "torch", "tqdm"]
# ///
"""conv_torch.py, parallel: torchrun --standalone --nproc-per-node 2 --max-restarts 3 -m extras.parallel.conv_torch"""
import gc
import os
import sys
from time import perf_counter

import numpy as np
import torch
from joblib import cpu_count
from torch import nn, optim
from tqdm import tqdm

import mnist
from compare import checkpoint

EPOCHS, BATCH_SIZE, LEARNING_RATE = 5, 64, 0.2
DEVICE = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
CHECKPOINT = "conv_torch.checkpoint"  # what is done of a run that has not ended, in the current folder


# Weights
def init_weights(layer):
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # He initialization
        nn.init.zeros_(layer.bias)


# Model
def build_model():
    # Order in memory: channels_last is faster here; on Apple's GPUs max-pooling fails with it (PyTorch issue 175190)
    layout = torch.contiguous_format if DEVICE.type == "mps" else torch.channels_last
    return nn.Sequential(
        nn.Conv2d(1, 8, 5), nn.ReLU(),             # (batch, 1, 28, 28) -> (batch, 8, 24, 24)
        nn.Conv2d(8, 16, 5),                       # -> (batch, 16, 20, 20)
        nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(),  # -> (batch, 16, 10, 10) -> (batch, 1600)
        nn.Linear(1600, 100), nn.ReLU(),           # -> (batch, 100)
        nn.Linear(100, 10),                        # -> (batch, 10)
    ).apply(init_weights).to(DEVICE, memory_format=layout)


@torch.inference_mode()
def accuracy(x, y, model):
    # 250 at a time, to save memory
    logits = torch.cat([model.eval()(part) for part in torch.from_numpy(x).to(DEVICE).split(250)])
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
    rank, size, here, port = (int(os.getenv(n, 0)) for n in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_PORT"))
    if not size or BATCH_SIZE % size or here > (torch.accelerator.device_count() or cpu_count()):
        sys.exit(f"torchrun has to start as many processes as divide {BATCH_SIZE}, a device each; it started {size}.")
    if DEVICE.type != "cpu":
        torch.accelerator.set_device_index(int(os.environ["LOCAL_RANK"]))
    if not torch.distributed.is_initialized():
        # A store of its own, on a second port: torchrun's still has the addresses of processes that were restarted
        store = torch.distributed.TCPStore(os.environ["MASTER_ADDR"], port ^ 512, is_master=rank == 0)
        torch.distributed.init_process_group(store=store, rank=rank, world_size=size)  # gloo on CPUs, NCCL on GPUs
    sys.stdout = sys.stdout if rank == 0 else open(os.devnull, "w")
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    start = [0, mnist.load_data(reshape=(1, 28, 28)) if rank == 0 else None]
    model = build_model()
    if rank == 0:
        run = f"{checkpoint.digits(*start[1][0])}, {seed=} {epochs=} {BATCH_SIZE=} {LEARNING_RATE=}"
        start[0] = checkpoint.load_torch(CHECKPOINT, run, {"model": model})
    torch.distributed.broadcast_object_list(start)  # rank 0 alone downloads
    done, ((x_train, y_train), valid, test) = start
    model = nn.parallel.DistributedDataParallel(model)  # its backward() leaves the mean gradient of all processes
    optimizer = optim.SGD(model.parameters(), lr=LEARNING_RATE)
    steps = epochs * (len(x_train) // BATCH_SIZE)
    # A factor on LEARNING_RATE at step i: it rises to 1 over the first fifth of the steps, then falls to zero
    schedule = optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: float(np.interp(done * steps / epochs + i, [0, steps / 5, steps], [0, 1, 0])))
    for epoch in range(1, epochs + 1):
        start = perf_counter()
        # Shuffled, in whole batches
        x, y = (torch.from_numpy(a).to(DEVICE) for a in mnist.epoch(x_train, y_train, rng, BATCH_SIZE))
        if epoch <= done:
            continue
        model.train()
        for i in tqdm(range(0, len(x), BATCH_SIZE), leave=False, disable=None):  # a bar in a terminal
            step(x[i:i + BATCH_SIZE][rank::size], y[i:i + BATCH_SIZE][rank::size], model, optimizer, schedule)
        print(f"epoch {epoch}  validation accuracy {accuracy(*valid, model):.2%}  {perf_counter() - start:.2f} s")
        if rank == 0:
            checkpoint.save_torch(CHECKPOINT, run, epoch, {"model": model.module})
    test_accuracy = float(accuracy(*test, model))
    print(f"test accuracy {test_accuracy:.2%}")
    if rank == 0 and epochs:
        os.remove(CHECKPOINT)
    return model, test_accuracy


if __name__ == "__main__":
    train()
    gc.collect()  # frees the distributed model, which must not outlive its process group
    torch.distributed.destroy_process_group()
