"""Files are written whole or not at all, by one process at a time, and an error says what to do about it."""
import errno
import os
import subprocess
import sys
import time

import pytest
from test_mnist import HANG

from compare import atomic
from compare.scripts import ROOT
from mnist import DataError

HOLD = f"""
import sys, time
from compare import atomic
with atomic.lock({{path!r}}, "packing"):
    print("locked", flush=True)
    time.sleep({HANG})
"""


@pytest.mark.parametrize("error, reason", [
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), os.strerror(errno.ENOSPC)),
    (RuntimeError("basic_ios::clear: iostream error"), "basic_ios::clear: iostream error")])  # PyTorch, on a full disk
def test_what_cannot_be_written_leaves_the_earlier_file_and_nothing_else(error, reason, tmp_path):
    path = tmp_path / "results" / "table.md"
    atomic.write(path, "whole")
    with pytest.raises(DataError, match=r"table\.md cannot be written: (.*)\. Its disk has [\d,]+ MB free") as raised:
        with atomic.replacing(path) as temporary:
            temporary.write_text("hal")
            raise error
    assert reason in str(raised.value) and "run the same command again" in str(raised.value)
    assert path.read_text() == "whole" and list(path.parent.iterdir()) == [path]


def test_an_interrupted_writing_leaves_the_earlier_file_and_nothing_else(tmp_path):
    atomic.write(tmp_path / "file", b"whole")
    with pytest.raises(KeyboardInterrupt), atomic.replacing(tmp_path / "file") as temporary:
        temporary.write_text("hal")
        raise KeyboardInterrupt
    assert (tmp_path / "file").read_text() == "whole" and len(list(tmp_path.iterdir())) == 1


def test_a_place_that_cannot_be_written_is_named_before_the_work(tmp_path):
    atomic.check(tmp_path / "new" / "file")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").touch()
    for path in tmp_path / "file" / "model", tmp_path / "file" / "folder" / "model":
        with pytest.raises(DataError, match=f"{path.name} cannot be written: "):
            atomic.check(path)
        with pytest.raises(DataError, match="cannot be written: "):
            atomic.lock(path, "training")


def test_a_lock_keeps_others_out_until_its_process_ends(tmp_path):
    path = str(tmp_path / "folder" / ".lock")
    holder = subprocess.Popen([sys.executable, "-c", HOLD.format(path=path)], cwd=ROOT, text=True,
                              stdout=subprocess.PIPE)
    assert holder.stdout.readline() == "locked\n"
    with pytest.raises(DataError, match="^Another process is packing. Wait until it ends, then run the same command"):
        atomic.lock(path, "packing")
    holder.kill()
    holder.communicate()
    deadline = time.monotonic() + HANG
    while True:
        try:
            with atomic.lock(path, "packing"):
                break
        except DataError:
            assert time.monotonic() < deadline
    with atomic.lock(path, "packing"):
        pass


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path):
    for number in errno.EACCES, errno.EAGAIN, errno.EIO:
        said = str(atomic.not_readable("model", OSError(number, "whatever"), "Move it away."))
        assert said.startswith(f"model cannot be read: {os.strerror(number)}. Allow reading it, or wait")
        assert "Move" not in said
    said = str(atomic.not_readable("model", EOFError(), "Move it away."))
    assert said == "model is damaged, or was not written by this program: EOFError. Move it away."
