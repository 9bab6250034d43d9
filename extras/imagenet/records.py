"""Pictures that pack.py has packed, read in batches as fast as they can be decoded.

A shard is a tar file of a thousand pictures in random order, as WebDataset has them: `00000007.jpg`, then its label in
`00000007.cls`, then the next. It is read from end to end, which is what a disk does best.
"""
import hashlib
import json
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from weakref import finalize

import numpy as np
import simplejpeg
from joblib import cpu_count

from mnist import DataError

CROP = 224  # pixels each way that are cut out of a picture, whose shorter side has 256
AHEAD = 2  # batches that are decoded while one is in use


class RecordsError(DataError):
    """The pictures cannot be packed or read; the message is one paragraph that says what to do."""


class Records:
    """A folder that pack.py has made: `classes`, their names in the order of the labels, and `len`, its pictures.

    Raises:
        RecordsError: the folder is missing, damaged, or not yet packed to its end.
    """

    def __init__(self, folder):
        self.folder, index = Path(folder), read_index(Path(folder))
        self.classes, self.shards = index["classes"], dict(sorted(index["shards"].items()))
        self.checked = {}  # shards that had the right checksum, and what their file was then
        self.free = {}  # memory of batches that are no longer in use, by their size
        if len(self.shards) < index["planned"]:
            raise RecordsError(f"{folder} has {len(self.shards)} of {index['planned']} shards: its packing was "
                               "interrupted. The command that began it goes on with it.")
        for name in self.shards:  # at once, not after hours, if a copy was cut short
            self._status(name)

    def __len__(self):
        return sum(shard["pictures"] for shard in self.shards.values())

    def describe(self):
        """Return a text that tells these records from others: number of classes and pictures, and a checksum."""
        content = json.dumps([self.classes, [shard["sha256"] for shard in self.shards.values()]])
        checksum = hashlib.sha256(content.encode()).hexdigest()[:8]
        return f"{len(self.classes)} classes, {len(self)} pictures with checksum {checksum}"

    def batches(self, batch_size, seed=None, rank=0, size=1):
        """Yield (x, y): uint8 pictures (batch, 224, 224, 3) in RGB and their int64 labels (batch,).

        Args:
            batch_size: how many pictures this process wants at a time.
            seed: for training, a list of ints, [seed, epoch] say, which decides the order, where each picture is cut
                and which are mirrored; what does not fill a batch is left out. None for validation: all pictures in
                the order of the shards, cut out of their middle; the last batch may be smaller.
            rank, size: the number of this process, and how many there are. Each reads its share, in training as many
                pictures as any other.

        Raises:
            RecordsError: a shard is missing or damaged.
        """
        first, last = len(self) * rank // size, len(self) * (rank + 1) // size
        if seed is not None:
            last = first + len(self) // size // batch_size * batch_size
        threads = cpu_count()
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(threads) as decoders:
            pictures, free = self._pictures(first, last, seed, reader), self.free.setdefault(batch_size, [])

            def begin(at):
                chosen = list(islice(pictures, min(batch_size, last - at)))
                memory = free.pop() if free else bytearray(min(batch_size, last - first) * CROP * CROP * 3)
                x = np.ndarray((len(chosen), CROP, CROP, 3), np.uint8, memory)
                finalize(x, free.append, memory)  # once nobody refers to x; memory that is new costs half a decoding
                parts = [decoders.submit(decode, x[i::threads], chosen[i::threads]) for i in range(threads)]
                return parts, x, np.array([label for _, label, *_ in chosen])

            try:
                for parts, x, y in _begun(begin, range(first, last, batch_size), AHEAD):
                    for part in parts:
                        part.result()
                    yield x, y
            finally:
                decoders.shutdown(cancel_futures=True)

    def _pictures(self, first, last, seed, reader):
        """Yield (JPEG, label, (down, right), mirrored) for the pictures `first` to `last` of an epoch.

        `down` and `right`, in [0, 1), are where to cut, as a share of the room there is. `reader` reads a shard ahead.
        """
        names = list(self.shards)
        order = range(len(names)) if seed is None else np.random.default_rng(seed).permutation(len(names))
        ends = np.cumsum([self.shards[names[i]]["pictures"] for i in order])
        own = [(i, max(first - begin, 0), last - begin) for i, begin, end in zip(order, [0, *ends], ends)
               if begin < last and first < end]
        for (i, start, stop), shard in _begun(lambda part: (part, reader.submit(self._read, names[part[0]])), own, 1):
            shard = shard.result()
            n = len(shard)
            places, cuts, mirrored = np.arange(n), np.full((n, 2), 0.5), np.zeros(n, bool)
            if seed is not None:  # for each shard anew, because each process reads only some
                rng = np.random.default_rng([*seed, 1 + i])
                places, cuts, mirrored = rng.permutation(n), rng.random((n, 2)), rng.random(n) < 0.5
            for place, cut, flip in zip(*(each[start:stop].tolist() for each in (places, cuts, mirrored))):
                yield *shard[place], cut, flip

    def _read(self, name):
        """Return [(JPEG, label)] of a shard, if its checksum is that of the index.

        A file that has not changed since it was checked is not checked again: on a processor without instructions for
        SHA-256 that would take a sixth of the time of decoding.
        """
        status = self._status(name)
        try:
            content = (self.folder / name).read_bytes()
        except OSError as error:
            raise _unreadable(self.folder / name, error) from None
        state = status.st_size, status.st_mtime_ns
        if self.checked.get(name) != state and hashlib.sha256(content).hexdigest() != self.shards[name]["sha256"]:
            raise self._damaged(name, "does not have the checksum that is in index.json")
        self.checked[name] = state
        files = _files(memoryview(content))
        pictures = [(jpeg, int(bytes(label))) for jpeg, label in zip(files, files)]
        if len(pictures) != self.shards[name]["pictures"]:
            raise self._damaged(name, f"has {len(pictures):,} pictures instead of {self.shards[name]['pictures']:,}")
        return pictures

    def _status(self, name):
        """Return what the system knows of a shard's file, if it is there and as long as index.json says."""
        try:
            status = (self.folder / name).stat()
        except FileNotFoundError:
            raise RecordsError(f"{self.folder / name} is missing. Pack the same pictures again: only what is "
                               "missing is made.") from None
        except OSError as error:
            raise _unreadable(self.folder / name, error) from None
        if status.st_size != self.shards[name]["bytes"]:
            raise self._damaged(name, f"has {status.st_size:,} bytes instead of {self.shards[name]['bytes']:,}")
        return status

    def _damaged(self, name, how):
        return RecordsError(f"{self.folder / name} is damaged: it {how}. Pack the same pictures again: only what is "
                            "damaged or missing is made.")


