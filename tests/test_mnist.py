"""What a user of mnist.py relies on: the digits are right, or one paragraph says why they are not there."""
import gzip
import hashlib
import itertools
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import pytest

import mnist

ROOT = Path(mnist.__file__).resolve().parent
SAMPLE = ROOT / "data" / "sample"
NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
FIRST = f"{NAMES[0]}.gz"  # the file that is asked for first
ARCHIVES = {f"{name}.gz" for name in NAMES}
FULL_MNIST = Path(os.environ.get("MNIST_DIR") or next(
    (folder for folder in (ROOT / "data", ROOT.parent / "shared" / "data" / "mnist") if (folder / FIRST).is_file()),
    ROOT / "data"))
OFFICIAL_IMAGES = mnist.SHA256[NAMES[0]]
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals, limits or file modes")
HANG = 600  # seconds: what takes longer hangs, however crowded the machine is


def wait_for(condition):
    """Wait until condition() is true."""
    deadline = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def parse(content):
    """Return the array in an IDX file; an independent reading of the format, its fourth byte counts the dimensions."""
    start = 4 + 4 * content[3]
    return np.frombuffer(content, np.uint8, offset=start).reshape(struct.unpack(f">{content[3]}I", content[4:start]))


def unparse(array):
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def unpacked(folder):
    """Return {name: decompressed bytes} of the four archives in `folder`."""
    return {name: gzip.decompress((folder / f"{name}.gz").read_bytes()) for name in NAMES}


