"""The MNIST digits: found or downloaded, verified, split 50,000 / 10,000 / 10,000, one shuffled epoch at a time."""
import gzip
import hashlib
import itertools
import os
import struct
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
import requests
import urllib3


def load_data(one_hot=False, reshape=None, validation_size=10_000):
    """Return (x_train, y_train), (x_valid, y_valid), (x_test, y_test).

    The files come from the folder in the environment variable MNIST_DIR if it is set; else from
    `data/`, where what is missing is downloaded; else, when no mirror delivers, from `data/sample/`,
    5,000 of the digits, with a notice on stderr.

    Args:
        one_hot: labels as one-hot float32 of shape (n, 10) instead of int64 of shape (n,).
        reshape: the shape of one image, (28, 28, 1) or (1, 28, 28), say; None leaves 784 values in a row.
        validation_size: how many digits, the last ones of the training set, are kept for validation.
            A training set smaller than MNIST's 60,000, like the sample, keeps the proportion.

    Returns:
        Images are float32 in [0, 1] of shape (n, 784) or (n, *reshape). By default n is 50,000 for
        training, 10,000 for validation and 10,000 for test.

    Raises:
        ValueError: `reshape` does not hold 784 values, or `validation_size` leaves no training digit.
        DataError: a file is missing, broken or cannot be written.
    """
    try:
        shape = np.empty(784).reshape(784 if reshape is None else reshape).shape
    except (TypeError, ValueError):
        raise ValueError(f"reshape is {reshape!r}, but an image has 784 values: (784,), (28, 28), (28, 28, 1) "
                         "and (1, 28, 28) are possible, any shape whose product is 784.") from None
    folder, contents = _find()
    x, y, x_test, y_test = (_decode(content, path) for path, content in contents.items())
    for images, labels, part in (x, y, "train"), (x_test, y_test, "t10k"):
        if len(images) != len(labels):
            raise DataError(f"{folder}: the {part} files hold {len(images):,} images but {len(labels):,} labels. "
                            "They have to come from the same data set.")
    size, full = validation_size, max(len(x), FULL_SIZE)
    if not isinstance(size, (int, np.integer)) or not 0 <= size < full:
        raise ValueError(f"validation_size is {size!r}, but it counts digits out of {full:,}: "
                         f"a whole number from 0 to {full - 1:,} is possible, 10_000 is usual.")
    split = len(x) - int(size) * len(x) // full

    def prepare(images, labels):
        images = images.reshape(-1, *shape) / np.float32(255)
        return images, np.eye(10, dtype=np.float32)[labels] if one_hot else labels.astype(np.int64)

    return prepare(x[:split], y[:split]), prepare(x[split:], y[split:]), prepare(x_test, y_test)


def epoch(x, y, rng, shift=1):
    """Return all of (x, y) in a new order, each image moved by up to `shift` pixels each way.

    Every image draws its own offset, so that no two epochs show the network the same pictures; what
    moves in at the edge is black. `x` is (n, 784), (n, 28, 28, 1) or (n, 1, 28, 28) and keeps its
    shape; `rng` is a numpy.random.Generator, whose state decides everything.
    """
    order = rng.permutation(len(x))
    down, right = rng.integers(-shift, shift + 1, size=(2, len(x)))  # in pixels; negative: up, left
    images, moved = x.reshape(-1, 28, 28), np.zeros((len(x), 28, 28), x.dtype)
    for d, r in itertools.product(range(-shift, shift + 1), repeat=2):  # all images that share an offset at once
        these = np.flatnonzero((down == d) & (right == r))
        moved[these, _arriving(d), _arriving(r)] = images[order[these], _arriving(-d), _arriving(-r)]
    return moved.reshape(x.shape), y[order]


def _arriving(offset):
    """Return which of 28 rows (or columns) have come from inside the image when all move by `offset`."""
    return slice(max(offset, 0), 28 + min(offset, 0))


