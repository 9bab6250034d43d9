"""Makes a folder to try everything on without ImageNet: coloured pictures of digits, a sub-folder per class.

    python -m extras.imagenet.sample                  4,000 pictures to train on and 1,000 for validation, in pictures/
    python -m extras.imagenet.sample small 400 100    fewer, in small/
"""
import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

import mnist
from compare import atomic


def colours(size, darkest, brightest, rng):
    """Return an image of `size` (width, height) in which a few random colours flow into each other."""
    few = rng.integers(darkest, brightest, size=(4, 4, 3), dtype=np.uint8)
    return Image.fromarray(few).resize(size, Image.Resampling.BICUBIC)


def picture(digit, rng):
    """Return an RGB image of 200 to 500 pixels each way with a digit, a uint8 array (28, 28), about its middle."""
    short = int(rng.integers(200, 400))
    size = width, height = [int(side) for side in rng.permutation([short, short * rng.uniform(1, 1.25)])]
    background, ink = colours(size, 0, 110, rng), colours(size, 145, 255, rng)
    side = int(min(size) * rng.uniform(0.7, 0.85))
    left, top = (int((length - side) * rng.uniform(0.4, 0.6)) for length in size)
    mask = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    background.paste(ink.crop((left, top, left + side, top + side)), (left, top), mask)
    grain = rng.normal(0, 12, size=(height, width, 3))  # as every camera adds
    return Image.fromarray((np.asarray(background) + grain).clip(0, 255).astype(np.uint8))


def make(folder, training=4000, validation=1000, seed=0):
    """Write JPEGs to folder/train/<class>/ and folder/val/<class>/, classes "0" to "9", as many as asked for.

    The digits are those of `mnist.load_data()`: MNIST_DIR, MNIST, or the sample of 5,000; where they do not suffice
    they come again in other colours. The same seed makes the same pictures.

    Raises:
        mnist.DataError: the digits cannot be had, or the folder cannot be written.
    """
    if min(training, validation) < 1:
        raise mnist.DataError(f"{min(training, validation)} pictures were asked for. Ask for 1 or more of each part.")
    rng = np.random.default_rng(seed)
    train, _, test = mnist.load_data(validation_size=0)
    for part, count, (x, y) in ("train", training, train), ("val", validation, test):
        for i in tqdm(range(count), f"{folder}/{part}", leave=False, disable=None):
            digit = np.uint8(x[i % len(x)].reshape(28, 28) * 255)
            file = io.BytesIO()
            picture(digit, rng).save(file, "JPEG", quality=90)
            atomic.write(Path(folder, part, str(y[i % len(y)]), f"{i:06}.jpg"), file.getvalue())
        files = list(Path(folder, part).glob("*/*.jpg"))  # also those that were there before
        print(f"{folder}/{part}: {len(files):,} pictures of {len({file.parent for file in files})} classes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m extras.imagenet.sample", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default="pictures")
    parser.add_argument("training", nargs="?", type=int, default=4000)
    parser.add_argument("validation", nargs="?", type=int, default=1000)
    arguments = parser.parse_args()
    make(arguments.folder, arguments.training, arguments.validation)