def state(folder):
    """Return what changes if anything is written to `folder` or in it."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in (folder, *folder.rglob("*"))}


def sizes(parts):
    return [len(y) for _, y in parts]


@pytest.fixture(scope="session")
def sample():
    """The sample's four arrays by name, parsed independently of mnist.py."""
    return {name: parse(content) for name, content in unpacked(SAMPLE).items()}


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No test sees the user's settings and downloads, the network beyond this machine, or how fast this machine is."""
    monkeypatch.delenv("MNIST_DIR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    monkeypatch.setattr(mnist, "DATA", tmp_path / "data")
    monkeypatch.setattr(mnist, "MIRRORS", [])
    monkeypatch.setattr(mnist, "RETRY_AFTER", (0, 0, 0))
    for limit in "CONNECT_TIMEOUT", "READ_TIMEOUT", "FILE_TIMEOUT", "PATIENCE":
        monkeypatch.setattr(mnist, limit, HANG)


@pytest.fixture
def on_sample(monkeypatch):
    monkeypatch.setenv("MNIST_DIR", str(SAMPLE))


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Return a function that puts a data set of 60 + 20 images into the folder MNIST_DIR names.

    `spell` makes a file's name from the official one, `pack` its bytes, or None for no file;
    both can also be given for one file: small(**{name: pack}).
    """
    rng = np.random.default_rng(3)
    contents = {name: unparse(rng.integers(256, size=(count, 28, 28), dtype=np.uint8) if "images" in name
                              else rng.integers(10, size=count, dtype=np.uint8))
                for name, count in zip(NAMES, (60, 60, 20, 20))}
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("MNIST_DIR", str(folder))

    def write(spell=str, pack=bytes, **exceptions):
        for name, content in contents.items():
            packed = exceptions.get(name, pack)(content)
            if packed is not None:
                (folder / spell(name)).write_bytes(packed)
        return folder, {name: parse(content) for name, content in contents.items()}

    return write


# load_data

@pytest.mark.parametrize("shape", [None, 784, (28, 28), (28, 28, 1), (1, 28, 28)])
def test_images_are_float32_from_0_to_1_in_the_shape_asked_for(on_sample, sample, shape):
    for (x, _), source in zip(mnist.load_data(reshape=shape), np.split(sample[NAMES[0]], [3334]) + [sample[NAMES[2]]]):
        assert x.dtype == np.float32
        assert x.shape == (len(source), *(shape if isinstance(shape, tuple) else (784,)))
        assert (x.min(), x.max()) == (0, 1)
        np.testing.assert_allclose(x.reshape(source.shape) * 255, source, rtol=1e-6)


def test_labels_are_int64_or_one_hot_float32(on_sample, sample):
    expected = *np.split(sample[NAMES[1]], [3334]), sample[NAMES[3]]
    for (_, y), (_, one_hot), labels in zip(mnist.load_data(), mnist.load_data(one_hot=True), expected):
        assert (y.dtype, one_hot.dtype) == (np.int64, np.float32)
        np.testing.assert_array_equal(y, labels)
        np.testing.assert_array_equal(one_hot, np.arange(10) == labels[:, None])


@pytest.mark.parametrize("size, kept", [
    (0, 0), (10_000, 666), (np.int64(6_000), 400), (30_000, 2_000), (59_999, 3_999)])
def test_the_last_training_digits_are_kept_for_validation(on_sample, sample, size, kept):
    (x_train, y_train), (x_valid, y_valid), test = mnist.load_data(validation_size=size)
    assert (len(x_train), len(x_valid), len(test[0])) == (4_000 - kept, kept, 1_000)
    joined = np.concatenate([x_train, x_valid]).reshape(-1, 28, 28)
    np.testing.assert_array_equal(np.rint(joined * 255), sample[NAMES[0]])
    np.testing.assert_array_equal(np.concatenate([y_train, y_valid]), sample[NAMES[1]])


@pytest.mark.parametrize("count, size, kept", [
    (60_000, 10_000, 10_000), (60_000, 1, 1), (60_006, 10_000, 10_000),  # literally
    (59_999, 10_000, 9_999), (600, 10_000, 100), (1, 59_999, 0),         # in proportion, and one digit is left
])
def test_only_a_set_smaller_than_mnist_keeps_the_proportion(small, count, size, kept):
    folder, _ = small()
    (folder / NAMES[1]).write_bytes(unparse(np.arange(count).astype(np.uint8) % 10))
    with open(folder / NAMES[0], "wb") as file:
        file.write(struct.pack(">4I", 2051, count, 28, 28))
        file.truncate(16 + count * 784)  # black images that take no room
    (_, y_train), (_, y_valid), _ = mnist.load_data(validation_size=size)
    assert (len(y_train), len(y_valid)) == (count - kept, kept)


@pytest.mark.parametrize("size", [-1, 60_000, 0.2, 10_000.0, "10000", None])
def test_a_validation_size_that_is_no_possible_count_is_refused(on_sample, size):
    with pytest.raises(ValueError) as error:
        mnist.load_data(validation_size=size)
    assert f"validation_size is {size!r}" in str(error.value) and "0 to 59,999" in str(error.value)


@pytest.mark.parametrize("shape", [783, (28, 27), (28.0, 28), "square", (-1, 5)])
def test_a_reshape_that_does_not_hold_784_values_is_refused(on_sample, shape):
    with pytest.raises(ValueError) as error:
        mnist.load_data(reshape=shape)
    assert f"reshape is {shape!r}" in str(error.value) and "(28, 28, 1)" in str(error.value)


# epoch

@pytest.fixture
def noise():
    """200 images, and their indices for labels; unlike digits they are bright up to the edge, where shifting shows."""
    return np.random.default_rng(1).uniform(0.1, 1, (200, 784)).astype(np.float32), np.arange(200)


def epoch(x, y, seed=0, **options):
    return mnist.epoch(x, y, np.random.default_rng(seed), **options)


def shifted(image, down, right):
    """Move one 28 x 28 image pixel by pixel, as slowly and plainly as possible."""
    result = np.zeros_like(image)
    for row, column in itertools.product(range(28), repeat=2):
        if 0 <= row - down < 28 and 0 <= column - right < 28:
            result[row, column] = image[row - down, column - right]
    return result


def test_an_epoch_depends_on_the_generator_only(noise):
    for first, second in zip(epoch(*noise), epoch(*noise)):
        np.testing.assert_array_equal(first, second)


def test_no_two_epochs_are_the_same(noise):
    rng = np.random.default_rng(0)
    (x_1, y_1), (x_2, y_2) = mnist.epoch(*noise, rng), mnist.epoch(*noise, rng)
    assert (y_1 != y_2).any()
    unchanged = (x_1[np.argsort(y_1)] == x_2[np.argsort(y_2)]).all(axis=1)
    assert 0 < unchanged.mean() < 0.3  # one image in nine draws the same offset again


def test_every_image_is_its_source_moved_by_at_most_one_pixel_and_keeps_its_label(noise):
    sources, indices = noise
    x, y = epoch(*noise)
    assert x.dtype == np.float32
    assert sorted(y) == list(indices)
    offsets = list(itertools.product((-1, 0, 1), repeat=2))
    drawn = []
    for image, source in zip(x.reshape(-1, 28, 28), sources[y].reshape(-1, 28, 28)):
        fitting = [offset for offset in offsets if np.array_equal(image, shifted(source, *offset))]
        assert len(fitting) == 1
        drawn += fitting
    assert set(drawn) == set(offsets)


def test_one_hot_labels_follow_their_images_too(noise):
    x, y = noise
    np.testing.assert_array_equal(epoch(x, np.eye(200)[y])[1].argmax(axis=1), epoch(x, y)[1])


@pytest.mark.parametrize("shape", [(200, 28, 28, 1), (200, 1, 28, 28)])
def test_an_epoch_has_the_same_pictures_in_every_layout(noise, shape):
    x, y = noise
    flat, _ = epoch(x, y)
    stacked, _ = epoch(x.reshape(shape), y)
    assert stacked.shape == shape
    np.testing.assert_array_equal(stacked.reshape(flat.shape), flat)


def test_shift_0_only_changes_the_order(noise):
    sources, indices = noise
    x, y = epoch(*noise, shift=0)
    assert sorted(y) == list(indices) != list(y)
    np.testing.assert_array_equal(x, sources[y])


@pytest.mark.parametrize("shift", [0, 1])
def test_an_epoch_holds_whole_batches_only(noise, shift):
    sources, _ = noise
    x, y = epoch(*noise, batch_size=64, shift=shift)
    all_x, all_y = epoch(*noise, shift=shift)
    assert x.shape == (192, 784) and len(set(y)) == 192
    np.testing.assert_array_equal(x, all_x[:192])
    np.testing.assert_array_equal(y, all_y[:192])


@pytest.mark.parametrize("shape", [(200, 20), (200, 32, 32, 3)])
def test_shift_0_takes_data_of_any_shape(shape):
    x = np.random.default_rng(0).normal(size=shape)
    found, y = epoch(x, np.arange(200), batch_size=50, shift=0)
    np.testing.assert_array_equal(found, x[y])


@pytest.mark.parametrize("count, batch_size", [(99, 100), (0, 1)])
def test_fewer_images_than_a_batch_are_refused(noise, count, batch_size):
    with pytest.raises(mnist.DataError, match=f"There are {count} images to train on, fewer than one batch of"):
        epoch(*(a[:count] for a in noise), batch_size=batch_size)


@pytest.mark.parametrize("labels, found", [
    (np.arange(1, 201), "200 of type int64: 1, 2, 3, 4, 5, ..."), (np.arange(-1, 199), "200 of type int64: -1, 0"),
    (np.arange(200.0), "200 of type float64: 0.0, 1.0"), (np.arange(199), "199 of type int64: 0, 1"),
    (np.array(["cat", "dog"] * 100), "200 of type <U3: cat, dog, ...")])
def test_labels_that_do_not_count_from_0_are_refused(noise, labels, found):
    with pytest.raises(mnist.DataError, match=f"one for each of the 200 images. Found {found}"):
        epoch(noise[0], labels)


@pytest.mark.parametrize("shift", [0, 1])
def test_an_epoch_leaves_its_inputs_alone(noise, shift):
    before = [array.copy() for array in noise]
    for output in epoch(*noise, shift=shift):
        output[:] = 0
    for array, copy in zip(noise, before):
        np.testing.assert_array_equal(array, copy)


# MNIST_DIR

@pytest.mark.parametrize("dots", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_mnist_dir_may_be_gzipped_or_plain_and_spelt_with_dots(small, capsys, dots, zipped):
    folder, digits = small(lambda name: (name.replace("-idx", ".idx") if dots else name) + ".gz" * zipped,
                           gzip.compress if zipped else bytes)
    before = state(folder)
    (x, y), _, (x_test, y_test) = mnist.load_data(validation_size=0)
    for found, name in zip((x * 255, y, x_test * 255, y_test), NAMES):
        np.testing.assert_array_equal(np.rint(found), digits[name].reshape(found.shape))
    assert state(folder) == before
    assert capsys.readouterr().err == ""


def replaced(start, new):
    return lambda content: content[:start] + new + content[start + len(new):]


@pytest.mark.parametrize("name, damage, reason", [
    (NAMES[0], lambda content: None, "is missing"),
    (NAMES[3], lambda content: None, "is missing"),
    (NAMES[0], lambda content: b"", "magic number"),
    (NAMES[1], lambda content: b"", "magic number"),
    (NAMES[2], lambda content: gzip.compress(content)[:-100], "cannot be read"),
    (NAMES[2], lambda content: replaced(10, b"\xff")(gzip.compress(content)), "cannot be read"),      # no such block
    (NAMES[2], lambda content: replaced(900, b"damage")(gzip.compress(content)), "cannot be read"),  # wrong checksum
    (NAMES[0], lambda content: content[:-1], "bytes follow"),
    (NAMES[0], lambda content: content[:16], "bytes follow"),
    (NAMES[0], lambda content: content[:10], "image size"),
    (NAMES[1], lambda content: content[:-1], "bytes follow"),
    (NAMES[1], lambda content: content[:5], ""),  # ends within the count
    (NAMES[3], lambda content: content + b"\0", "bytes follow"),
    (NAMES[0], replaced(3, b"\1"), "magic number"),
    (NAMES[1], lambda content: b"<!DOCTYPE html><title>Not found</title>", "magic number"),
    (NAMES[2], replaced(11, b"\x20"), "image size"),
    (NAMES[2], replaced(7, b"\x15"), "announces 21 images"),
    (NAMES[3], replaced(7, b"\x13"), "announces 19 labels"),
    (NAMES[1], replaced(20, b"\x0a"), "label 10"),
])
def test_a_missing_or_damaged_file_in_mnist_dir_is_named_and_never_replaced(small, capsys, name, damage, reason):
    folder, _ = small(**{name: damage})
    before = state(folder)
    with pytest.raises(mnist.DataError) as error:
        mnist.load_data()
    assert str(folder / name) in str(error.value) and reason in str(error.value)
    assert "\n" not in str(error.value)
    assert capsys.readouterr().err == ""
    assert state(folder) == before and not mnist.DATA.exists()


@pytest.mark.parametrize("part, name", [("train", NAMES[1]), ("t10k", NAMES[2])])
def test_images_and_labels_have_to_match_in_number(small, part, name):
    folder, _ = small(**{name: lambda content: unparse(parse(content)[:-1])})
    with pytest.raises(mnist.DataError) as error:
        mnist.load_data()
    assert str(error.value).startswith(f"{folder}: the {part} files hold ")
    assert "\n" not in str(error.value)


def test_a_data_error_can_be_caught_as_any_exception(monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(Exception, match="nowhere"):
        mnist.load_data()


def damaged(content, rng):
    """Return the bytes with one random damage."""
    i, j = sorted(rng.integers(len(content) + 1, size=2))
    if rng.random() < 0.5:  # near the beginning, where the format is announced
        i, j = sorted(rng.integers(24, size=2))
    noise = rng.bytes(j - i)
    return [content[:i], content[i:], content[:i] + content[j:], content[:i] + noise + content[j:],
            content[:i] + noise + content[i:], content[:i] + bytes(j - i) + content[j:], noise, content + noise,
            content[:i] + content[i:j][::-1] + content[j:]][rng.integers(9)]


@pytest.mark.parametrize("name", NAMES)
def test_however_a_file_is_damaged_what_it_holds_is_returned_or_it_is_refused(small, capsys, name):
    folder, _ = small()
    whole = {each: (folder / each).read_bytes() for each in NAMES}
    returned = refused = 0
    for seed in range(1000):
        zipped = seed % 2
        content = damaged(gzip.compress(whole[name]) if zipped else whole[name], np.random.default_rng(seed))
        (folder / name).write_bytes(content)
        try:
            (x, y), _, (x_test, y_test) = mnist.load_data(validation_size=0)
        except mnist.DataError as error:
            assert str(folder) in str(error) and "\n" not in str(error), seed
            refused += 1
            continue
        now = whole | {name: gzip.decompress(content) if zipped else content}
        for found, each in zip((x * 255, y, x_test * 255, y_test), NAMES):
            right = parse(now[each])
            np.testing.assert_array_equal(np.rint(found).reshape(right.shape), right, err_msg=f"seed {seed}")
        returned += 1
    assert returned > 20 and refused > 500 and capsys.readouterr().err == ""


# Download

def answer_to(path, earlier):
    """Return the method of Mirrors that answers a request for this path after these earlier ones."""
    mirror, name = path[1:].split("/")
    fault, _, times = mirror.partition("-")
    return fault if name == FIRST and earlier.count(path) < int(times or 99) else "good"


class Mirrors(BaseHTTPRequestHandler):
    """http://127.0.0.1:PORT/good/ is a good mirror of the sample; every other method is a fault of the same name.

    The fault is in one file only, the one asked for first; /busy-2/ has it for the first two requests.
    """

    timeout = HANG

    def do_GET(self):
        answer = getattr(self, answer_to(self.path, self.server.requests))
        self.server.requests.append(self.path)
        with suppress(ConnectionError):  # the client may hang up
            answer((SAMPLE / self.path.split("/")[-1]).read_bytes())

    def log_message(self, *args):
        pass

    def head(self, length=None, kind="application/gzip", **headers):
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Content-Length": length, **headers}.items():
            if value is not None:
                self.send_header(name, str(value))
        self.end_headers()

    def good(self, body, **headers):
        self.head(len(body), **headers)
        self.wfile.write(body)

    def unzipped(self, body):
        self.good(gzip.decompress(body))

    def encoded(self, body):
        self.good(body, **{"Content-Encoding": "gzip"})

    def chunked(self, body, end=b"0\r\n\r\n"):
        self.protocol_version = "HTTP/1.1"
        self.head(**{"Transfer-Encoding": "chunked"})
        for i in range(0, len(body), 10_000):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(body[i:i + 10_000]), body[i:i + 10_000]))
        self.wfile.write(end)
        self.close_connection = True

    def unended(self, body):
        self.chunked(body[:len(body) // 2], end=b"")

    def together(self, body):
        self.server.pair.wait(HANG)
        self.good(body)

    def forbidden(self, body):
        self.send_error(403)

    def busy(self, body):
        self.send_error(503)

    def crowded(self, body):
        self.send_error(429)

    def closed(self, body):
        pass

    def page(self, body):
        self.head(kind="text/html")
        self.wfile.write(b"<html>Log in first</html>")

    def short(self, body):
        self.head(len(body))
        self.wfile.write(body[:len(body) // 2])

    def long(self, body):
        self.good(body + body)

    def silently_short(self, body):
        self.head()
        self.wfile.write(body[:len(body) // 2])

    def reset(self, body):
        self.short(body)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.close(self.connection.detach())

    def silent(self, body):
        self.rfile.read()  # until the client hangs up

    def stalled(self, body):
        self.short(body)
        self.server.flowing.set()
        self.rfile.read()

    def trickling(self, body):
        self.head(len(body))
        for i in range(100):
            self.wfile.write(body[i:i + 1])
            time.sleep(0.02)


FAULTS = {  # what is said about a mirror, and how often it is asked: no fault that stays is worth another round
    "forbidden": ("answered 403 Forbidden", 1),
    "page": ("sent 25 bytes (text/html) that are not the file", 1),
    "long": ("sent 1,306,358 bytes (application/gzip) that are not the file", 1),
    "silently_short": ("sent 326,589 bytes (application/gzip) that are not the file", 1),
    "busy": ("answered 503 Service Unavailable", 3),
    "crowded": ("answered 429 Too Many Requests", 3),
    "closed": ("cannot be reached", 3),
    "short": ("broke off", 3),
    "unended": ("broke off", 3),
    "reset": ("broke off", 3),
    "silent": ("is too slow", 3),
    "stalled": ("is too slow", 3),
    "trickling": ("is too slow", 3),
}


@pytest.fixture
def web(monkeypatch):
    """A running web server with all those mirrors; `web.use(...)` says which ones mnist.py knows."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirrors)
    server.requests = []
    server.flowing, server.pair = threading.Event(), threading.Barrier(2)
    monkeypatch.setattr(mnist, "SHA256", {name: hashlib.sha256(content).hexdigest()
                                          for name, content in unpacked(SAMPLE).items()})

    def use(*mirrors):
        addresses = [f"http://127.0.0.1:{server.server_port}/{mirror}/" for mirror in mirrors]
        monkeypatch.setattr(mnist, "MIRRORS", addresses)
        return addresses

    server.use = use
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def impatient(web, monkeypatch):
    """Give up a mirror soon that would not end; every other one has the time that a crowded machine takes."""
    fetch = mnist._fetch

    def fetch_impatiently(url, sha256):
        earlier = list(web.requests)
        answer = answer_to(urlsplit(url).path, earlier)
        monkeypatch.setattr(mnist, "READ_TIMEOUT", 0.4 if answer in ("silent", "stalled") else HANG)
        monkeypatch.setattr(mnist, "FILE_TIMEOUT", 0 if answer == "trickling" else HANG)
        try:
            return fetch(url, sha256)
        finally:
            wait_for(lambda: len(web.requests) > len(earlier))  # the server may notice after the client has given up

    monkeypatch.setattr(mnist, "_fetch", fetch_impatiently)


def assert_downloaded():
    """`data/` holds the four files whole under their names, and nothing else."""
    assert {path.name for path in mnist.DATA.iterdir()} == ARCHIVES
    assert {name: hashlib.sha256(content).hexdigest() for name, content in unpacked(mnist.DATA).items()} == mnist.SHA256


def assert_nothing_downloaded():
    assert not mnist.DATA.exists() or list(mnist.DATA.iterdir()) == []


def test_files_are_downloaded_once(web, sample, capsys):
    web.use("good")
    (x, y), _, (x_test, y_test) = mnist.load_data(validation_size=0)
    assert_downloaded()
    for found, name in zip((x * 255, y, x_test * 255, y_test), NAMES):
        np.testing.assert_array_equal(np.rint(found), sample[name].reshape(found.shape))
    assert sorted(web.requests) == sorted(f"/good/{name}" for name in ARCHIVES)
    assert "sample" not in capsys.readouterr().err
    assert sizes(mnist.load_data()) == [3_334, 666, 1_000]
    assert len(web.requests) == 4
    assert capsys.readouterr().err == ""


def test_on_a_terminal_the_progress_of_each_file_is_one_line(web, capsys, monkeypatch):
    (mirror,) = web.use("good")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    mnist.load_data()
    lines = capsys.readouterr().err.split("\n")
    assert [line.split("\r")[-1].strip() for line in lines] == [
        *(f"downloading {mirror}{name}.gz  {size} of {size} MB" for name, size in zip(NAMES, (0.7, 0.0, 0.2, 0.0))), ""]


@posix
def test_downloaded_files_can_be_read_by_everybody(web):
    web.use("good")
    mnist.load_data()
    assert {path.stat().st_mode & 0o444 for path in mnist.DATA.iterdir()} == {0o444}


@pytest.mark.parametrize("mirror", ["unzipped", "encoded", "chunked"])
def test_a_file_may_be_unpacked_encoded_or_chunked_on_the_way(web, mirror):
    web.use(mirror)
    for _ in range(2):
        assert sizes(mnist.load_data()) == [3_334, 666, 1_000]
    assert len(web.requests) == 4


@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_mirror_steps_in_at_once(web, impatient, monkeypatch, capsys, fault):
    web.use(fault, "good")
    monkeypatch.setattr(mnist, "RETRY_AFTER", (0,))
    assert sizes(mnist.load_data()) == [3_334, 666, 1_000]
    assert_downloaded()
    assert web.requests[:2] == [f"/{fault}/{FIRST}", f"/good/{FIRST}"]
    assert "sample" not in capsys.readouterr().err


@pytest.mark.parametrize("mirror", ["busy-2", "short-1", "reset-1", "silent-1", "trickling-1"])
def test_a_mirror_that_recovers_is_asked_again(web, impatient, capsys, mirror):
    web.use(mirror)
    mnist.load_data()
    assert_downloaded()
    assert web.requests.count(f"/{mirror}/{FIRST}") == int(mirror[-1]) + 1
    assert "sample" not in capsys.readouterr().err


@pytest.mark.parametrize("fault", FAULTS)
def test_without_a_good_mirror_the_sample_is_used_and_the_notice_says_why(web, impatient, capsys, fault):
    (mirror,) = web.use(fault)
    assert sizes(mnist.load_data()) == [3_334, 666, 1_000]
    reason, times = FAULTS[fault]
    assert f"{mirror} {reason}" in capsys.readouterr().err
    assert web.requests == [f"/{fault}/{FIRST}"] * times
    assert_nothing_downloaded()


@pytest.mark.parametrize("variable, value, reason", [
    ("REQUESTS_CA_BUNDLE", "/gone.pem", "Could not find a suitable TLS CA certificate bundle, invalid path: /gone.pem"),
    ("HTTPS_PROXY", "socks5://127.0.0.1:9", "Missing dependencies for SOCKS support"),
    ("HTTPS_PROXY", "http://[half", "Failed to parse: .*half. is not a valid host or port"),
    ("HTTPS_PROXY", "http://127.0.0.1:9", "cannot be reached")])
def test_a_setting_of_the_network_that_is_wrong_is_named_and_the_sample_used(variable, value, reason, monkeypatch,
                                                                            capsys):
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(mnist, "MIRRORS", ["https://one.test/", "https://other.test/"])
    monkeypatch.setattr(mnist, "RETRY_AFTER", (0,))
    assert sizes(mnist.load_data()) == [3_334, 666, 1_000]
    assert re.search(f"could not be downloaded: https://one.test/ {reason}.*; https://other.test/ {reason}.* Training "
                     "goes on with the sample", capsys.readouterr().err)
    assert_nothing_downloaded()


def test_offline_the_notice_says_what_to_do(monkeypatch, sample, capsys):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    mirrors = [f"http://127.0.0.1:{port}/{name}/" for name in ("one", "other")]
    monkeypatch.setattr(mnist, "MIRRORS", mirrors)
    (x, y), _, _ = mnist.load_data(validation_size=0)
    np.testing.assert_array_equal(np.rint(x * 255), sample[NAMES[0]].reshape(-1, 784))
    np.testing.assert_array_equal(y, sample[NAMES[1]])
    notice = capsys.readouterr().err
    reasons = [f"{mirror} cannot be reached" for mirror in mirrors]
    for part in (*reasons, "not MNIST figures", "MNIST_DIR", str(mnist.DATA)):
        assert part in notice
    assert notice.split()[-2:] == mirrors
    assert_nothing_downloaded()


def test_no_new_round_of_the_mirrors_begins_when_patience_is_over(web, monkeypatch):
    web.use("busy")
    monkeypatch.setattr(mnist, "PATIENCE", 20)
    clock = SimpleNamespace(monotonic=lambda: 15 * len(web.requests), sleep=lambda seconds: None)  # 15 s a request
    monkeypatch.setattr(mnist, "time", clock)
    mnist.load_data()
    assert len(web.requests) == 2


def test_the_loader_as_a_script_looks_for_the_digits_only_once(web, monkeypatch, capsys):
    monkeypatch.setenv("MNIST_DIR", "")  # as good as unset
    web.use("forbidden")
    mnist._show()
    assert len(web.requests) == 1
    output, notice = capsys.readouterr()
    assert output.startswith(f"{SAMPLE}\n") and notice.count("not MNIST figures") == 1


def test_files_that_are_there_are_not_fetched_again(web):
    mnist.DATA.mkdir()
    shutil.copy(SAMPLE / FIRST, mnist.DATA)
    (mnist.DATA / NAMES[1]).write_bytes(unpacked(SAMPLE)[NAMES[1]])  # unpacked by hand
    web.use("good")
    mnist.load_data()
    assert web.requests == [f"/good/{name}.gz" for name in NAMES[2:]]


@pytest.fixture(params=[
    (FIRST, lambda content: content[:-1_000]),
    (FIRST, lambda content: b"<html>Log in first</html>"),
    (FIRST, lambda content: b""),
    (FIRST, lambda content: gzip.compress(replaced(500_000, b"damage")(gzip.decompress(content)), 1)),
    (NAMES[0], lambda content: gzip.decompress(content)[:-1]),
], ids=["truncated", "page", "empty", "wrong", "plain"])
def corrupted(request, web):
    """Put the sample's files into `data/`, the training images damaged; return the damaged one."""
    name, damage = request.param
    mnist.DATA.mkdir()
    for other in ARCHIVES - {FIRST}:
        shutil.copy(SAMPLE / other, mnist.DATA)
    (mnist.DATA / name).write_bytes(damage((SAMPLE / FIRST).read_bytes()))
    return mnist.DATA / name


def test_a_corrupted_file_is_fetched_again(web, corrupted, capsys):
    web.use("good")
    for _ in range(2):
        mnist.load_data()
    assert web.requests == [f"/good/{FIRST}"]
    assert "sample" not in capsys.readouterr().err
    if corrupted.name != FIRST:
        corrupted.unlink()  # a plain file may stay, the archive goes first
    assert_downloaded()


def test_a_corrupted_file_is_never_used(web, corrupted, sample, capsys):
    before = state(corrupted)
    web.use("forbidden")
    (x, _), _, _ = mnist.load_data(validation_size=0)
    np.testing.assert_array_equal(np.rint(x * 255), sample[NAMES[0]].reshape(-1, 784))
    assert "not MNIST figures" in capsys.readouterr().err
    assert state(corrupted) == before
    assert {path.name for path in mnist.DATA.iterdir()} == ARCHIVES - {FIRST} | {corrupted.name}


@pytest.mark.parametrize("where", ["below a file", "a folder under the file's name"])
def test_a_place_that_cannot_be_written_is_an_error_and_not_the_sample(web, monkeypatch, tmp_path, where):
    if where == "below a file":
        (tmp_path / "file").write_text("not a folder")
        monkeypatch.setattr(mnist, "DATA", tmp_path / "file" / "data")
    else:
        (mnist.DATA / FIRST).mkdir(parents=True)
    before = state(tmp_path).keys()
    web.use("good")
    with pytest.raises(mnist.DataError, match="cannot be written") as error:
        mnist.load_data()
    assert str(mnist.DATA / FIRST) in str(error.value) and "MNIST_DIR" in str(error.value)
    assert "\n" not in str(error.value)
    assert state(tmp_path).keys() == before


def test_a_file_that_another_process_holds_is_enough_if_it_is_the_same(monkeypatch, tmp_path):
    def held(*_):
        raise PermissionError(13, "Permission denied")  # as Windows does

    monkeypatch.setattr(Path, "replace", held)
    (tmp_path / FIRST).write_bytes(b"whole")
    mnist._write(tmp_path / FIRST, b"whole")
    with pytest.raises(mnist.DataError, match="cannot be written: Permission denied"):
        mnist._write(tmp_path / FIRST, b"other")
    assert [path.name for path in tmp_path.iterdir()] == [FIRST] and (tmp_path / FIRST).read_bytes() == b"whole"


# Whole processes

def start(*arguments):
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, encoding="utf-8",
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def start_load(prelude=""):
    """Start a process that loads the data with this one's settings and prints how many training digits there are."""
    settings = "\n".join(f"mnist.{name} = {getattr(mnist, name)!r}" for name in (
        "MIRRORS", "SHA256", "RETRY_AFTER", "CONNECT_TIMEOUT", "READ_TIMEOUT", "FILE_TIMEOUT", "PATIENCE"))
    return start("-c", f"import mnist, pathlib\n{settings}\nmnist.DATA = pathlib.Path({str(mnist.DATA)!r})\n{prelude}\n"
                 "print(len(mnist.load_data()[0][0]))")


def finish(process):
    """Return status, output and error output of the process; the lines about downloads are left out."""
    try:
        output, errors = process.communicate(timeout=HANG)
    finally:
        process.kill()
    return process.returncode, output, [line for line in errors.splitlines() if not line.startswith("downloading ")]


def test_two_processes_that_start_at_once_both_succeed(web):
    web.use("together")  # the first file is sent only when both have asked for it
    assert [finish(process) for process in [start_load(), start_load()]] == [(0, "3334\n", [])] * 2
    assert web.requests.count(f"/together/{FIRST}") == 2
    assert_downloaded()


@posix
def test_ctrl_c_ends_a_download_with_one_paragraph_and_no_leftovers(web):
    web.use("stalled")
    # Where the tests run in the background Ctrl-C is ignored, and a child inherits that.
    process = start_load("import signal; signal.signal(signal.SIGINT, signal.default_int_handler)")
    assert web.flowing.wait(HANG)
    process.send_signal(signal.SIGINT)
    status, output, (paragraph,) = finish(process)
    assert (status, output) == (1, "")
    assert FIRST in paragraph and "interrupted" in paragraph
    assert_nothing_downloaded()


@posix
def test_a_full_disk_is_told_in_one_paragraph_and_leaves_nothing_behind(web):
    web.use("good")
    status, output, (paragraph,) = finish(start_load("import resource\n"
                                                     "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"))
    assert (status, output) == (1, "")
    assert str(mnist.DATA / FIRST) in paragraph and "cannot be written: File too large" in paragraph
    assert_nothing_downloaded()


def test_a_script_without_its_data_ends_with_one_paragraph(monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_DIR", str(tmp_path / "nowhere"))
    status, output, (paragraph,) = finish(start("mnist.py"))
    assert (status, output) == (1, "")
    assert str(tmp_path / "nowhere") in paragraph


def test_the_loader_as_a_script_shows_folder_sizes_classes_and_a_digit_of_each(on_sample, sample):
    status, output, errors = finish(start("mnist.py"))
    assert (status, errors) == (0, [])
    folder, _, _, *table = output.splitlines()[:6]
    assert folder == str(SAMPLE)
    parts = *np.split(sample[NAMES[1]], [3334]), sample[NAMES[3]]
    assert [line.split() for line in table] == [
        [name, f"{len(labels):,}", *map(str, np.bincount(labels))]
        for name, labels in zip(("training", "validation", "test"), parts)]

    # A Braille character is U+2800 plus a bit for each of its 2 x 4 dots, numbered column by column, 7 and 8 below.
    lines = [line.split() for line in output.splitlines()[6:] if line]
    codes = np.array([[[ord(character) - 0x2800 for character in block] for block in line] for line in lines])
    dots = codes[..., None] >> np.array([0, 3, 1, 4, 2, 5, 6, 7]) & 1     # (14, 5, 14, 8), dots row by row
    drawn = dots.reshape(2, 7, 5, 14, 4, 2).transpose(0, 2, 1, 4, 3, 5).reshape(10, 28, 28)
    firsts = [sample[NAMES[0]][np.argmax(parts[0] == digit)] for digit in range(10)]
    np.testing.assert_array_equal(drawn, np.array(firsts) > 0.4 * 255)


@pytest.mark.parametrize("labels", [[3, 3, 7], [0]])
def test_the_loader_shows_a_class_without_digits_as_an_empty_place(labels, tmp_path, monkeypatch, capsys):
    for part in "train", "t10k":
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(
            np.array([0x803, len(labels), 28, 28], ">i4").tobytes() + b"\xff" * 784 * len(labels))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(
            np.array([0x801, len(labels)], ">i4").tobytes() + bytes(labels))
    monkeypatch.setenv("MNIST_DIR", str(tmp_path))
    mnist._show()
    printed = capsys.readouterr().out
    assert re.search(rf"training +{len(labels)} ", printed)
    assert printed.count("\u28ff" * 14) == 7 * len(set(labels))


# The sample

def test_the_sample_has_500_digits_of_each_class(sample):
    assert [array.shape for array in sample.values()] == [(4_000, 28, 28), (4_000,), (1_000, 28, 28), (1_000,)]
    assert list(np.bincount(np.concatenate([sample[NAMES[1]], sample[NAMES[3]]]))) == [500] * 10


def labelled(images, labels):
    return {image.tobytes() + bytes([label]) for image, label in zip(images, labels)}


def test_the_samples_digits_are_different_official_training_digits(sample):
    train, test = (labelled(sample[images], sample[labels]) for images, labels in (NAMES[:2], NAMES[2:]))
    assert len(train | test) == 5_000
    if not all((FULL_MNIST / name).is_file() for name in ARCHIVES):
        pytest.skip(f"the full MNIST is not in {FULL_MNIST}; MNIST_DIR may name its folder")
    full = unpacked(FULL_MNIST)
    if hashlib.sha256(full[NAMES[0]]).hexdigest() != OFFICIAL_IMAGES:
        pytest.skip(f"{FULL_MNIST} holds other digits than the official ones")
    assert len((train | test) - labelled(parse(full[NAMES[0]]), parse(full[NAMES[1]]))) == 0


def test_an_impossible_reshape_is_named_before_any_file_is_sought(monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="reshape is 5"):
        mnist.load_data(reshape=5)
