# /// script
# requires-python = ">=3.11"
# dependencies = ["filelock", "joblib", "numpy", "requests", "simplejpeg", "torch", "tqdm"]
# ///
"""AlexNet in PyTorch: python -m extras.imagenet.alexnet_torch [RECORDS]; torchrun starts it on several devices."""
import gc
import os
import sys
from time import perf_counter

import numpy as np
import torch
from torch import distributed, nn, optim
from tqdm import tqdm

from compare import checkpoint
from extras.imagenet import records

EPOCHS, BATCH_SIZE, LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 5, 32, 0.01, 0.9, 5e-4
DEVICE = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
CHECKPOINT = "alexnet_torch.checkpoint"  # in the current folder, after every epoch
RANK, SIZE = (int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1)))


# Weights
def init_weights(layer):
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)


# Model
def build_model(classes):
    normalize = dict(size=5, alpha=5e-4, beta=0.75, k=2)  # alpha is the paper's times size: PyTorch takes the mean
    # channels_last is faster for convolutions; on Apple's GPUs max-pooling fails with it (PyTorch issue 175190)
    layout = torch.contiguous_format if DEVICE.type == "mps" else torch.channels_last
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4, padding=2), nn.ReLU(),     # (batch, 3, 224, 224) -> (batch, 96, 55, 55)
        nn.LocalResponseNorm(**normalize), nn.MaxPool2d(3, 2),    # -> (batch, 96, 27, 27)
        nn.Conv2d(96, 256, 5, padding=2), nn.ReLU(),              # -> (batch, 256, 27, 27)
        nn.LocalResponseNorm(**normalize), nn.MaxPool2d(3, 2),    # -> (batch, 256, 13, 13)
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),             # -> (batch, 384, 13, 13)
        nn.Conv2d(384, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(3, 2), nn.Flatten(),                         # -> (batch, 256, 6, 6) -> (batch, 9216)
        nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(0.5),        # -> (batch, 4096)
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(4096, classes),                                 # -> (batch, classes)
    ).apply(init_weights).to(DEVICE, memory_format=layout)


def scaled(x):  # uint8 (batch, 224, 224, 3) -> (batch, 3, 224, 224), from -1 to 1
    return torch.as_tensor(x).to(DEVICE).permute(0, 3, 1, 2) / 127.5 - 1


@torch.inference_mode()
def accuracies(validation, model):
    """Return the shares of pictures whose class is the first guess, and among the first five."""
    first = five = 0
    for x, y in validation.batches(BATCH_SIZE, rank=RANK, size=SIZE):
        guesses = model.eval()(scaled(x)).topk(min(5, len(validation.classes))).indices.cpu().numpy()
        first, five = first + (guesses[:, 0] == y).sum(), five + (guesses == y[:, None]).sum()
    return [count / len(validation) for count in summed(first, five)]


def summed(*values):
    """Return the sums of what each process has."""
    values = torch.tensor(values, dtype=torch.float32, device=DEVICE)
    if SIZE > 1:
        distributed.all_reduce(values)
    return values.tolist()


# Step
def step(x, y, model, optimizer, schedule):
    loss = nn.functional.cross_entropy(model.train()(scaled(x)), torch.from_numpy(y).to(DEVICE))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    return loss.detach()  # still on the device: to read it here would wait for the GPU in every step


# Training
def train(folder="records", epochs=EPOCHS, seed=0):
    if BATCH_SIZE % SIZE:
        sys.exit(f"A batch of {BATCH_SIZE} cannot be split evenly among {SIZE} processes.")
    if SIZE > 1:
        if DEVICE.type != "cpu":
            torch.accelerator.set_device_index(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group()
    training, validation = records.load(folder, BATCH_SIZE)
    torch.manual_seed(seed)
    model = build_model(len(training.classes))
    steps = len(training) // BATCH_SIZE
    optimizer = optim.SGD(model.parameters(), LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY)
    schedule = optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: float(np.interp(i / steps / epochs, [0, 0.2, 1], [0, 1, 0])))
    run = f"{training.describe()}, {epochs=} {seed=} {BATCH_SIZE=} {LEARNING_RATE=} {MOMENTUM=} {WEIGHT_DECAY=}"
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    done = checkpoint.load_torch(CHECKPOINT, run, parts)
    if done == epochs:
        sys.exit(f"{CHECKPOINT} has all {epochs} epochs. Move it away to begin anew.")
    # Of several processes, whose backward() leaves the mean gradient of all
    joined = nn.parallel.DistributedDataParallel(model) if SIZE > 1 else model
    for epoch in range(done + 1, epochs + 1):
        torch.manual_seed(10**6 * seed + 1000 * epoch + RANK)  # dropout has the same numbers after an interruption
        start, losses = perf_counter(), []
        batches = training.batches(BATCH_SIZE // SIZE, [seed, epoch], RANK, SIZE)
        for x, y in tqdm(batches, total=steps, leave=False, disable=None if RANK == 0 else True):
            losses.append(step(x, y, joined, optimizer, schedule))
        loss, = summed(torch.stack(losses).mean() / SIZE)  # waits for the GPU; the time includes its last step
        seconds = perf_counter() - start
        top_1, top_5 = accuracies(validation, model)
        if RANK == 0:
            print(f"epoch {epoch:2}  loss {loss:.3f}  validation top-1 {top_1:.2%} top-5 {top_5:.2%}  {seconds:.1f} s  "
                  f"{steps * BATCH_SIZE / seconds:.0f} images per s", flush=True)
            checkpoint.save_torch(CHECKPOINT, run, epoch, parts, classes=training.classes)
    if SIZE > 1:
        del joined
        gc.collect()  # it is in a cycle, and could abort the process if it outlived its group
        distributed.destroy_process_group()
    return top_1


if __name__ == "__main__":
    train(*sys.argv[1:2])