DATA = Path(__file__).resolve().parent / "data"
SAMPLE = DATA / "sample"
MIRRORS = ["https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"]
SHA256 = {  # of the decompressed bytes, because every mirror compresses a little differently
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
FULL_SIZE = 60_000  # digits in the official training set
CONNECT_TIMEOUT, READ_TIMEOUT = 4, 15  # seconds; the second is for one read, not for the file
FILE_TIMEOUT = 600  # seconds for one file from one mirror, however steadily it trickles
RETRY_AFTER, PATIENCE = (0, 1, 3), 20  # seconds before each round of the mirrors; no new round after PATIENCE


class DataError(SystemExit, Exception):
    """The files cannot be had or cannot be used; the message is one paragraph that says what to do.

    As an Exception it can be caught like any other; as a SystemExit it ends a script that does not
    catch it with the paragraph on stderr and status 1, without a traceback.
    """


class MirrorError(DataError):
    """No mirror delivered the file; the message gives each mirror's reason."""


def _find():
    """Return the folder and {path: decompressed bytes} of its four files, sought in load_data's order."""
    if os.environ.get("MNIST_DIR"):
        return _read_folder(Path(os.environ["MNIST_DIR"]), "MNIST_DIR names this folder; correct it, or unset it "
                            "to have the digits downloaded.")
    try:
        return DATA, {DATA / f"{name}.gz": _cached(name) or _download(name) for name in SHA256}
    except MirrorError as error:
        print(f"{error}\nTraining goes on with the sample, 5,000 of the digits: its figures are not MNIST figures.\n"
              "For the whole of MNIST, set MNIST_DIR to a folder that holds the four files, or download them to "
              f"{DATA} from one of\n  " + "\n  ".join(MIRRORS), file=sys.stderr)
        return _read_folder(SAMPLE, "It is part of the repository; restore it from there.")


def _read_folder(folder, advice):
    """Return `folder` and {path: decompressed bytes} of its four files; any data set in MNIST's format will do."""
    contents = {}
    for name in SHA256:
        spellings = [name, name + ".gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz"]
        found = [folder / spelling for spelling in spellings if (folder / spelling).is_file()]
        if not found:
            raise DataError(f"{folder / name} is missing, and so is {name}.gz. {advice}")
        try:
            contents[found[0]] = _read(found[0])
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{found[0]} cannot be read: {error}. {advice}") from None
    return folder, contents


def _read(path):
    """Return the bytes in `path`, decompressed if they are gzipped."""
    content = path.read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _decode(content, path):
    """Return the uint8 array in `content`, which came from the IDX file `path`: images (n, 784) or labels (n,).

    The format: a magic number (2051 for images, 2049 for labels), the size of each dimension, all
    big-endian 32-bit integers, then one byte a value. Source: http://yann.lecun.com/exdb/mnist/.
    """
    wanted = (2051, 28, 28) if "images" in path.name else (2049,)
    start = 4 * (len(wanted) + 1)
    magic, count, *size = struct.unpack(f">{len(wanted) + 1}I", content[:start].ljust(start, b"\0"))
    if (magic, *size) != wanted:
        raise DataError(f"{path} is no IDX file of this kind: magic number and image size are {(magic, *size)} "
                        f"instead of {wanted}.")
    if len(content) != start + count * (784 if size else 1):
        raise DataError(f"{path} announces {count:,} {'images of 784 bytes' if size else 'labels'}, but "
                        f"{max(len(content) - start, 0):,} bytes follow. It is damaged.")
    values = np.frombuffer(content, np.uint8, offset=start)
    if not size and count and values.max() > 9:
        raise DataError(f"{path} has the label {values.max()}; only 0 to 9 are possible.")
    return values.reshape(count, 784) if size else values


def _cached(name):
    """Return the decompressed bytes of a file in `data/` that is there and verifies, else None."""
    for path in DATA / f"{name}.gz", DATA / name:
        try:
            content = _read(path)
        except (OSError, EOFError, zlib.error):
            continue
        if hashlib.sha256(content).hexdigest() == SHA256[name]:
            return content
    return None


def _download(name):
    """Download one file to `data/` and return its decompressed bytes; it gets its name only once it is right."""
    final = DATA / f"{name}.gz"
    advice = "Make room or allow writing there, or set MNIST_DIR to a folder that holds the four files."
    temporary = None
    try:
        DATA.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f"{name}.", suffix=".part", dir=DATA)
        with open(handle, "wb+") as file:
            content = _fetch(name, file)
        os.chmod(temporary, 0o644)  # mkstemp's files are readable by nobody else
        os.replace(temporary, final)  # in one step: a second process sees the whole file or none
        return content
    except OSError as error:
        raise DataError(f"{final} cannot be written: {error.strerror}. Nothing half-written is left. "
                        f"{advice}") from None
    except KeyboardInterrupt:
        raise DataError(f"The download of {final.name} was interrupted. Nothing half-written is left; "
                        "the same command begins it anew.") from None
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def _fetch(name, file):
    """Fill the open `file` from the first mirror that sends the right bytes; return them decompressed."""
    start, mirrors, reasons = time.monotonic(), list(MIRRORS), {}
    for wait in RETRY_AFTER:
        if not mirrors or time.monotonic() - start > PATIENCE:
            break
        time.sleep(wait)
        for mirror in list(mirrors):
            try:
                return _fetch_from(f"{mirror}{name}.gz", file, SHA256[name])
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                reasons[mirror] = _reason(error)
            except ValueError as error:  # the mirror has something else under that address, and will have it again
                reasons[mirror] = error
                mirrors.remove(mirror)
    raise MirrorError(f"{name}.gz could not be downloaded: "
                      + "; ".join(f"{mirror} {reason}" for mirror, reason in reasons.items()) + ".")


