"""Packed pictures: all of them once, as they were, in whole shards, whatever stands in the folders or happens."""
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_mnist import HANG, wait_for

from compare.scripts import ROOT
from extras.imagenet import pack as packing, pictures as picture_files
from extras.imagenet.pack import pack
from extras.imagenet.records import Records, RecordsError, load

COUNT, SHARDS = 80, 5


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(packing, "SHARD", COUNT // SHARDS)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of 80 pictures in three classes, each of a red of its own, by which they are told apart."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(COUNT):
        write(Image.new("RGB", (300 + i, 260), (3 * i, 100, 50)), folder / f"class {i % 3}" / f"{i}.png")
    return folder


@pytest.fixture
def packed(pictures, tmp_path):
    pack(pictures, tmp_path / "packed")
    return tmp_path / "packed"


def write(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def numbers(batches):
    """Return the numbers of the pictures in batches, in their order, each of them held to its label."""
    found = []
    for x, y in batches:
        assert x.dtype == np.uint8 and x.shape[1:] == (224, 224, 3) and y.dtype == np.int64 and len(x) == len(y)
        each = np.rint(x[..., 0].mean(axis=(1, 2)) / 3).astype(int)
        assert (each % 3 == y).all()
        found.append(each.tolist())
    return found


def content(folder):
    """Return {name: bytes} of all files in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def command(*arguments, before=""):
    """Start python -m extras.imagenet.pack with shards as small as they are here, after some lines of code."""
    code = (f"import sys, extras.imagenet.pack as p\n{before}\np.SHARD = {packing.SHARD}\n"
            f"sys.argv[1:] = {[str(argument) for argument in arguments]}\np.main()")
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def test_every_picture_is_read_once_with_its_label(packed):
    records = Records(packed)
    assert records.classes == ["class 0", "class 1", "class 2"] and len(records) == COUNT
    batches = numbers(records.batches(32))
    assert [len(batch) for batch in batches] == [32, 32, 16]
    assert sorted(sum(batches, [])) == list(range(COUNT))


@pytest.mark.parametrize("shards", [1, SHARDS])
def test_every_epoch_has_another_order_and_the_same_seed_the_same(shards, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "SHARD", COUNT // shards)
    pack(pictures, tmp_path)
    records = Records(tmp_path)
    assert len(records.shards) == shards
    one, again, other, other_seed = (numbers(records.batches(32, seed)) for seed in ([1, 1], [1, 1], [1, 2], [2, 1]))
    assert one == again and len({str(each) for each in (one, other, other_seed)}) == 3
    assert [len(batch) for batch in one] == [32, 32]  # what does not fill a batch is left out
    assert len(set(sum(one, []))) == 64
    neighbours = np.abs(np.diff(sum(one, []))).mean()
    assert 20 < neighbours < 35  # in a random order a third of 80


@pytest.mark.parametrize("size", [2, 3])
def test_each_process_reads_its_share(packed, size):
    records = Records(packed)
    shares = [sum(numbers(records.batches(4, [1, 1], rank, size)), []) for rank in range(size)]
    assert {len(share) for share in shares} == {COUNT // size // 4 * 4}  # equal, in whole batches
    assert len(set(sum(shares, []))) == sum(map(len, shares))  # none is read by two
    shares = [sum(numbers(records.batches(4, None, rank, size)), []) for rank in range(size)]
    assert sorted(sum(shares, [])) == list(range(COUNT))


def test_a_process_reads_only_the_shards_of_its_share(packed):
    records = Records(packed)
    (packed / "00004.tar").unlink()
    assert len(sum(numbers(records.batches(4, None, 0, 2)), [])) == COUNT // 2
    with pytest.raises(RecordsError, match="00004.tar is missing"):
        list(records.batches(4, None, 1, 2))


def test_pictures_are_cut_and_mirrored_at_random_for_training_and_in_the_middle_for_validation(tmp_path):
    across, down = np.meshgrid(np.arange(320), np.arange(256))
    ramp = Image.fromarray(np.stack([across * 0.75, down * 0.9, 0 * down], axis=2).astype(np.uint8))
    for i in range(48):
        write(ramp, tmp_path / "pictures" / "one" / f"{i}.png")
    pack(tmp_path / "pictures", tmp_path / "packed")

    def corners(seed):
        x = np.concatenate([x for x, _ in Records(tmp_path / "packed").batches(16, seed)]).astype(float)
        mirrored = x[:, 112, -1, 0] < x[:, 112, 0, 0]
        left = np.where(mirrored, x[:, 112, -1, 0], x[:, 112, 0, 0]) / 0.75
        return mirrored, left, x[:, 0, 112, 1] / 0.9

    mirrored, left, top = corners([0, 1])
    assert 10 < mirrored.sum() < 38
    assert left.min() < 15 and left.max() > 80 and top.min() < 6 and top.max() > 26  # of 0 to 96, of 0 to 32
    mirrored, left, top = corners(None)
    assert not mirrored.any() and np.allclose(left, 48, atol=3) and np.allclose(top, 16, atol=3)


def test_a_shard_is_a_tar_file_of_shuffled_pictures_and_labels(packed):
    labels = []
    for path in sorted(packed.glob("*.tar")):
        with tarfile.open(path) as tar:
            names = tar.getnames()
            assert [name.partition(".")[2] for name in names] == ["jpg", "cls"] * 16
            assert names[::2] == [name.replace("cls", "jpg") for name in names[1::2]]
            labels += [int(tar.extractfile(name).read()) for name in names[1::2]]
            for name in names[::2]:
                image = Image.open(tar.extractfile(name))
                assert image.format == "JPEG" and image.mode == "RGB" and min(image.size) == 256
    assert len(labels) == COUNT
    runs = sum(a == b for a, b in zip(labels, labels[1:]))
    assert runs < 50  # of 79; a third of them in a random order


def test_whatever_pillow_reads_becomes_an_upright_picture_in_rgb(tmp_path):
    red, folder = Image.new("RGB", (400, 300), (200, 30, 40)), tmp_path / "pictures" / "red"
    write(red.convert("CMYK"), folder / "cmyk.JPEG")
    write(red, folder / "png.JPEG", format="PNG")
    write(red.convert("RGBA"), folder / "alpha.png")
    write(red.quantize(16), folder / "palette.png")
    write(red.resize((4000, 3000)), folder / "large.jpg")
    write(red.resize((60, 40)), folder / "small.jpg")
    upright = Image.new("RGB", (400, 300), (200, 30, 40))
    upright.paste((200, 130, 40), (0, 0, 400, 150))
    orientation = Image.Exif()
    orientation[0x0112] = 6  # the camera was held upright: turn it clockwise to see it so
    write(upright.transpose(Image.Transpose.ROTATE_90), folder / "turned.jpg", exif=orientation)
    assert pack(tmp_path / "pictures", tmp_path / "packed")["shards"]["00000.tar"]["left_out"] == {}
    (x, _), = Records(tmp_path / "packed").batches(16)
    assert len(x) == 7
    for picture in x:
        assert np.allclose(picture[200:].mean(axis=(0, 1)), (200, 30, 40), atol=6)
    assert sorted(np.rint(x[:, :90, :, 1].mean(axis=(1, 2)) / 10).tolist()) == [3] * 6 + [13]


def test_what_cannot_be_decoded_is_named_and_the_rest_is_packed(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "pictures")
    folder = tmp_path / "pictures" / "class 0"
    (folder / "notes.JPEG").write_text("not a picture")
    file = io.BytesIO()
    Image.effect_noise((300, 300), 50).save(file, "JPEG")
    (folder / "truncated.jpg").write_bytes(file.getvalue()[:5000])
    (folder / "empty.jpg").touch()
    (folder / ".hidden").touch()
    (folder / "Thumbs.db").touch()
    for name in "1.jpg", "2.jpg", "deeper/3.jpg":
        (folder / "folder" / "deeper").mkdir(parents=True, exist_ok=True)
        (folder / "folder" / name).touch()
    (tmp_path / "pictures" / "beside.jpg").touch()
    for name in "notes", "@eaDir", "lost+found":
        (tmp_path / "pictures" / name).mkdir()
    (tmp_path / "pictures" / "notes" / "1.txt").write_text("not a picture")
    (tmp_path / "pictures" / "notes" / "2.jpg").touch()
    process = command(tmp_path / "pictures", tmp_path / "packed")
    printed, _ = process.communicate(timeout=HANG)
    assert process.returncode == 0
    left_out = dict(re.findall("left out: (.*?): (.*)", printed))
    assert left_out.keys() == {"class 0/notes.JPEG", "class 0/truncated.jpg", "class 0/empty.jpg", "class 0/folder",
                               str(folder.parent / "@eaDir"), "beside.jpg", "notes"}
    assert left_out["class 0/folder"].startswith("a folder with 3 files.")
    assert left_out[str(folder.parent / "@eaDir")] == "4 hidden or system files like this one."
    assert left_out["notes"] == "not a class, because none of its 2 files can be decoded."
    assert "80 pictures" in printed
    assert Records(tmp_path / "packed").classes == ["class 0", "class 1", "class 2"]
    assert sorted(sum(numbers(Records(tmp_path / "packed").batches(32)), [])) == list(range(COUNT))


@pytest.mark.parametrize("prepare, said", [
    (lambda folder: None, "no sub-folders"),
    (lambda folder: write(Image.new("RGB", (9, 9)), folder / "1.jpg"), "no sub-folders"),
    (lambda folder: folder.rmdir(), "not a folder"),
    (lambda folder: [write(Image.new("RGB", (9, 9)), folder / "dog" / "1.jpg"), (folder / "cat").mkdir()],
     "1 of the 2 .* nothing in them, cat among them"),
    (lambda folder: write(Image.new("RGB", (9, 9)), folder / "train" / "dog" / "1.jpg"),
     "pictures/train has folders in it instead of pictures: dog"),
    (lambda folder: [(folder / "dog").mkdir(), (folder / "dog" / "1.jpg").write_text("not a picture")],
     "no picture that can be decoded in any of its 1 sub-folders")],
    ids=["no class folders", "pictures but no folders", "no folder", "an empty class folder", "one level too high",
         "nothing that can be decoded"])
def test_folders_without_classes_or_pictures_are_refused(prepare, said, tmp_path):
    (tmp_path / "pictures").mkdir()
    prepare(tmp_path / "pictures")
    process = command(tmp_path / "pictures", tmp_path / "packed")
    printed, error = process.communicate(timeout=HANG)
    assert process.returncode == 1 and printed == "" and "Traceback" not in error and error.count("\n") == 1
    assert re.search(said, error) and not list(tmp_path.glob("packed/*.*[!k]"))


@pytest.mark.parametrize("damage", [lambda c: c[:len(c) // 2], lambda c: c[:9000] + b"x" + c[9001:], lambda c: b""],
                         ids=["cut short", "a byte changed", "empty"])
def test_a_damaged_shard_is_named_and_made_anew(damage, pictures, packed):
    before, shard = content(packed), packed / "00002.tar"
    shard.write_bytes(damage(before[shard.name]))
    with pytest.raises(RecordsError, match=r"00002\.tar is damaged: .* Pack the same pictures again"):
        list(Records(packed).batches(16, [0, 1]))
    shard.write_bytes(before[shard.name])
    records = Records(packed)
    list(records.batches(16, [0, 1]))
    shard.write_bytes(damage(before[shard.name]))  # between two epochs
    with pytest.raises(RecordsError, match=r"00002\.tar is damaged: .* Pack the same pictures again"):
        list(records.batches(16, [0, 2]))
    pack(pictures, packed)
    assert content(packed) == before
    shard.unlink()
    with pytest.raises(RecordsError, match=r"00002\.tar is missing\. Pack the same"):
        Records(packed)
    pack(pictures, packed)
    assert content(packed) == before


def test_a_shard_that_is_cut_short_is_named_before_the_training_begins(packed):
    (packed / "00004.tar").write_bytes((packed / "00004.tar").read_bytes()[:-1])
    with pytest.raises(RecordsError, match=r"00004\.tar is damaged: it has [\d,]+ bytes instead of"):
        Records(packed)


def test_a_shard_is_checked_once_as_long_as_its_file_is_the_same(packed, monkeypatch):
    records, sha256, checked = Records(packed), hashlib.sha256, []
    monkeypatch.setattr(hashlib, "sha256", lambda content: checked.append(content) or sha256(content))
    for epoch in 1, 2, 3:
        list(records.batches(16, [0, epoch]))
    assert len(checked) == SHARDS


@pytest.mark.parametrize("index", ["", "{", "[]", "{}", '{"shards": {"1": 2}}', None])
def test_records_without_a_readable_index_are_refused(index, pictures, packed):
    path = packed / "index.json"
    path.unlink() if index is None else path.write_text(index)
    said = "missing: nothing has been packed" if index is None else "is damaged: .* into another folder"
    with pytest.raises(RecordsError, match=said):
        Records(packed)
    if index is not None:
        with pytest.raises(RecordsError, match=said):
            pack(pictures, packed)
        assert path.read_text() == index


def test_a_file_that_may_not_be_read_is_not_called_damaged(packed, monkeypatch):
    def denied(path, *rest, **named):
        raise PermissionError(13, "Permission denied", str(path))

    records = Records(packed)
    for name in "read_text", "read_bytes":
        monkeypatch.setattr(Path, name, denied)
    for call in lambda: list(records.batches(16)), lambda: Records(packed):
        with pytest.raises(RecordsError, match="cannot be read: Permission denied. Allow reading it") as raised:
            call()
        assert "Delete" not in str(raised.value) and "damaged" not in str(raised.value)


@pytest.mark.parametrize("function, name", [("shrunk", "31.png"), ("_listed", "class 1")])
def test_a_passing_error_of_reading_ends_the_packing_which_then_goes_on(function, name, pictures, packed, tmp_path,
                                                                      monkeypatch):
    again = tmp_path / "again"

    def stale(path, mode):
        if path.name == "31.png":
            raise OSError(116, "Stale file handle")
        return open(path, mode)

    def scandir(path):
        if str(path).endswith("class 1"):
            raise PermissionError(13, "Permission denied", str(path))
        return own(path)

    own = os.scandir
    with monkeypatch.context() as patch:
        if function == "shrunk":
            patch.setattr(picture_files, "open", stale, raising=False)
        else:
            patch.setattr(os, "scandir", scandir)
        with pytest.raises(RecordsError, match=f"{name} cannot be read: (Stale|Permission)"):
            pack(pictures, again)
    assert not list(again.glob("*.part"))
    pack(pictures, again)
    assert content(again) == content(packed)


def test_of_two_packers_of_one_folder_one_is_refused(pictures, packed, tmp_path):
    before, folder = content(packed), tmp_path / "again"
    stays = f"stop = p.Event()\np.shrunk = lambda path: stop.wait({HANG})"
    first = command(pictures, folder, before=stays)
    try:
        wait_for(lambda: (folder / ".lock").exists() or first.poll() is not None)
        wait_for(lambda: refused(pictures, folder) or first.poll() is not None)
    finally:
        first.kill()
        first.communicate()
    pack(pictures, folder)
    assert content(folder) == before


def refused(pictures, folder):
    process = command(pictures, folder)
    _, error = process.communicate(timeout=HANG)
    return process.returncode == 1 and error.startswith(f"Another process is packing into {folder}. Wait until")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_named_and_a_link_to_nothing_stops_the_packing(pictures, packed, tmp_path):
    shutil.copytree(pictures, tmp_path / "pictures")
    pipe, link = (tmp_path / "pictures" / "class 1" / name for name in ("pipe.jpg", "link.jpg"))
    os.mkfifo(pipe)
    process = command(tmp_path / "pictures", tmp_path / "again")
    printed, _ = process.communicate(timeout=HANG)
    assert process.returncode == 0 and f"left out: {pipe}: 1 pipes, sockets or devices" in printed
    assert (tmp_path / "again" / "00002.tar").read_bytes() == (packed / "00002.tar").read_bytes()
    link.symlink_to(tmp_path / "another disk" / "1.jpg")
    with pytest.raises(RecordsError, match=r"class 1.link\.jpg cannot be read: No such file"):
        pack(tmp_path / "pictures", tmp_path / "again")


def test_an_index_that_contradicts_the_shards_is_not_believed(pictures, packed):
    index = json.loads((packed / "index.json").read_text())
    before = content(packed)
    index["shards"]["00001.tar"]["pictures"] += 5
    (packed / "index.json").write_text(json.dumps(index))
    with pytest.raises(RecordsError, match=r"00001\.tar is damaged: it has 16 pictures instead of 21"):
        list(Records(packed).batches(16))
    pack(pictures, packed)
    assert content(packed) == before
    index["classes"].reverse()
    (packed / "index.json").write_text(json.dumps(index))
    with pytest.raises(RecordsError, match="its classes are not those of its plan"):
        pack(pictures, packed)


def test_a_replaced_picture_is_noticed_and_a_new_system_file_is_no_matter(pictures, packed, tmp_path):
    shutil.copytree(pictures, tmp_path / "pictures")
    before = content(packed)
    (tmp_path / "pictures" / "class 1" / "Thumbs.db").touch()
    pack(tmp_path / "pictures", packed)
    assert {name: each for name, each in content(packed).items() if name != "index.json"} == {
        name: each for name, each in before.items() if name != "index.json"}
    Image.effect_noise((300, 300), 50).save(tmp_path / "pictures" / "class 1" / "1.png")
    with pytest.raises(RecordsError, match="packed of other pictures"):
        pack(tmp_path / "pictures", packed)


def test_a_batch_that_is_larger_than_the_records_takes_no_more_memory_than_they_do(packed):
    records = Records(packed)
    (x, y), = records.batches(10**9)
    assert len(x) == len(y) == COUNT


@pytest.mark.skipif(os.name != "posix", reason="file names are Unicode here")
def test_a_name_that_is_not_utf_8_is_named(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "pictures")
    (tmp_path / "pictures" / "class 1" / os.fsdecode(b"\xe9t\xe9.jpg")).write_text("not a picture")
    process = command(tmp_path / "pictures", tmp_path / "packed")
    printed, error = process.communicate(timeout=HANG)
    assert process.returncode == 0 and error == "" and "left out: class 1/?t?.jpg: " in printed


def test_records_of_other_pictures_are_not_mixed(pictures, packed, tmp_path):
    before = content(packed)
    shutil.copytree(pictures, tmp_path / "other")
    (tmp_path / "other" / "class 1" / "1.png").unlink()
    with pytest.raises(RecordsError, match="packed of other pictures"):
        pack(tmp_path / "other", packed)
    assert content(packed) == before


def test_training_and_validation_have_to_have_the_same_classes_and_fill_a_batch(pictures, tmp_path):
    pack(pictures, tmp_path / "train")
    shutil.copytree(tmp_path / "train", tmp_path / "val")
    assert [len(records) for records in load(tmp_path, 32)] == [COUNT, COUNT]
    with pytest.raises(RecordsError, match="train is only one part of the records"):
        load(tmp_path / "train", 32)
    with pytest.raises(RecordsError, match="80 pictures to train on and 80 to validate on; 128 make a batch"):
        load(tmp_path, 128)
    index = json.loads((tmp_path / "val" / "index.json").read_text())
    (tmp_path / "val" / "index.json").write_text(json.dumps({**index, "classes": ["class 0"]}))
    with pytest.raises(RecordsError, match="has 3 classes, .* has 1, and they are not the same"):
        load(tmp_path, 32)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_packing_goes_on_where_it_was_ended(end, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "SHARD", 4)
    pack(pictures, tmp_path / "packed")
    undisturbed, folder = content(tmp_path / "packed"), tmp_path / "again"
    # Two threads pack seven pictures, so one of them has a shard of four, and then stay there until they are stopped.
    stays = ("import itertools, signal\nsignal.signal(2, signal.default_int_handler)\np.cpu_count = lambda: 2\n"
             "stop, shrunk, count = p.Event(), p.shrunk, itertools.count()\np.Event = lambda: stop\n"
             f"p.shrunk = lambda path: (next(count) < 10 or stop.wait({HANG}), shrunk(path))[1]")

    def shards():  # and when: one that the index does not count yet is packed again
        return {path: path.stat().st_mtime_ns for path in folder.glob("*.tar")}

    for _ in range(3):
        before = shards()
        process = command(pictures, folder, before=stays)
        wait_for(lambda: shards() != before or process.poll() is not None)
        process.send_signal(end)
        _, error = process.communicate(timeout=HANG)
        if end == signal.SIGINT:
            assert process.returncode == 1 and error.startswith("Interrupted.") and error.count("\n") == 1, error
            assert not list(folder.glob("*.part"))
        for path in folder.glob("*.tar"):
            assert path.read_bytes() == undisturbed[path.name]
        with pytest.raises(RecordsError, match="of 20 shards: its packing was interrupted"):
            Records(folder)
    pack(pictures, folder)
    assert content(folder) == undisturbed


def test_a_full_disk_leaves_whole_shards_and_packing_goes_on(pictures, packed, tmp_path):
    (tmp_path / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(tmp_path / "disk")]
    if os.name != "posix" or os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        folder = tmp_path / "disk" / "packed"
        process = command(pictures, folder)
        _, error = process.communicate(timeout=HANG)
        assert process.returncode == 1 and error.count("\n") == 1
        assert re.search(r"cannot be written: No space left on device\. Its disk has \d MB free\. Make room", error)
        assert {path.suffix for path in folder.glob("*.*")} <= {".tar", ".json", ""} and list(folder.glob("*.tar"))
        assert not list(folder.glob("*.part"))
        for path in folder.glob("*.tar"):
            assert path.read_bytes() == (packed / path.name).read_bytes()
        subprocess.run([*mount[:4], "remount,size=10m", *mount[5:]], check=True)
        pack(pictures, folder)
        assert content(folder) == content(packed)
    finally:
        subprocess.run(["umount", str(tmp_path / "disk")], check=True)
