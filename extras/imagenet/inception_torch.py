# /// script
# requires-python = ">=3.11"
# dependencies = ["filelock", "joblib", "numpy", "requests", "simplejpeg", "torch", "tqdm"]
# ///
"""Inception with batch normalization in PyTorch: python -m extras.imagenet.inception_torch [RECORDS], or torchrun."""
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

EPOCHS, BATCH_SIZE, LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 5, 32, 0.05, 0.9, 1e-4
DEVICE = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
CHECKPOINT = "inception_torch.checkpoint"  # in the current folder, after every epoch
RANK, SIZE = (int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1)))


# Weights
def init_weights(layer):
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


# Model
MODULES = [  # the 1x1; before the 3x3 and in it; before the double 3x3 and in it; the pooling and the 1x1 after it
    (64, (64, 64), (64, 96), "average", 32),     # 3a: (batch, 192, 28, 28) -> (batch, 256, 28, 28)
    (64, (64, 96), (64, 96), "average", 64),     # 3b: -> (batch, 320, 28, 28)
    (0, (128, 160), (64, 96), "stride 2", 0),    # 3c: -> (batch, 576, 14, 14)
    (224, (64, 96), (96, 128), "average", 128),  # 4a
    (192, (96, 128), (96, 128), "average", 128),
    (160, (128, 160), (128, 160), "average", 96),
    (96, (128, 192), (160, 192), "average", 96),
    (0, (128, 192), (192, 256), "stride 2", 0),  # 4e: -> (batch, 1024, 7, 7)
    (352, (192, 320), (160, 224), "average", 128),
    (352, (192, 320), (192, 224), "max", 128)]


class Branches(nn.ModuleList):
    def forward(self, x):
        return torch.cat([branch(x) for branch in self], dim=1)


def conv(inputs, outputs, size=1, stride=1):
    convolution = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)  # the normalization has one
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs, eps=1e-3), nn.ReLU())


def inception(inputs, one, three, double, pooling, after):
    stride = 2 if pooling == "stride 2" else 1
    branches = Branches([
        nn.Sequential(conv(inputs, three[0]), conv(*three, 3, stride)),
        nn.Sequential(conv(inputs, double[0]), conv(*double, 3), conv(double[1], double[1], 3, stride))])
    if stride == 2:
        return branches.append(nn.MaxPool2d(3, 2, ceil_mode=True))
    pool = nn.MaxPool2d(3, 1, 1) if pooling == "max" else nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    return branches.append(conv(inputs, one)).append(nn.Sequential(pool, conv(inputs, after)))


def build_model(classes):
    layers = [conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True),               # -> (batch, 64, 56, 56)
              conv(64, 64), conv(64, 192, 3), nn.MaxPool2d(3, 2, ceil_mode=True)]  # -> (batch, 192, 28, 28)
    channels = 192
    for one, three, double, pooling, after in MODULES:
        layers.append(inception(channels, one, three, double, pooling, after))
        channels = three[1] + double[1] + (one + after or channels)
    layers += [nn.AvgPool2d(7), nn.Flatten(), nn.Linear(channels, classes)]  # -> (batch, 1024) -> (batch, classes)
    # channels_last is faster for convolutions; on Apple's GPUs max-pooling fails with it (PyTorch issue 175190)
    layout = torch.contiguous_format if DEVICE.type == "mps" else torch.channels_last
    return nn.Sequential(*layers).apply(init_weights).to(DEVICE, memory_format=layout)


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
        start, losses = perf_counter(), []
        batches = training.batches(BATCH_SIZE // SIZE, [seed, epoch], RANK, SIZE)
        for x, y in tqdm(batches, total=steps, leave=False, disable=None if RANK == 0 else True):
            losses.append(step(x, y, joined, optimizer, schedule))
        loss, = summed(torch.stack(losses).mean() / SIZE)  # waits for the GPU; the time includes its last step
        seconds = perf_counter() - start
        if SIZE > 1:  # each process has seen other batches: validate with the averages of rank 0, which saves its own
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)
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
