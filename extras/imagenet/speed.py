"""Measures what this folder promises, on pictures made for it, when nothing runs beside it.

    python -m extras.imagenet.speed reading     pictures per s: bare decoding, records.py, other ways to read the same
    python -m extras.imagenet.speed training    pictures per s: steps on a batch in memory, on records, 1 and 2 workers
    python -m extras.imagenet.speed packing     seconds and memory for 2,000 and for 20,000 pictures
"""
import gc
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import simplejpeg
from joblib import cpu_count
from PIL import Image

from compare import machine
from compare.scripts import ROOT
from extras.imagenet.pack import pack
from extras.imagenet.records import CROP, Records, decode

CORES, BATCH_SIZE, ROUNDS = cpu_count(), 256, 3
SCRIPTS = ["alexnet_torch", "alexnet_keras", "inception_torch", "inception_keras"]
STEPS = 5  # of a training, in each of the ROUNDS


def photograph(rng):
    """Return the JPEG, of about 23 kB, of a random picture of 256 by 256 pixels.

    The amplitudes of its waves fall with their frequency, and its channels differ little, much as in a photograph
    (D. Field 1987, Relations between the statistics of natural images and the response properties of cortical cells).
    """
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.rfftfreq(256), indexing="ij"))
    spectrum = np.fft.rfft2(rng.normal(size=(3, 256, 256))) / np.maximum(frequencies, 1 / 256) ** 1.4
    waves = np.fft.irfft2(spectrum)
    pixels = 128 + 48 * (waves[:1] + 0.2 * waves) / waves.std()
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)).save(file, "JPEG", quality=90)
    return file.getvalue()


def photographs(folder, count, different=500):
    """Write `count` pictures to folder/<class>/, ten classes; after the first `different` they are the same again."""
    rng = np.random.default_rng(0)
    jpegs = [photograph(rng) for _ in range(min(count, different))]
    for i in range(count):
        path = Path(folder, str(i % 10), f"{i:06}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpegs[i % len(jpegs)])


def bare(pictures, _):
    """Yield the number of pictures that have been decoded, a thread for each core, and nothing else done with them."""
    jpegs = [path.read_bytes() for path in sorted(Path(pictures).glob("*/*.jpg"))]
    yield 0
    with ThreadPoolExecutor(CORES) as pool:
        yield from pool.map(lambda part: sum(len(simplejpeg.decode_jpeg(jpeg)) > 0 for jpeg in part),
                            [jpegs[i::CORES] for i in range(CORES)])  # and none of them is kept


opened = cache(Records)  # as in a training, which uses the memory of its batches again


def ours(_, shards):
    yield 0
    for _, y in opened(shards).batches(BATCH_SIZE, [0, 1]):
        yield len(y)


def crop(jpeg):
    """Return the picture in a JPEG as uint8 (224, 224, 3), cut and mirrored at random, as records.py does it."""
    x = np.empty((1, CROP, CROP, 3), np.uint8)
    decode(x, [(jpeg, 0, np.random.random(2), np.random.random() < 0.5)])
    return x[0]


def web_dataset(_, shards):
    import webdataset
    from torch.utils.data import DataLoader

    urls = [str(path) for path in sorted(Path(shards).glob("*.tar"))]
    pictures = webdataset.WebDataset(urls, shardshuffle=100).shuffle(1000).to_tuple("jpg", "cls")
    pictures = pictures.map_tuple(crop, int).batched(BATCH_SIZE)
    yield 0
    for x, y in DataLoader(pictures, batch_size=None, num_workers=CORES):
        yield len(y)


def grain_array_record(pictures, _):
    import grain
    from array_record.python import array_record_module

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/pictures.array_record"
        writer = array_record_module.ArrayRecordWriter(path, "group_size:1")
        for jpeg in sorted(Path(pictures).glob("*/*.jpg")):
            writer.write(jpeg.parent.name.encode() + jpeg.read_bytes())
        writer.close()
        source = grain.sources.ArrayRecordDataSource([path])
        pictures = grain.MapDataset.source(source).shuffle(seed=0)
        pictures = pictures.map(lambda record: (crop(record[1:]), int(record[:1])))
        batches = pictures.to_iter_dataset(grain.ReadOptions(num_threads=CORES)).batch(BATCH_SIZE)
        yield 0
        for _, y in batches:
            yield len(y)


def image_folder(pictures, _):
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import Compose, PILToTensor, RandomCrop, RandomHorizontalFlip

    change = Compose([RandomCrop(CROP), RandomHorizontalFlip(), PILToTensor()])
    yield 0
    for _, y in DataLoader(ImageFolder(pictures, change), BATCH_SIZE, shuffle=True, num_workers=CORES):
        yield len(y)


WAYS = {"bare decoding, simplejpeg in threads": (bare, None), "records.py": (ours, None),
        "WebDataset, the same shards": (web_dataset, "webdataset"),
        "Grain, ArrayRecord": (grain_array_record, "grain"),
        "ImageFolder, DataLoader": (image_folder, "torchvision")}


def reading(count=10_000):
    """Print how many pictures per s each way reads that is installed: the median of nine, taken in turns."""
    ways = {name: way for name, (way, package) in WAYS.items() if not package or find_spec(package)}
    with tempfile.TemporaryDirectory() as folder:
        photographs(f"{folder}/pictures", count)
        pack(f"{folder}/pictures", f"{folder}/shards")
        size = np.mean([path.stat().st_size for path in Path(folder, "pictures").glob("*/*.jpg")])
        print(f"{count:,} JPEGs of 256 x 256 pixels, {size / 1000:.1f} kB, in the page cache; {CORES} threads each\n")
        rates = {name: [] for name in ways}
        for _ in range(3 * ROUNDS):  # each is short, and so the less sure
            for name, way in ways.items():
                counts = way(f"{folder}/pictures", f"{folder}/shards")
                next(counts)  # what it does once is not counted
                start = time.perf_counter()
                rates[name].append(sum(counts) / (time.perf_counter() - start))
    print("| way | pictures per s | of bare decoding |\n| --- | --: | --: |")
    rates = {name: median(found) for name, found in rates.items()}
    for name, rate in rates.items():
        print(f"| {name} | {rate:,.0f} | {rate / rates['bare decoding, simplejpeg in threads']:.0%} |")


def steps_per_s(name, folder, steps, rounds):
    """Print as JSON how many pictures per s a script trains on, from memory and from records, in each of the rounds."""
    script = import_module(f"extras.imagenet.{name}")
    training = Records(f"{folder}/train")
    rates = {"memory": [], "records": []}
    if name.endswith("torch"):
        torch, (rank, size) = script.torch, (script.RANK, script.SIZE)
        if size > 1:
            script.distributed.init_process_group()
        model = script.build_model(len(training.classes))
        joined = torch.nn.parallel.DistributedDataParallel(model) if size > 1 else model
        optimizer = script.optim.SGD(model.parameters(), 0.001, script.MOMENTUM)
        schedule = script.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1)
        share = script.BATCH_SIZE // size

        def run(batches):
            for x, y in batches:
                loss = script.step(x, y, joined, optimizer, schedule)
            loss.item()  # waits until a GPU has done all steps
    else:
        rank, size, share = 0, 1, script.BATCH_SIZE
        if len(script.distribution.list_devices()) > 1:
            script.distribution.set_distribution(script.distribution.DataParallel(auto_shard_dataset=False))
        model = script.build_model(len(training.classes))
        script.compile_model(model, 10_000)

        def run(batches):
            model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0)

    batch = next(training.batches(share, [0, 0], rank, size))
    run(batch for _ in range(steps))
    for epoch in range(rounds):
        own = islice(training.batches(share, [0, epoch], rank, size), steps)
        for way, batches in ("memory", (batch for _ in range(steps))), ("records", (each for each in own)):
            start = time.perf_counter()
            run(batches)  # a generator, because Keras takes no other iterator
            rates[way].append(steps * script.BATCH_SIZE / (time.perf_counter() - start))
    if rank == 0:
        print(json.dumps(rates))
    if size > 1:
        del joined
        gc.collect()  # it is in a cycle, and could abort the process if it outlived its group
        script.distributed.destroy_process_group()