def _fetch_from(url, file, sha256):
    """Stream `url` into the open `file`; return its decompressed bytes, or raise ValueError if they are wrong."""
    deadline = time.monotonic() + FILE_TIMEOUT
    file.seek(0)
    file.truncate()
    with requests.get(url, stream=True, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)) as response:
        if response.status_code == 429 or response.status_code >= 500:  # may pass: worth another try
            raise requests.HTTPError(response=response)
        if response.status_code != 200:
            raise ValueError(f"answered {response.status_code} {response.reason}")
        total = response.headers.get("Content-Length", "")
        of_total = f" of {int(total) / 1e6:.1f}" if total.isdigit() else ""
        terminal = sys.stderr.isatty()
        print(f"downloading {url}", end="" if terminal else "\n", file=sys.stderr, flush=True)
        # read1 returns what has arrived; read, all that urllib3 1 has, waits for the whole chunk, however it trickles.
        read = getattr(response.raw, "read1", response.raw.read)
        try:
            while chunk := read(1 << 16):
                file.write(chunk)
                if terminal:
                    progress = f"\rdownloading {url}  {file.tell() / 1e6:.1f}{of_total} MB "
                    print(progress, end="", file=sys.stderr, flush=True)
                if time.monotonic() > deadline:
                    raise requests.Timeout
        finally:
            if terminal:
                print(file=sys.stderr)
    file.seek(0)
    content = file.read()
    try:
        decompressed = gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        decompressed = content  # a server may have unpacked it on the way; anything else fails the next line
    if hashlib.sha256(decompressed).hexdigest() != sha256:
        kind = response.headers.get("Content-Type", "no type")
        raise ValueError(f"sent {len(content):,} bytes ({kind}) that are not the file")
    return decompressed


def _reason(error):
    """Say in a few words why a mirror could not be read; the libraries' own messages run over several lines."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"answered {response.status_code} {response.reason}"
    if isinstance(error, requests.exceptions.SSLError):
        return "has no certificate that this machine trusts"
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached"
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return "is too slow"
    return "broke off"


def _draw(image):
    """Return one image as 7 lines of 14 Braille characters, each of which has 2 x 4 dots."""
    dots = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])  # Unicode's numbering, from U+2800
    blocks = image.reshape(7, 4, 14, 2).swapaxes(1, 2) > 0.4  # (line, character, row of dots, column of dots)
    return ["".join(chr(0x2800 + code) for code in line) for line in (blocks * dots).sum(axis=(2, 3))]


def _show():
    """Print where the files are, the size of each part, the digits per class, and one digit of each class."""
    sys.stdout.reconfigure(errors="replace")  # a terminal without Braille shows question marks
    folder, _ = _find()
    os.environ["MNIST_DIR"] = str(folder)  # what was found is not looked for again
    parts = dict(zip(("training", "validation", "test"), load_data()))
    print(f"{folder}\n\n{'':10}  digits  {'':3}" + "".join(f"{digit:6}" for digit in range(10)))
    for part, (x, y) in parts.items():
        print(f"{part:10} {len(x):7,}  {'':3}" + "".join(f"{count:6,}" for count in np.bincount(y, minlength=10)))
    x, y = parts["training"]
    drawn = [_draw(x[np.argmax(y == digit)]) for digit in range(10)]
    for row in drawn[:5], drawn[5:]:
        print("\n" + "\n".join("  ".join(line) for line in zip(*row)))


if __name__ == "__main__":
    _show()
