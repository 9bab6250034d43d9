"""What a step of the ConvNet costs, measured alone and on two processes, and estimated for several machines.

    torchrun --standalone --nproc-per-node 2 -m extras.parallel.cost

prints the tables of extras/parallel/README.md, which says what the letters mean. Each process has one thread.
"""
import gc
import os
import sys
from functools import partial
from statistics import median
from time import perf_counter

import numpy as np
import torch
from torch import distributed

import conv_torch

conv_torch.DEVICE = torch.device("cpu")  # this measures processors, whatever else the machine has
VALUES = 1, 1_000, 10_000, 100_000, 1_000_000, 10_000_000  # summed up in one message, float32
BATCHES = 16, 32, 64, 128, 256
WORKERS = 2, 4, 8, 16, 32
LINKS = {"1 Gbit/s": 1e9 / 8, "10 Gbit/s": 1e10 / 8, "100 Gbit/s": 1e11 / 8}  # bytes per second
HOP = 50e-6  # seconds that a short message takes from one machine to another in the same room, an assumption
SCALES = {"this network, one core": (1, 1), "1000 times larger, one core": (1000, 1),
          "1000 times larger, 1000 times as fast": (1000, 1000)}  # by how much it is larger, the machine is faster


def seconds(calls, rounds=8, repeat=20):
    """Return the median seconds of each call, a list, when both processes begin it together; the slower one counts.

    The calls take turns, so that a moment in which the machine is slow falls on all of them.
    """
    times = torch.zeros(rounds, len(calls), repeat)
    for i in range(rounds):
        for j, call in enumerate(calls):
            call()
            for k in range(repeat):
                distributed.barrier()
                start = perf_counter()
                call()
                times[i, j, k] = perf_counter() - start
    distributed.all_reduce(times, distributed.ReduceOp.MAX)
    return times.transpose(0, 1).flatten(1).median(dim=1).values.tolist()


def line(x, times):
    """Return a and b of the line a + b x through the times, by least squares of the relative errors."""
    columns = np.stack([np.ones(len(x)), x], axis=1) / np.array(times)[:, None]
    return np.linalg.lstsq(columns, np.ones(len(x)))[0]


def one_step(model, batch):
    """Return a function that makes one step of conv_torch.py on a batch of noise."""
    x, y = torch.rand(batch, 1, 28, 28), torch.randint(10, (batch,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: 1)
    return lambda: conv_torch.step(x, y, model, optimizer, schedule)


def table(head, rows):
    print("\n".join(["", f"| {' | '.join(head)} |", f"|{' --: |' * len(head)}"]
                    + [f"| {' | '.join(row)} |" for row in rows]))


def main():
    distributed.init_process_group()
    measure()
    gc.collect()  # a model is in a cycle, and could abort the process at its end if it outlived its group
    distributed.destroy_process_group()


def measure():
    if distributed.get_world_size() != 2:
        sys.exit(f"This measures two processes; torchrun started {distributed.get_world_size()}.")
    if distributed.get_rank():
        sys.stdout = open(os.devnull, "w")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = conv_torch.build_model()
    shared = torch.nn.parallel.DistributedDataParallel(model)
    size = 4 * sum(parameter.numel() for parameter in model.parameters())

    buffers = [torch.zeros(n) for n in VALUES]
    sums = seconds([partial(distributed.all_reduce, buffer) for buffer in buffers])
    bare, per_byte = line(4 * np.array(VALUES), sums)
    table(["values", "MB", "all-reduce, ms"],
          [[f"{n:,}", f"{4 * n / 1e6:,.3f}", f"{1e3 * s:.2f}"] for n, s in zip(VALUES, sums)])
    calls = [one_step(model, batch) for batch in BATCHES] + [one_step(shared, batch // 2) for batch in BATCHES]
    times = seconds(calls)
    alone, both = (dict(zip(BATCHES, half)) for half in (times[:len(BATCHES)], times[len(BATCHES):]))
    h, c = line(np.array(BATCHES), list(alone.values()))
    a = median(both[batch] - alone[batch // 2] for batch in BATCHES[1:]) - size * per_byte
    print(f"\nBare latency {1e3 * bare:.2f} ms, W = {1e-6 / per_byte:,.0f} MB/s; h = {1e3 * h:.2f} ms, "
          f"c = {1e3 * c:.3f} ms per image; a = {1e3 * a:.2f} ms")

    def estimated(batch, workers, bandwidth, hop=0.0, larger=1, faster=1):
        sum_up = a + 2 * (workers - 1) * hop + 2 * (workers - 1) / workers * larger * size / bandwidth
        return h + larger / faster * c * batch / workers + (sum_up if workers > 1 else 0)

    table(["batch", "alone, ms", "estimated", "two, ms", "estimated", "speed-up", "estimated"],
          [[f"{batch}"] + [f"{1e3 * s:.2f}" for s in (alone[batch], estimated(batch, 1, 1), both[batch],
                                                      estimated(batch, 2, 1 / per_byte))]
           + [f"{alone[batch] / both[batch]:.2f}", f"{estimated(batch, 1, 1) / estimated(batch, 2, 1 / per_byte):.2f}"]
           for batch in BATCHES])

    settings = [(name, link) for name in SCALES for link in LINKS]
    for batch in conv_torch.BATCH_SIZE, 32 * conv_torch.BATCH_SIZE:
        gains = [[estimated(batch, 1, 1, 0, *SCALES[name]) / estimated(batch, n, LINKS[link], HOP, *SCALES[name])
                  for n in WORKERS] for name, link in settings]
        table([f"speed-up at batch {batch:,}", "link", *[f"{n} machines" for n in WORKERS]],
              [[*setting, *["<0.1" if gain < 0.1 else f"{gain:.2f}" for gain in row]]
               for setting, row in zip(settings, gains)])
    table(["a second machine pays from this batch on", *LINKS],
          [[name, *[f"{np.ceil(2 * (a + 2 * HOP + larger * size / bandwidth) / (larger / faster * c)):,.0f}"
                    for bandwidth in LINKS.values()]] for name, (larger, faster) in SCALES.items()])


if __name__ == "__main__":
    main()