def training():
    """Print how many pictures per s each script trains on, from memory and from records, with one worker and two."""
    print("| script | workers | from memory | from records | lost |\n| --- | --: | --: | --: | --: |")
    with tempfile.TemporaryDirectory() as folder:
        photographs(f"{folder}/pictures", 1500)
        pack(f"{folder}/pictures", f"{folder}/train")
        for name in SCRIPTS:
            for workers in 1, 2:
                start = [sys.executable, "-m"]
                if name.endswith("torch") and workers > 1:
                    start += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(workers), "-m"]
                process = subprocess.run(
                    [*start, "extras.imagenet.speed", "steps", name, folder, str(STEPS), str(ROUNDS)],
                    check=True, text=True, stdout=subprocess.PIPE,
                    env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": str(workers)})
                memory, records = map(median, json.loads(process.stdout.splitlines()[-1]).values())
                lost = 1 - records / memory
                print(f"| `{name}.py` | {workers} | {memory:.2f} | {records:.2f} | {lost:.1%} |", flush=True)


def packing(counts=(2000, 20_000)):
    """Print how long pack.py takes for so many pictures, and how much memory."""
    print("| pictures | s | pictures per s | memory, MB |\n| --: | --: | --: | --: |")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            photographs(f"{folder}/pictures", count)
            start, most = time.perf_counter(), 0
            process = psutil.Popen([sys.executable, "-m", "extras.imagenet.pack",
                                    f"{folder}/pictures", f"{folder}/shards"],
                                   env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
            while process.poll() is None:
                most = max(most, process.memory_info().rss)
                time.sleep(0.05)
            seconds = time.perf_counter() - start
        print(f"| {count:,} | {seconds:.1f} | {count / seconds:,.0f} | {most / 1e6:.0f} |", flush=True)


if __name__ == "__main__":
    commands = {"reading": reading, "training": training, "packing": packing}
    if sys.argv[1:2] == ["steps"]:  # what training() starts
        steps_per_s(*sys.argv[2:4], *map(int, sys.argv[4:]))
    elif len(sys.argv) == 2 and sys.argv[1] in commands:
        commands[sys.argv[1]]()
        print("\n{processor}, {cores} cores, {memory}, {system}, Python {python}.".format(**machine.describe()))
    else:
        sys.exit(f"python -m extras.imagenet.speed {' or '.join(commands)}: which?")
