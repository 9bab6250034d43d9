"""The MNIST digits: found or downloaded, verified, split 50,000 / 10,000 / 10,000, one shuffled epoch at a time."""
import gzip
import hashlib
import os
import sys
import time
import zlib
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import requests
from urllib3 import exceptions as raw  # what reading the raw stream of a response raises


def load_data(one_hot=False, reshape=None, validation_size=10_000):
    """Return (x_train, y_train), (x_valid, y_valid), (x_test, y_test): 50,000, 10,000 and 10,000 digits.

    Images are float32 in [0, 1] of shape (n, 784), or (n, *reshape): reshape=(28, 28, 1) or (1, 28, 28), for example.
    Labels are int64 of shape (n,), or with one_hot=True float32 of shape (n, 10). The last `validation_size` training
    digits are for validation. A training set smaller than MNIST's 60,000, like the sample, keeps the proportion.

    The files come from the folder that the environment variable MNIST_DIR names. Without it they come from `data/`,
    where missing ones are downloaded. If no mirror delivers, they come from `data/sample/`: 5,000 digits, and a notice.
    ValueError: `reshape` or `validation_size` is impossible. DataError: a file is missing, damaged or not writable.
    """
    shape = _shape(reshape)  # first: an impossible one must not start a download
    return _split(*_find(), one_hot, shape, validation_size)


def epoch(x, y, rng, batch_size=1, shift=1):
    """Return (x, y) in a new order, each image moved by up to `shift` pixels up or down, and left or right.

    Every image draws its own offset, so the pictures vary from epoch to epoch. What moves in at the edge is black.
    `x` has the shape (n, 784), (n, 28, 28, 1) or (n, 1, 28, 28), or with shift=0 any shape (n, ...). `y` holds n
    integers that count the classes from 0. `rng` is a numpy.random.Generator. An incomplete last batch is left out.
    DataError: there are fewer images than one batch, or `y` does not hold classes from 0.
    """
    if not (whole := len(x) // batch_size * batch_size):
        raise DataError(f"There are {len(x):,} images to train on, fewer than one batch of {batch_size:,}. Add images, "
                        "or make BATCH_SIZE smaller.")
    if len(y) != len(x) or y.ndim == 1 and (y.dtype.kind not in "iu" or y.min() != 0):
        raise DataError(f"The labels have to be integers that count the classes from 0, one for each of the {len(x):,} "
                        f"images. Found {len(y):,} of type {y.dtype}: {', '.join(map(str, np.unique(y)[:5]))}, ...")
    order = rng.permutation(len(x))
    if not shift:
        return x[order[:whole]], y[order[:whole]]
    down, right = rng.integers(-shift, shift + 1, size=(2, len(x)))  # in pixels; negative: up, left
    images, moved = x.reshape(-1, 28, 28), np.zeros((len(x), 28, 28), x.dtype)
    inside = {o: slice(max(o, 0), 28 + min(o, 0)) for o in range(-shift, shift + 1)}  # rows that are filled, by offset
    for d, r in product(inside, repeat=2):  # one pass for all images with this offset
        these = np.flatnonzero((down == d) & (right == r))
        moved[these, inside[d], inside[r]] = images[order[these], inside[-d], inside[-r]]
    return moved.reshape(x.shape)[:whole], y[order[:whole]]


def read_image(path, reshape=None):
    """Return the handwritten digit in a picture as MNIST's are: float32 in [0, 1] of shape (1, 784), or (1, *reshape).

    The digit, dark or light, becomes white on black, 20 pixels high or wide, its center of mass in the middle of 28x28.
    ValueError: `reshape` is impossible. DataError: there is no picture or no digit in it, or Pillow is missing."""
    shape = _shape(reshape)
    try:
        from PIL import Image, ImageChops, ImageFilter, ImageOps  # here, because nothing else needs Pillow
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)  # upright
        if image.mode[0] in "IF":  # 16 bits or more: scale the brightest pixel to 255
            image = image.convert("F").point(lambda value: value * (255 / max(image.getextrema()[1], 1)))
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("L")
        gray = ImageOps.contain(image, (224, 224)).filter(ImageFilter.BoxBlur(1))  # small and blurred: without noise
        paper = gray.resize((32, 32)).filter(ImageFilter.MedianFilter(21)).resize(gray.size)  # shadows, but no digit
    except Exception as error:  # Pillow raises many kinds
        raise DataError(f"{path}: {error}. Use a PNG or JPEG file, and Pillow: python -m pip install pillow") from None
    ink = max(np.float32(paper) - gray, gray - np.float32(paper), key=lambda ink: (ink ** 3).sum())  # dark or light
    full, noise = np.percentile(ink, 99.9), np.median(np.abs(ink))
    ink = Image.fromarray(np.uint8(255 * np.clip(ink / (0.3 * max(full, 1)) - 1, 0, 1)))  # below 30% of full: no ink
    ink = ImageChops.darker(ink, ink.filter(ImageFilter.BoxBlur(5)).point(lambda mean: 255 * (mean > 38)))  # no specks
    if full < 8 * max(noise, 2) or not ink.getbbox():
        raise DataError(f"{path} shows no digit. Take a picture of one digit, much darker or lighter than the paper.")
    digit = np.float32(ImageOps.pad(ink.crop(ink.getbbox()), (240, 240), centering=(0, 0)).reduce(12))  # 20 pixels
    row, column = (round(np.average(i, weights=digit)) for i in np.indices(digit.shape))  # the center of mass
    return np.pad(digit / digit.max(), 14)[row:row + 28, column:column + 28].reshape(1, *shape)  # it is now at (14, 14)