def load(folder, batch_size):
    """Return the Records in folder/train and in folder/val.

    Raises:
        RecordsError: they cannot be read, do not have the same classes, or do not fill a batch.
    """
    if Path(folder, "index.json").exists():
        raise RecordsError(f"{folder} is only one part of the records. Name the folder that has it and the other as "
                           "train and val.")
    training, validation = Records(Path(folder, "train")), Records(Path(folder, "val"))
    if training.classes != validation.classes:
        raise RecordsError(f"{training.folder} has {len(training.classes)} classes, {validation.folder} has "
                           f"{len(validation.classes)}, and they are not the same. Pack what belongs together.")
    if len(training) < batch_size or not len(validation):
        raise RecordsError(f"{folder} has {len(training)} pictures to train on and {len(validation)} to validate on; "
                           f"{batch_size} make a batch.")
    return training, validation


def read_index(folder):
    """Return what index.json in `folder` holds: classes, plan, planned and, by name, shards.

    Raises:
        RecordsError: it is missing or damaged, or cannot be read.
    """
    path = folder / "index.json"
    try:
        index = json.loads(path.read_text("utf-8"))
        wanted = {"pictures": int, "bytes": int, "sha256": str, "left_out": dict}
        if all(isinstance(shard[name], kind) for shard in index["shards"].values() for name, kind in wanted.items()) \
                and isinstance(index["classes"], list) and isinstance(index["planned"], int) and index["plan"]:
            return index
        raise ValueError("parts of it are missing")
    except FileNotFoundError:
        raise RecordsError(f"{path} is missing: nothing has been packed into {folder}. python -m extras.imagenet.pack "
                           f"PICTURES {folder} does it.") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise RecordsError(f"{path} is damaged: {error}. Pack the pictures into another folder.") from None


def _unreadable(path, error):
    return RecordsError(f"{path} cannot be read: {error.strerror}. Allow reading it, or see to its disk; then run the "
                        "same command again.")


def decode(x, pictures):
    """Decode `pictures`, each a (JPEG, label, (down, right), mirrored), into x, uint8 (n, 224, 224, 3)."""
    for image, (jpeg, _, cut, mirrored) in zip(x, pictures):
        picture = simplejpeg.decode_jpeg(jpeg, "BGR" if mirrored else "RGB")
        top, left = (int((length - CROP + 1) * share) for length, share in zip(picture.shape, cut))
        if mirrored:
            # A row's bytes backwards, colours included: words of eight backwards, each read in the other byte order. By
            # single bytes this would take a fifth of the time of decoding, by pixels more.
            words = np.ndarray((CROP, CROP * 3 // 8), ">u8", picture, top * picture.strides[0] + 3 * left,
                               (picture.strides[0], 8))
            image.reshape(CROP, -1).view("<u8")[:] = words[:, ::-1]
        else:
            image[:] = picture[top:top + CROP, left:left + CROP]


def _begun(begin, items, ahead):
    """Yield begin(item) for each item, but only after it has been called for the `ahead` that follow."""
    begun = deque()
    for item in items:
        begun.append(begin(item))
        if len(begun) > ahead:
            yield begun.popleft()
    yield from begun


def _files(tar):
    """Yield the content of each file in a tar archive, which has a header of 512 bytes with the size at 124, in octal.

    (The format is POSIX's ustar. Python's own tarfile takes for each header a tenth of the time of decoding a picture.)
    """
    at = 0
    while tar[at]:
        size = int(bytes(tar[at + 124:at + 135]), 8)
        yield tar[at + 512:at + 512 + size]
        at += 512 + -(-size // 512) * 512
