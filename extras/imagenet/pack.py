"""Packs pictures into shuffled shards, which records.py reads: once, on all cores, before the first training.

    python -m extras.imagenet.pack PICTURES RECORDS    PICTURES has a folder per class; goes on where it was interrupted
"""
import hashlib
import io
import json
import os
import random
import sys
import tarfile
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event

from PIL import Image, ImageOps
from tqdm import tqdm

from compare import atomic
from extras.imagenet.records import RecordsError, read_index

SIDE, QUALITY = 256, 90  # pixels of a packed picture's shorter side; JPEG's quality
SHARD = 1000  # pictures


def pack(pictures, records, seed=0):
    """Pack the pictures in pictures/<class>/ into shards in the folder `records`, beside an index.json; return that.

    Their order is drawn at random, so that any stretch of any shard has all classes. A shard has its name only when it
    is whole, and the index counts it after that; called again, `pack` makes those that are missing. What cannot be
    decoded is left out, and named in the index. In memory are the names of all pictures, one picture for each core,
    and no more.

    Raises:
        RecordsError: there are no pictures to pack, `records` has others, or it cannot be written.
    """
    pictures, records = Path(pictures), Path(records)
    classes, names = _listed(pictures)
    random.Random(seed).shuffle(names)
    plan = hashlib.sha256(json.dumps([classes, names, SIDE, QUALITY, SHARD]).encode()).hexdigest()
    shards = {f"{i // SHARD:05}.tar": range(i, min(i + SHARD, len(names))) for i in range(0, len(names), SHARD)}
    index = {"classes": classes, "plan": plan, "planned": len(shards), "shards": {}}
    if (records / "index.json").exists():
        index = read_index(records)
        if index["plan"] != plan:
            raise RecordsError(f"{records} was packed of other pictures than are in {pictures} now, or in another way. "
                               "Name another folder to pack them into, or delete this one.")
    missing = [name for name in shards if name not in index["shards"] or not (records / name).exists()]
    total, stop = sum(len(shards[name]) for name in missing), Event()
    with (ThreadPoolExecutor(os.cpu_count()) as pool,
          tqdm(total=total, unit=" pictures", leave=False, disable=None) as bar):
        try:
            atomic.write(records / "index.json", json.dumps(index, indent=1, sort_keys=True))
            jobs = {pool.submit(_pack_shard, pictures, classes, names, shards[name], records / name, bar, stop): name
                    for name in missing}
            for job in as_completed(jobs):
                index["shards"][jobs[job]] = job.result()
                atomic.write(records / "index.json", json.dumps(index, indent=1, sort_keys=True))
        except OSError as error:
            raise RecordsError(f"{records} cannot be written: {error.strerror}. What is in it is whole; make room or "
                               "allow writing, and the same command goes on.") from None
        except KeyboardInterrupt:
            raise RecordsError(f"Interrupted. What is in {records} is whole; the same command goes on.") from None
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    return index


def _listed(folder):
    """Return the names of the classes and [(label, name)] of all pictures in folder/<class>/, sorted."""
    needed = f"A folder is needed with a sub-folder for each class and its pictures in that: {folder}/tench/1.jpg, say."
    if not folder.is_dir():
        raise RecordsError(f"{folder} is not a folder. {needed}")
    classes = sorted(each.name for each in folder.iterdir() if each.is_dir() and each.name[0] != ".")
    if not classes:
        raise RecordsError(f"{folder} has no sub-folders, and so no classes. {needed}")
    names = []
    for label, of_class in enumerate(classes):
        found = [each for each in os.scandir(folder / of_class) if each.name[0] != "."]
        if found and all(each.is_dir() for each in found):
            raise RecordsError(f"{folder / of_class} has folders in it instead of pictures: {found[0].name}. {needed}")
        names += sorted((label, each.name) for each in found)
    if empty := sorted({*range(len(classes))} - {label for label, _ in names}):
        raise RecordsError(f"{len(empty)} of the {len(classes)} sub-folders of {folder} have nothing in them, "
                           f"{classes[empty[0]]} among them. Fill or delete them: a class needs pictures to be learnt.")
    return classes, names


def _pack_shard(pictures, classes, names, places, path, bar, stop):
    """Write the pictures at `places` of `names` to the shard `path`; return what index.json says of it.

    Raises:
        CancelledError: `stop` was set meanwhile.
        OSError: the shard cannot be written.
    """
    left_out, temporary = {}, path.with_name(path.name + ".part")
    try:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for place in places:
                if stop.is_set():
                    raise CancelledError
                bar.update()
                label, name = names[place]
                try:
                    jpeg = _shrunk(pictures / classes[label] / name)
                except Exception as error:  # Pillow has many for what is no picture
                    left_out[f"{classes[label]}/{name}"] = str(error)
                    continue
                for suffix, content in ("jpg", jpeg), ("cls", str(label).encode()):
                    header = tarfile.TarInfo(f"{place:08}.{suffix}")
                    header.size = len(content)
                    tar.addfile(header, io.BytesIO(content))
        with open(temporary, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = temporary.stat().st_size
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return {"pictures": len(places) - len(left_out), "bytes": size, "sha256": sha256, "left_out": left_out}


def _shrunk(path):
    """Return the picture in a file as a JPEG in RGB, upright, its shorter side 256 pixels."""
    with Image.open(path) as image:
        image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a large JPEG need not be decoded whole
        image = ImageOps.exif_transpose(image).convert("RGB")
    size = [round(length * SIDE / min(image.size)) for length in image.size]
    file = io.BytesIO()
    image.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def main():
    if len(sys.argv) != 3:
        sys.exit("python -m extras.imagenet.pack PICTURES RECORDS: from which folder, into which?")
    shards = pack(*sys.argv[1:])["shards"].values()
    number = "a shard" if len(shards) == 1 else f"{len(shards):,} shards"
    print(f"{sys.argv[2]}: {sum(shard['pictures'] for shard in shards):,} pictures in {number}")
    for name, reason in (left_out for shard in shards for left_out in shard["left_out"].items()):
        print(f"left out: {name}: {reason}")


if __name__ == "__main__":
    main()