DATA = Path(__file__).resolve().parent / "data"
SAMPLE = DATA / "sample"
MIRRORS = ["https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"]
SHA256 = {  # of the decompressed bytes, because every mirror compresses a little differently
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}
CONNECT_TIMEOUT, READ_TIMEOUT, FILE_TIMEOUT = 4, 15, 600  # seconds: to connect, for one read, for a whole file
RETRY_AFTER, PATIENCE = (0, 1, 3), 20  # seconds that each round of the mirrors waits; no new round after PATIENCE
REASONS = [(requests.exceptions.SSLError, "has no valid certificate"), (requests.ConnectionError, "cannot be reached"),
           ((requests.Timeout, raw.TimeoutError), "is too slow"), (raw.HTTPError, "broke off")]  # the first that fits


class DataError(SystemExit, Exception):
    """The data cannot be had or used; the message says what to do. A script that does not catch it ends with it."""


def _shape(reshape):  # the shape of an image, a tuple
    try:
        return np.empty(784).reshape(784 if reshape is None else reshape).shape
    except (TypeError, ValueError):
        raise ValueError(f"reshape is {reshape!r}, but it has to hold 784 values, as (28, 28, 1) does.") from None


def _find():
    """Return the folder of the four files, sought in load_data's order, and their arrays."""
    folder, advice = os.environ.get("MNIST_DIR"), "MNIST_DIR names this folder; correct it, or unset it to download."
    try:
        return folder or DATA, [_read(Path(folder or DATA), name, folder and advice) for name in SHA256]
    except LookupError as error:  # no mirror delivered
        print(f"{error} Training goes on with the sample, 5,000 of the digits: its figures are not MNIST figures.\nFor "
              f"all of MNIST, set MNIST_DIR to a folder with the four files, or download them to {DATA} from one of",
              *MIRRORS, sep="\n  ", file=sys.stderr)
        return SAMPLE, [_read(SAMPLE, name, "It is part of the repository; restore it.") for name in SHA256]


def _split(folder, arrays, one_hot=False, shape=(784,), size=10_000):
    """Return the three pairs of load_data, made of the four arrays of a folder."""
    x, y, x_test, y_test = arrays
    for images, labels, part in (x, y, "train"), (x_test, y_test, "t10k"):
        if len(images) != len(labels) or not len(labels):
            raise DataError(f"{folder}: the {part} files hold {len(images):,} images and {len(labels):,} labels. "
                            "They have to come from the same data set, and must not be empty.")
    full = max(len(x), 60_000)  # MNIST has 60,000 training digits
    if not isinstance(size, (int, np.integer)) or not 0 <= size < full:
        raise ValueError(f"validation_size is {size!r}, but it has to be a whole number from 0 to {full - 1:,}.")
    split = len(x) - int(size) * len(x) // full
    x, x_test = (images.reshape(-1, *shape) / np.float32(255) for images in (x, x_test))
    y, y_test = (np.eye(10, dtype=np.float32)[labels] if one_hot else labels.astype(np.int64) for labels in (y, y_test))
    return (x[:split], y[:split]), (x[split:], y[split:]), (x_test, y_test)


def _read(folder, name, advice):
    """Return the array in a file, plain or gzipped, spelled with a dash or a dot. Without advice it must be MNIST's."""
    path, reason = folder / name, f"is missing, and so is {name}.gz"
    spellings = [folder / f"{n}{end}" for n in (name, name.replace("-idx", ".idx")) for end in ("", ".gz")]
    for path in filter(os.path.isfile, spellings):
        try:
            content = path.read_bytes()
            content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
            if advice or hashlib.sha256(content).hexdigest() == SHA256[name]:
                return _decode(content, path)
        except (OSError, EOFError, zlib.error) as error:
            reason = f"cannot be read: {error}"
    if advice:
        raise DataError(f"{path} {reason}. {advice}")
    return _decode(_download(name), path)


