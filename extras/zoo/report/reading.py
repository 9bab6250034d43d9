"""Reads the folder of a run, run.json, history.csv and model.keras, and says what is wrong with a broken one."""
import csv
import io
import json
import os
import re
import zipfile
from pathlib import Path

from extras.zoo.report.words import count, cut, shorten

TYPES = {  # what run.json has to hold under these names, if it has them at all
    "network": (str, "a text"), "parameters": (int, "a whole number"), "epochs": (int, "a whole number"),
    "epochs_ended": (int, "a whole number"), "finished": (bool, "true or false"),
    "training_time": ((int, float), "a number of seconds"), "test_accuracy": ((int, float), "a number from 0 to 1"),
    "platform": (dict, "an object")}
COLUMNS = {  # what history.csv can show: the names of its column (the first that is there); val_... is for validation
    "Accuracy": ["accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy"], "Loss": ["loss"],
    "Learning rate": ["learning_rate", "lr"]}


csv.field_size_limit(2 ** 31 - 1)  # a longer cell than csv's 131,072 letters is no number, and then called so


class RunError(Exception):
    """A folder holds no run, or a broken one; the message names the file and says what is wrong with it."""


def read_run(folder):
    """Return the run in `folder` as a dict: folder (its name), path, about (run.json), history (a dict for each epoch).

    Raises:
        RunError: a file is missing, truncated, or holds something else than it should.
    """
    folder = Path(folder)
    if not os.path.isdir(folder):  # which, unlike folder.is_dir(), is False also of a name that is too long
        found = "no folder" if os.path.exists(folder) else "missing"
        raise RunError(f"{cut(str(folder), 200)} is {found}, so it holds no run.")
    about, history = read_about(folder / "run.json"), read_history(folder / "history.csv")
    if len(history) < about.get("epochs_ended", 0):
        raise RunError(f"{folder / 'history.csv'} has {count(len(history), 'epoch')}, but according to run.json "
                       f"{about['epochs_ended']} have ended. It is truncated.")
    return {"folder": folder.resolve().name, "path": folder, "about": about, "history": history}


def read_text(path):
    """Return the text in a file.

    Raises:
        RunError: it is missing, cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")  # where some programs put a byte-order mark
    except FileNotFoundError:
        raise RunError(f"{path} is missing. A run is a folder with run.json and history.csv.") from None
    except UnicodeDecodeError:
        raise RunError(f"{path} is no text in UTF-8. It is damaged, or another kind of file.") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}.") from None


def read_about(path):
    """Return what run.json holds, without null; the values that this report counts with are checked.

    Raises:
        RunError: it is missing or damaged, or one of these values is impossible.
    """
    try:
        about = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is no JSON: {error}. It is truncated or damaged.") from None
    if not isinstance(about, dict):
        raise RunError(f"{path} holds no JSON object, but a run is described by one: {{\"network\": \"lenet\", ...}}.")
    for name, (kind, words) in TYPES.items():
        value = about.get(name)
        right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if value is not None and not (right and (kind in (str, bool, dict) or 0 <= value < 1e18)):
            raise RunError(f"{path} has {cut(json.dumps(value), 60)} as {name}, which has to be {words}.")
    if about.get("test_accuracy") is not None and about["test_accuracy"] > 1:
        raise RunError(f"{path} has {about['test_accuracy']} as test_accuracy, which has to be a number from 0 to 1.")
    about = {name: value for name, value in about.items() if value is not None}
    if "dataset" in about and not isinstance(about["dataset"], dict):
        about["dataset"] = {"name": about["dataset"]}
    return about


def read_history(path):
    """Return history.csv as a list of dicts, {"epoch": 1, "accuracy": 0.9, ...}, without its empty cells.

    Raises:
        RunError: it is missing or truncated, or has a value that is impossible.
    """
    text = read_text(path)
    if not text.strip():
        raise RunError(f"{path} is empty, even its line of names is missing. It is truncated.")
    try:
        names, *lines = csv.reader(io.StringIO(text, newline=""))
    except csv.Error as error:
        raise RunError(f"{path} is no CSV: {error}. It is damaged, or another kind of file.") from None
    whole = text.endswith(("\n", "\r"))  # or some program leaves out the last newline
    if not whole and len((lines or [[]])[-1]) != len(names):
        raise RunError(f"{path} breaks off in its last line, {shorten(text.splitlines()[-1])}. It is truncated.")
    names = [name.strip() for name in names]
    if "epoch" not in names or len(set(names)) < len(names):
        raise RunError(f"{path} begins with {shorten(','.join(names))}, but its first line has to name the columns, "
                       "one of them epoch, none of them twice.")
    history = []
    for number, line in enumerate(lines, 2):
        if not line:
            continue
        if len(line) != len(names):
            raise RunError(f"{path} has {count(len(line), 'value')} in line {number} and {len(names)} names above "
                           "them. It is truncated or damaged.")
        row = {}
        for name, value in zip(names, line):
            try:
                row |= {name: float(value)} if value else {}
            except ValueError:
                raise RunError(f"{path} has {shorten(value)} as {name} in line {number}, which is no number.") from None
            if "acc" in name and value and (row[name] < 0 or row[name] > 1):
                raise RunError(f"{path} has {cut(value, 60)} as {name} in line {number}; an accuracy is a number from "
                               "0 to 1.")
        if not row.get("epoch", 0.5).is_integer() or history and row["epoch"] <= history[-1]["epoch"]:
            raise RunError(f"{path} has {shorten(line[names.index('epoch')])} as epoch in line {number}, but epochs "
                           "are counted upwards by whole numbers.")
        history.append(row)
    if history and history[0]["epoch"] == 0:  # as Keras's CSVLogger counts
        history = [row | {"epoch": row["epoch"] + 1} for row in history]
    return history


def tell_apart(runs):
    """Give runs whose folders have the same name as much more of their paths as tells them apart: a/run, b/run."""
    paths = {run["folder"]: [] for run in runs}
    for run in runs:
        paths[run["folder"]].append(run["path"].resolve())
    for run in runs:
        same = paths[run["folder"]]
        parts = run["path"].resolve().parts
        length = next(n for n in range(1, len(parts) + 1) if sum(path.parts[-n:] == parts[-n:] for path in same) == 1)
        run["folder"] = Path(*parts[-length:]).as_posix()


def read_model(path):
    """Return the Keras model in the file `path`, not compiled; None if there is no such file.

    Raises:
        RunError: Keras cannot make a model of it, or one without weights.
    """
    if not path.exists():
        return None
    from extras.zoo.training import keras  # only now: runs of other libraries need no Keras
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # whatever a foreign file makes Keras stumble over
        written, reason = "a file of another kind", " ".join(str(error).split()) or type(error).__name__
        try:
            with zipfile.ZipFile(path) as file:
                written = f"a file of Keras {json.loads(file.read('metadata.json'))['keras_version']}"
        except zipfile.BadZipFile:
            reason = "it is truncated, or no zip archive."
        except Exception:  # it is no such file at all
            pass
        reason = reason.rpartition("Exception encountered: ")[2].replace(str(path), path.name)  # the innermost error
        reason = re.split(r"\.( |$)", reason)[0]  # its first sentence; others advise who wrote the model
        raise RunError(f"{path.name}, {written}, cannot be read by Keras {keras.version()}: "
                       f"{cut(reason, 200)}.") from None
    if not model.built:
        raise RunError(f"{path.name} has no weights: the model was saved before it was built. Give it an Input layer.")
    return model
