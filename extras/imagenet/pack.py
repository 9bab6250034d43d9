"""Packs pictures into shuffled shards, which records.py reads: once, on all cores, before the first training.

    python -m extras.imagenet.pack PICTURES RECORDS    PICTURES has a folder per class; goes on where it was interrupted
"""
import hashlib
import io
import json
import os
import random
import stat
import sys
import tarfile
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from threading import Event

from joblib import cpu_count
from tqdm import tqdm

from compare import atomic
from extras.imagenet.pictures import QUALITY, SIDE, UndecodableError, shrunk
from extras.imagenet.records import RecordsError, read_index

SHARD = 1000  # pictures
# Names that systems give to their own files and folders. Names that begin with a dot are left out, too.
SYSTEM = {"Thumbs.db", "desktop.ini", "lost+found", "@eaDir", "__MACOSX", "$RECYCLE.BIN", "System Volume Information"}


def pack(pictures, records, seed=0):
    """Pack the pictures in pictures/<class>/ into shards in the folder `records`, beside an index.json; return that.

    Their order is drawn at random, so that any stretch of any shard has all classes. A shard has its name only when it
    is whole, and the index counts it after that; called again, `pack` makes those that are missing or damaged. What
    cannot be decoded is left out, and named in the index. What cannot be read ends the packing, because it may be a
    picture. In memory are the names of all pictures, one picture for each core, and no more.

    Raises:
        RecordsError: there are no pictures to pack, one of them cannot be read, or `records` has others.
        mnist.DataError: `records` cannot be written, or another process packs into it.
    """
    pictures, records = Path(pictures), Path(records)
    classes, files, texts = _listed(pictures)
    with (atomic.lock(records / ".lock", f"packing into {records}"), ThreadPoolExecutor(cpu_count()) as pool):
        stop = Event()
        try:
            classes, files, without = _with_pictures(pictures, classes, files, pool)
            random.Random(seed).shuffle(files)
            shards = {f"{i // SHARD:05}.tar": range(i, min(i + SHARD, len(files))) for i in range(0, len(files), SHARD)}
            index = _index(pictures, records, classes, files, shards, pool)
            index["skipped"] = texts + without
            missing = [name for name in shards if name not in index["shards"]]
            atomic.write(records / "index.json", json.dumps(index, indent=1, sort_keys=True))
            total = sum(len(shards[name]) for name in missing)
            with tqdm(total=total, unit=" pictures", leave=False, disable=None) as bar:
                jobs = {pool.submit(_pack_shard, pictures, classes, files, shards[name], records / name, bar, stop):
                        name for name in missing}
                for job in as_completed(jobs):
                    index["shards"][jobs[job]] = job.result()
                    atomic.write(records / "index.json", json.dumps(index, indent=1, sort_keys=True))
        except KeyboardInterrupt:
            raise RecordsError(f"Interrupted. What is in {records} is whole; the same command goes on.") from None
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    return index


def _listed(folder):
    """Return the names of the classes; (label, name, size in bytes) of the files in folder/<class>/, sorted; and texts
    about everything else in `folder`."""
    needed = f"A folder is needed with a sub-folder for each class and its pictures in that: {folder}/tench/1.jpg, say."
    if not folder.is_dir():
        raise RecordsError(f"{folder} is not a folder. {needed}")
    hidden, special, files, texts = [], [], [], []

    def entries(path):
        """Return the names in a folder that are not hidden, each with its size, or None if it is a folder itself."""
        try:
            with os.scandir(path) as found:
                found = list(found)
                hidden.extend(each.path for each in found if _hidden(each.name))
                status = {each.name: each.stat() for each in found if not _hidden(each.name)}
        except OSError as error:
            raise RecordsError(f"{error.filename} cannot be read: {error.strerror}. Allow reading it, or take it out "
                               f"of {folder}; then run the same command again.") from None
        special.extend(os.path.join(path, name) for name, each in status.items()
                       if not stat.S_ISDIR(each.st_mode) and not stat.S_ISREG(each.st_mode))
        return {name: None if stat.S_ISDIR(each.st_mode) else each.st_size for name, each in sorted(status.items())
                if os.path.join(path, name) not in special}

    found = entries(folder)
    classes, beside = ([name for name in found if (found[name] is None) == is_class] for is_class in (True, False))
    if not classes:
        raise RecordsError(f"{folder} has no sub-folders, and so no classes. {needed}")
    for label, of_class in enumerate(classes):
        sizes = entries(folder / of_class)
        folders = [name for name, size in sizes.items() if size is None]
        if folders and len(folders) == len(sizes):
            raise RecordsError(f"{folder / of_class} has folders in it instead of pictures: {folders[0]}. {needed}")
        for name in folders:
            count = sum(len(inside) for _, _, inside in os.walk(folder / of_class / name))
            texts.append(f"{of_class}/{name}: a folder with {count:,} files. Pictures have to be in {of_class} itself.")
        files += [(label, name, size) for name, size in sizes.items() if size is not None]
    if empty := sorted({*range(len(classes))} - {label for label, *_ in files}):
        raise RecordsError(f"{len(empty)} of the {len(classes)} sub-folders of {folder} have nothing in them, "
                           f"{classes[empty[0]]} among them. Fill or delete them: a class needs pictures to be learnt.")
    if beside:
        texts.append(f"{beside[0]}: {len(beside):,} files like this one are beside the folders of the classes.")
    if special:
        texts.append(f"{min(special)}: {len(special):,} pipes, sockets or devices like this one.")
    if hidden:
        texts.append(f"{min(hidden)}: {len(hidden):,} hidden or system files like this one.")
    return classes, files, texts