def _decode(content, path):
    """Return the uint8 array of an IDX file, images (n, 784) or labels (n,). Source: http://yann.lecun.com/exdb/mnist/"""
    # It begins with big-endian 32-bit integers: 2051 for images or 2049 for labels, then the size of each dimension.
    wanted, start = ([2051, 28, 28], 16) if "images" in path.name else ([2049], 8)
    magic, count, *size = np.frombuffer(content[:start].ljust(start, b"\0"), ">u4").tolist()
    values = np.frombuffer(content, np.uint8)[start:]
    if [magic, *size] != wanted:
        raise DataError(f"{path} has the wrong format: magic number and image size are {[magic, *size]}, not {wanted}.")
    if len(content) != start + count * (784 if size else 1):
        raise DataError(f"{path} announces {count:,} {'images' if size else 'labels'}, {len(values):,} bytes follow.")
    if not size and values.max(initial=0) > 9:
        raise DataError(f"{path} has the label {values.max()}; only 0 to 9 are possible.")
    return values.reshape(count, 784) if size else values


def _download(name):
    """Download a file to `data/` from the first mirror that has it; return its decompressed bytes."""
    begin, errors = time.monotonic(), {}
    for wait in RETRY_AFTER:
        mirrors = [mirror for mirror in MIRRORS if not isinstance(errors.get(mirror), ValueError)]
        if not mirrors or time.monotonic() - begin > PATIENCE:
            break
        for mirror in mirrors:
            try:
                time.sleep(wait / len(mirrors))
                print(f"downloading {mirror}{name}.gz", end="", file=sys.stderr, flush=True)
                sent, content = _fetch(f"{mirror}{name}.gz", SHA256[name])
                _write(DATA / f"{name}.gz", sent)
                return content
            except (OSError, ValueError, raw.HTTPError) as error:
                errors[mirror] = error
            except KeyboardInterrupt:
                raise DataError(f"Downloading {name}.gz was interrupted. The same command begins it anew.") from None
            finally:
                print(file=sys.stderr)
    reasons = (next((words for kind, words in REASONS if isinstance(error, kind)), error) for error in errors.values())
    raise LookupError(f"{name}.gz could not be downloaded: {'; '.join(map('{} {}'.format, errors, reasons))}.")


def _fetch(url, sha256):
    """Return the bytes that `url` sends, and decompressed; raise ValueError if they are wrong, and will be again."""
    deadline, sent = time.monotonic() + FILE_TIMEOUT, b""
    with requests.get(url, stream=True, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)) as response:
        if (status := response.status_code) != 200:
            passing = status == 429 or status >= 500  # worth another try
            raise (requests.HTTPError if passing else ValueError)(f"answered {status} {response.reason}")
        size = int(response.headers.get("Content-Length", 0))
        read = getattr(response.raw, "read1", response.raw.read)  # urllib3 1 has no read1, which never waits for more
        while chunk := read(1 << 16):
            sent += chunk
            if sys.stderr.isatty():
                sys.stderr.write(f"\rdownloading {url}  {len(sent) / 1e6:.1f} of {max(size, len(sent)) / 1e6:.1f} MB")
            if time.monotonic() > deadline:
                raise requests.Timeout
    try:
        content = gzip.decompress(sent)
    except (OSError, EOFError, zlib.error):
        content = sent  # a server may have unpacked it on the way; anything else fails the next line
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"sent {len(sent):,} bytes ({response.headers.get('Content-Type')}) that are not the file")
    return sent, content


def _write(path, content):  # atomically: another process sees all of it or nothing
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="part.", dir=path.parent) as folder:
            Path(folder, path.name).write_bytes(content)
            Path(folder, path.name).replace(path)
    except OSError as error:
        if path.is_file() and os.access(path, os.R_OK) and path.read_bytes() == content:
            return  # on Windows, two processes that write a file at the same time get in each other's way
        raise DataError(f"{path} cannot be written: {error.strerror}. Make room or allow writing there, or set "
                        "MNIST_DIR to a folder that holds the four files.") from None


def _show():
    """Print the folder, the size of each part, the digits per class, and one digit of each class in Braille's dots."""
    folder, arrays = _find()
    (x, y), *_ = parts = _split(folder, arrays)
    print(f"{folder}\n\n{'':10}  digits     " + "".join(f"{digit:6}" for digit in range(10)))
    for part, (_, labels) in zip(("training", "validation", "test"), parts):
        print(f"{part:10} {len(labels):7,}     " + "".join(f"{n:6,}" for n in np.bincount(labels, minlength=10)))
    dots = np.array([[1, 8], [2, 16], [4, 32], [64, 128]])  # Unicode's numbers for a character's 4 x 2 dots
    digits = np.array([x[y == digit][:1].sum(axis=0) > 0.4 for digit in range(10)]).reshape(2, 5, 7, 4, 14, 2)
    for row in 0x2800 + (digits.swapaxes(3, 4) * dots).sum(axis=(4, 5)):  # (5, 7, 14) characters
        print("\n" + "\n".join("  ".join("".join(map(chr, digit)) for digit in line) for line in row.swapaxes(0, 1)))


# Every script imports this file, so each line that it prints is shown immediately, also through a pipe.
sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # None: closed
if hasattr(sys.stdout, "reconfigure"):  # not in a notebook or in IDLE
    sys.stdout.reconfigure(line_buffering=True, errors="replace")  # a character that the encoding lacks is shown as ?
if __name__ == "__main__":
    _show()
