"""Checkpoints, from which a training goes on where it was ended: only with the same settings and the same data."""
import os
import pickle
import zlib
from pathlib import Path

from compare import atomic
from mnist import DataError

ADVICE = "Move it away to begin anew."
held = {}  # locks on the checkpoints of this process, until it ends


def digits(x, y):
    """Return a text that tells these training digits from others: their number, and a checksum of pixels and labels."""
    return f"{len(x):,} digits with checksum {zlib.crc32(y, zlib.crc32(x)):08x}"


def load_torch(path, run, parts):
    """Put a checkpoint of PyTorch into `parts`; return after how many epochs it was saved, 0 if there is none.

    Args:
        path: the file. Call this before the training: if save_torch() could not write there, it says so now.
        run: a text that describes the settings and the data of this training.
        parts: what save_torch() was given, {"model": model, "optimizer": optimizer}, for example.

    Raises:
        DataError: the checkpoint cannot be read or written, is damaged, or is of another run.
    """
    if not _begin(path):
        return 0
    import torch  # here, because other programs use other libraries
    try:
        saved = torch.load(path, "cpu")
        _compare(path, saved["run"], run)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        return saved["epoch"]
    except (OSError, EOFError, LookupError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise atomic.not_readable(path, error, ADVICE) from None


def save_torch(path, run, epoch, parts, **more):
    """Write the states of `parts`, and what is in `more`, atomically. Raises DataError if that is impossible."""
    import torch
    states = {name: part.state_dict() for name, part in parts.items()}
    with atomic.replacing(path) as temporary:
        torch.save({"run": run, "epoch": epoch, **more, **states}, temporary)


def load_keras(path, run, model):
    """Put a checkpoint of Keras into a compiled model and its optimizer; otherwise like load_torch()."""
    if not _begin(path):
        return 0
    import h5py
    try:
        with h5py.File(path) as file:
            _compare(path, file.attrs["run"], run)
            epoch = int(file.attrs["epoch"])
        model.optimizer.build(model.trainable_variables)
        model.load_weights(path)
        return epoch
    except (OSError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise atomic.not_readable(path, error, ADVICE) from None


def save_keras(path, run, epoch, model):
    """Write the weights of a model and the state of its optimizer; otherwise like save_torch()."""
    import h5py
    with atomic.replacing(path) as temporary:
        model.save_weights(temporary)
        with h5py.File(temporary, "a") as file:
            file.attrs.update({"run": run, "epoch": epoch})


def _begin(path):
    """Return whether there is a checkpoint; from now on, no other training may use it."""
    path = Path(path).absolute()
    if path not in held and os.environ.get("RANK", "0") == "0":  # torchrun's other processes leave it to the first
        held[path] = atomic.lock(path.with_name(f".{path.name}.lock"), f"training with {path.name}, in the same folder")
    atomic.check(path)
    return path.exists()


def _compare(path, found, run):
    if found != run:
        raise DataError(f"{path} is of another run: {found}. This one is: {run}. Continue that one, or move the file "
                        "away to begin anew.")