def _hidden(name):
    return name[0] == "." or name in SYSTEM


def _with_pictures(folder, classes, files, pool):
    """Return what _listed() does, but classes in which nothing can be decoded are not in the first two, and in the
    texts instead."""
    def has_picture(label):
        for name in names[label]:
            with suppress(UndecodableError):
                return bool(shrunk(folder / classes[label] / name))

    names = {label: [name for _, name, _ in group] for label, group in groupby(files, lambda file: file[0])}
    labels = [label for label, found in zip(names, pool.map(has_picture, names)) if found]
    if not labels:
        raise RecordsError(f"{folder} has no picture that can be decoded in any of its {len(classes)} sub-folders.")
    texts = [f"{classes[label]}: not a class, because none of its {len(names[label]):,} files can be decoded."
             for label in names if label not in labels]
    new = {label: i for i, label in enumerate(labels)}
    return [classes[label] for label in labels], [(new[label], *rest) for label, *rest in files if label in new], texts


def _index(pictures, records, classes, files, shards, pool):
    """Return what index.json holds, if it is of these files, without the shards that are missing or damaged."""
    plan = hashlib.sha256(json.dumps([classes, files, SIDE, QUALITY, SHARD]).encode()).hexdigest()
    if not (records / "index.json").exists():
        return {"classes": classes, "plan": plan, "planned": len(shards), "shards": {}}
    index = read_index(records)
    if index["plan"] != plan:
        raise RecordsError(f"{records} was packed of other pictures than are in {pictures} now, or in another way. "
                           "Name another folder to pack them into, or go back to those pictures.")

    if index["classes"] != classes or index["planned"] != len(shards):
        raise RecordsError(f"{records / 'index.json'} is damaged: its classes are not those of its plan. Pack the "
                           "pictures into another folder.")

    def whole(name):
        if index["shards"][name]["pictures"] != len(shards[name]) - len(index["shards"][name]["left_out"]):
            return False
        try:
            with open(records / name, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == index["shards"][name]["sha256"]
        except FileNotFoundError:
            return False
        except OSError as error:
            raise RecordsError(f"{records / name} cannot be read: {error.strerror}. Allow reading it, then run the "
                               "same command again.") from None

    index["shards"] = {name: index["shards"][name] for name, right in zip(shards, pool.map(
        lambda name: name in index["shards"] and whole(name), shards)) if right}
    return index


def _pack_shard(pictures, classes, files, places, path, bar, stop):
    """Write the pictures at `places` of `files` to the shard `path`; return what index.json says of it.

    Raises:
        CancelledError: `stop` was set meanwhile.
        RecordsError: a picture cannot be read.
        mnist.DataError: the shard cannot be written.
    """
    left_out = {}
    with atomic.replacing(path) as temporary:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for place in places:
                if stop.is_set():
                    raise CancelledError
                bar.update()
                label, name, _ = files[place]
                try:
                    jpeg = shrunk(pictures / classes[label] / name)
                except UndecodableError as error:
                    left_out[f"{classes[label]}/{name}"] = str(error)
                    continue
                for suffix, content in ("jpg", jpeg), ("cls", str(label).encode()):
                    header = tarfile.TarInfo(f"{place:08}.{suffix}")
                    header.size = len(content)
                    tar.addfile(header, io.BytesIO(content))
        with open(temporary, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = temporary.stat().st_size
    return {"pictures": len(places) - len(left_out), "bytes": size, "sha256": sha256, "left_out": left_out}


def main():
    if len(sys.argv) != 3:
        sys.exit("python -m extras.imagenet.pack PICTURES RECORDS: from which folder, into which?")
    index = pack(*sys.argv[1:])
    shards = index["shards"].values()
    number = "a shard" if len(shards) == 1 else f"{len(shards):,} shards"
    print(f"{sys.argv[2]}: {sum(shard['pictures'] for shard in shards):,} pictures in {number}")
    left_out = [f"{name}: {reason}" for shard in shards for name, reason in shard["left_out"].items()]
    for each in left_out + index["skipped"]:
        print(f"left out: {each}")


if __name__ == "__main__":
    main()
