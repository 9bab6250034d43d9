"""Make one document of any number of training runs, as report.html and as report.pdf.

    python -m zoo.report runs/*             all runs, in report.html and report.pdf
    python -m zoo.report runs/* -o mine     in mine.html and mine.pdf

A run is a folder with run.json and history.csv, as zoo/training.py leaves it; with model.keras there are also its
architecture, its confusion matrix and its mistakes. All that stands in either document comes from document().
"""
import argparse
import base64
import csv
import glob
import inspect
import io
import json
import math
import re
import sys
import zipfile
from datetime import datetime
from pathlib import Path
from statistics import median

import jinja2
import matplotlib
import numpy as np
import typst
from PIL import Image

from common import whole
import mnist

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

FOLDER = Path(__file__).resolve().parent
BLUE, ORANGE = "#0072b2", "#d55e00"  # of Okabe and Ito (2008), which the colour-blind can tell apart
MISTAKES = 20  # pictures for each run
TYPES = {  # what run.json has to hold under these names, if it has them at all
    "network": (str, "a text"), "parameters": (int, "a whole number"), "epochs": (int, "a whole number"),
    "epochs_ended": (int, "a whole number"), "finished": (bool, "true or false"),
    "training_time": ((int, float), "a number of seconds"), "test_accuracy": ((int, float), "a number from 0 to 1"),
    "platform": (dict, "an object")}
CURVES = [  # title, names of the column for training (the first that is there), name for the validation part
    ("Accuracy", ["accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy"]), ("Loss", ["loss"]),
    ("Learning rate", ["learning_rate", "lr"])]
SHOWN = ["activation", "kernel_size", "pool_size", "strides", "padding"]  # of a layer, also where they are the default


class RunError(Exception):
    """A folder holds no run, or a broken one; the message names the file and says what is wrong with it."""


# Reading a run

def read_run(folder):
    """Return the run in `folder` as a dict: folder (its name), path, about (run.json), history (a dict for each epoch).

    Raises:
        RunError: a file is missing, truncated, or holds something else than it should.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError(f"{folder} is {'no folder' if folder.exists() else 'missing'}, so it holds no run.")
    about, history = read_about(folder / "run.json"), read_history(folder / "history.csv")
    if len(history) < about.get("epochs_ended", 0):
        raise RunError(f"{folder / 'history.csv'} has {count(len(history), 'epoch')}, but according to run.json "
                       f"{about['epochs_ended']} have ended. It is truncated.")
    return {"folder": folder.resolve().name, "path": folder, "about": about, "history": history}


def read_text(path):
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RunError(f"{path} is missing. A run is a folder with run.json and history.csv.") from None
    except UnicodeDecodeError:
        raise RunError(f"{path} is no text in UTF-8. It is damaged, or another kind of file.") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}.") from None


def read_about(path):
    """Return what run.json holds, the values that this report counts with checked."""
    try:
        about = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is no JSON: {error}. It is truncated or damaged.") from None
    if not isinstance(about, dict):
        raise RunError(f"{path} holds no JSON object, but a run is described by one: {{\"network\": \"lenet\", ...}}.")
    for name, (kind, words) in TYPES.items():
        value = about.get(name)
        right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if value is not None and not (right and (kind in (str, bool, dict) or 0 <= value < math.inf)):
            raise RunError(f"{path} has {json.dumps(value)} as {name}, which has to be {words}.")
    if about.get("test_accuracy") is not None and about["test_accuracy"] > 1:
        raise RunError(f"{path} has {about['test_accuracy']} as test_accuracy, which has to be a number from 0 to 1.")
    about = {name: value for name, value in about.items() if value is not None}
    if "dataset" in about and not isinstance(about["dataset"], dict):
        about["dataset"] = {"name": about["dataset"]}
    return about


def read_history(path):
    """Return history.csv as a list of dicts, {"epoch": 1, "accuracy": 0.9, ...}, without its empty cells."""
    text = read_text(path)
    if not text.strip():
        raise RunError(f"{path} is empty, even its line of names is missing. It is truncated.")
    if not text.endswith("\n"):
        raise RunError(f"{path} breaks off in its last line, {shorten(text.splitlines()[-1])}. It is truncated.")
    names, *lines = list(csv.reader(io.StringIO(text, newline="")))
    if "epoch" not in names or len(set(names)) < len(names):
        raise RunError(f"{path} begins with {shorten(','.join(names))}, but its first line has to name the columns, "
                       "one of them epoch, none of them twice.")
    history = []
    for number, line in enumerate(lines, 2):
        if len(line) != len(names):
            raise RunError(f"{path} has {count(len(line), 'value')} in line {number} and {len(names)} names above "
                           "them. It is truncated or damaged.")
        row = {}
        for name, value in zip(names, line):
            try:
                row |= {name: float(value)} if value else {}
            except ValueError:
                raise RunError(f"{path} has {shorten(value)} as {name} in line {number}, which is no number.") from None
            if "acc" in name and value and not 0 <= row[name] <= 1:
                raise RunError(f"{path} has {value} as {name} in line {number}; an accuracy is a number from 0 to 1.")
        if not row.get("epoch", 0.5).is_integer() or history and row["epoch"] <= history[-1]["epoch"]:
            raise RunError(f"{path} has {shorten(line[names.index('epoch')])} as epoch in line {number}, but epochs "
                           "are counted upwards by whole numbers.")
        history.append(row)
    if history and history[0]["epoch"] == 0:  # as Keras's CSVLogger counts
        history = [row | {"epoch": row["epoch"] + 1} for row in history]
    return history


def read_model(path):
    """Return the Keras model in the file `path`, not compiled.

    Raises:
        RunError: Keras cannot make a model of it.
    """
    from zoo.training import keras  # only now: runs of other libraries need no Keras
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # whatever a foreign file makes Keras stumble over
        written = "a file of another kind"
        try:
            with zipfile.ZipFile(path) as file:
                written = f"a file of Keras {json.loads(file.read('metadata.json'))['keras_version']}"
        except Exception:  # it is no such file at all
            pass
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RunError(f"{path}, {written}, cannot be read by Keras {keras.version()}: "
                       f"{shorten(reason, 200)}") from None


# Words and figures

def count(number, noun):
    return f"{number} {noun}{'' if number == 1 else 's'}"


def shorten(text, length=60):
    return repr(text if len(text) <= length else text[:length - 1] + "…")


def percent(value):
    return "–" if value is None else f"{100 * value:.2f} %"


def words(value):
    """Return a value of run.json as the text that the documents show."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, list):
        return " × ".join(map(words, value)) if all(isinstance(v, int) for v in value) else ", ".join(map(words, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {words(each)}" for name, each in value.items())
    return str(value)


def rows(value, label=""):
    """Return a value of run.json as pairs [label, text]; that of an object that has a name is a row of its own."""
    if not isinstance(value, dict):
        return [[label, str(value) if label == "seed" else words(value)]]
    found, within = [], label
    if label and isinstance(value.get("name"), str):
        found, within = [[label, value["name"]]], value["name"]
    for name, each in value.items():
        if not (found and name == "name"):
            found += rows(each, f"{within} {name}".strip().replace("_", " "))
    return found


def facts(run):
    """Return what is known of a run beside its curves: [{"title": "Dataset", "rows": [[label, text], ...]}, ...]."""
    about, history = run["about"], run["history"]
    last = history[-1] if history else {}
    training = rows({name: value for name, value in about.items()
                     if name not in ("network", "dataset", "platform", "parameters", "training_time")})
    if "training_time" in about:
        training.append(["training time", f"{about['training_time']:,.1f} s"])
    for name, label in ("seconds", "seconds per epoch, median"), ("images_per_second", "images per second, median"):
        if values := [row[name] for row in history if name in row]:
            middle = median(values)
            training.append([label, f"{middle:,.0f}" if middle >= 1000 else f"{middle:.2f}"])
    for name, value in last.items():
        if name not in ("epoch", "seconds", "images_per_second"):
            of = "training " if name in CURVES[0][1] + CURVES[1][1] else ""
            training.append([f"{of}{name.replace('val_', 'validation ')}, last epoch".replace("_", " "),
                             percent(value) if "acc" in name else words(value)])
    training = [[label, percent(about["test_accuracy"]) if label == "test accuracy" else text]
                for label, text in training]
    parts = [("Dataset", rows(about.get("dataset", {}))), ("Training", training),
             ("Platform", rows(about.get("platform", {})))]
    return [{"title": title, "rows": found} for title, found in parts if found]


def remarks(run):
    """Return sentences on how a run ended, if not as it was meant to."""
    about, ended = run["about"], len(run["history"])
    if about.get("finished", True):
        return []
    of = f" of {about['epochs']}" if "epochs" in about else ""
    return [f"This run did not come to its end: it ended after {ended}{of} epochs, and has no test accuracy."]


# Drawings

def svg(figure, salt):
    """Return Matplotlib's figure as an SVG element, in whose ids `salt` keeps it apart from the others of a page."""
    buffer = io.StringIO()
    with plt.rc_context({"svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None},
                       transparent=True)
    plt.close(figure)
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg"):]
    return re.sub(r'<g id="[^"]*"', "<g", drawing).replace("<metadata>", "").replace("</metadata>", "")


def new_figure(width, height, layout=None):
    plt.rcParams.update({"svg.fonttype": "none", "font.size": 8, "font.family": "DejaVu Sans",
                         "axes.spines.top": False, "axes.spines.right": False, "axes.formatter.useoffset": False})
    return plt.figure(figsize=(width, height), layout=layout)


def curves(run, salt):
    """Return the curves of a run: [{"title": "Accuracy", "svg": ..., "text": what it shows, in words}, ...]."""
    history, drawings = run["history"], []
    for number, (title, names) in enumerate(CURVES):
        name = next((name for name in names if any(name in row for row in history)), None)
        lines = [(part, [(row["epoch"], row[column]) for row in history if column in row], colour, marker)
                 for part, column, colour, marker in (("training", name, BLUE, "o"),
                                                      ("validation", f"val_{name}", ORANGE, "s"))]
        lines = [line for line in lines if any(math.isfinite(value) for _, value in line[1])]
        if not lines:
            continue
        figure = new_figure(2.5, 2.0, "constrained")
        axis = figure.add_subplot(xlabel="epoch", title=title + (", %" if title == "Accuracy" else ""))
        said = []
        for part, points, colour, marker in lines:
            x, y = zip(*points)
            scale, unit = (100, " %") if title == "Accuracy" else (1, "")
            axis.plot(x, [scale * value for value in y], color=colour, linewidth=1.2, marker=marker, label=part,
                      markersize=4 if len(x) <= 30 else 0)
            shown = [f"{scale * value:.2f} %" if unit else f"{value:.4g}" for value in (y[0], y[-1])]
            said.append(f"{part} from {shown[0]} to {shown[1]}" if title != "Learning rate" else
                        f"from {shown[0]} to {shown[1]}")
        axis.xaxis.get_major_locator().set_params(integer=True, steps=[1, 2, 5, 10])
        axis.grid(alpha=0.25)
        if len(x) == 1:
            axis.set_xlim(x[0] - 1, x[0] + 1)
        if title == "Learning rate":
            axis.set_ylim(0, max(value for value in y if math.isfinite(value)) * 1.1 or 1)
        else:
            axis.legend(frameon=False, handlelength=1.5)
        first, last = history[0]["epoch"], history[-1]["epoch"]
        drawings.append({"title": title, "svg": svg(figure, f"{salt} {number}"),
                         "text": f"{title}, epochs {first:g} to {last:g}: {', '.join(said)}."})
    return drawings


def depths(layers):
    """Return the row of each layer: one below the lowest of those it comes from."""
    found = {}
    for layer in layers:  # Keras lists a layer after those it comes from
        found[layer["name"]] = max((found[name] + 1 for name in layer["inbound"] if name in found), default=0)
    return found


def places(layers):
    """Return {name: (x, row)} for each layer and the ways [(x, row), ...] from layer to layer, for a drawing.

    A way that passes a row without a layer on it takes a place there, so that it goes around the others. The order
    within each row follows from the mean place of the neighbours, first those above, then those below.
    """
    depth = depths(layers)
    grid = [[] for _ in range(max(depth.values()) + 1)]
    for name, row in depth.items():
        grid[row].append(name)
    ways, neighbours = [], {}
    for layer in layers:
        for source in dict.fromkeys(name for name in layer["inbound"] if name in depth):
            way = [source]
            for row in range(depth[source] + 1, depth[layer["name"]]):
                way.append((source, layer["name"], row))
                grid[row].append(way[-1])
            way.append(layer["name"])
            ways.append(way)
            for a, b in zip(way, way[1:]):
                neighbours.setdefault((a, 1), []).append(b)
                neighbours.setdefault((b, -1), []).append(a)
    x = {node: i - (len(row) - 1) / 2 for row in grid for i, node in enumerate(row)}
    for side in (-1, 1, -1):
        for row in grid if side < 0 else grid[::-1]:
            mean = {node: np.mean([x[n] for n in neighbours.get((node, side), [node])]) for node in row}
            row.sort(key=mean.get)
            x |= {node: i - (len(row) - 1) / 2 for i, node in enumerate(row)}
    row_of = {node: i for i, row in enumerate(grid) for node in row}
    return {name: (x[name], depth[name]) for name in depth}, [[(x[n], row_of[n]) for n in way] for way in ways]


def draw(layers, salt):
    """Return a drawing of the layers, from the top to the bottom, as SVG."""
    points, ways = places(layers)
    columns = 1 + 2 * max(abs(x) for way in [points.values(), *ways] for x, _ in way)
    height, step, box = 1 + max(row for _, row in points.values()), 0.58, 0.36  # inches
    figure = new_figure(1.9 * columns, step * height)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(-columns / 2, columns / 2), ylim=(step * (height - 0.5), -step * 0.5))
    axis.axis("off")
    for way in ways:
        ends = {0, len(way) - 1}  # boxes; between them the way passes a free place
        for i, ((x, row), (to_x, to_row)) in enumerate(zip(way, way[1:])):
            begin = x, row * step + (box / 2 if i in ends else 0)
            end = to_x, to_row * step - (box / 2 if i + 1 in ends else 0)
            axis.annotate("", end, begin, zorder=1, arrowprops={
                "arrowstyle": "-|>" if i + 1 in ends else "-", "color": "#888888", "shrinkA": 0, "shrinkB": 0,
                "mutation_scale": 8})
    for layer in layers:
        x, row = points[layer["name"]]
        axis.add_patch(matplotlib.patches.FancyBboxPatch(
            (x - 0.43, row * step - box / 2), 0.86, box, boxstyle="round,pad=0,rounding_size=0.04",
            mutation_aspect=1.9, facecolor="#dbe9f6", edgecolor=BLUE, linewidth=0.8, zorder=2))
        about = layer["shape"] + (f", {layer['activation']}" if layer["activation"] else "")
        for text, y, size in (layer["type"], -0.07, 7.5), (about, 0.085, 6.5):
            axis.text(x, row * step + y, text if len(text) < 34 else text[:32] + "…", ha="center", va="center",
                      fontsize=size, color="#111111", zorder=3)
    return svg(figure, salt)


# Architecture

def inbound(value):
    """Return the names of the layers from which the tensors in a serialised call come, in order."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return [value["config"]["keras_history"][0]]
        value = list(value.values())
    return [name for each in value for name in inbound(each)] if isinstance(value, (list, tuple)) else []


def shape_words(shape):
    """Return an output shape without its batch, (None, 26, 26, 32), as "26 × 26 × 32"; several as a list."""
    if isinstance(shape, dict):
        shape = list(shape.values())
    if shape and not isinstance(shape[0], (int, type(None))):
        return "; ".join(map(shape_words, shape))
    return " × ".join("any" if size is None else f"{size}" for size in shape[1:]) or "scalar"


def without_names(value):
    """Return a layer's config without what differs from run to run: the names Keras counts, the seeds."""
    if isinstance(value, dict):
        passing = ("name", "seed", "build_config")
        return {name: without_names(each) for name, each in value.items() if name not in passing}
    return [without_names(each) for each in value] if isinstance(value, (list, tuple)) else value


def option(value):
    """Return a setting of a layer in words; of what Keras serialised, the name of its class and its settings."""
    if isinstance(value, dict) and "class_name" in value:
        inner = without_names(value.get("config"))
        inner = words({k: v for k, v in inner.items() if v is not None}) if isinstance(inner, dict) else ""
        return value["class_name"] + (f" ({inner})" if inner else "")
    return words(list(value) if isinstance(value, tuple) else value)


def configuration(layer):
    """Return the settings of a layer in words: those it was given, and the most telling ones."""
    config = layer.get_config()
    parameters = inspect.signature(type(layer).__init__).parameters.values()
    required = [p.name for p in parameters if p.name in config and (p.default is p.empty or p.name == "batch_shape")]
    try:
        default = type(layer)(**{name: config[name] for name in required}).get_config()
    except Exception:  # some layers take no serialised arguments; then all settings are shown
        default = {}
    shown = [name for name in config if name in required or name in SHOWN and config[name] is not None
             or config[name] != default.get(name) and without_names(config[name]) != without_names(default.get(name))]
    return ", ".join(f"{name.replace('_', ' ')} {option(config[name])}" for name in shown
                     if name not in ("name", "dtype", "seed", "batch_shape"))


def architecture(model):
    """Return a model's layers as a list of dicts, and a key that two models of the same network share.

    A layer has name, type, shape, configuration, parameters, inbound (names of layers) and activation ("" for none).
    Names that Keras counted up are counted anew, so that they do not depend on what else a process had built.
    """
    from zoo.training import keras
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs, model.outputs)  # the same layers, and the input one of them
    entries = {entry["config"]["name"]: entry for entry in model.get_config()["layers"]}
    kinds = [type(layer).__name__ for layer in model.operations]
    names, numbers, layers, key = {}, {}, [], []
    for layer, kind in zip(model.operations, kinds):
        automatic = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind)).lower()
        numbers[kind] = numbers.get(kind, 0) + 1
        counted = automatic if kinds.count(kind) == 1 else f"{automatic}_{numbers[kind]}"
        names[layer.name] = counted if re.fullmatch(rf"{automatic}(_\d+)?", layer.name) else layer.name
    for layer, kind in zip(model.operations, kinds):
        sources = list(dict.fromkeys(inbound(entries[layer.name].get("inbound_nodes", []))))
        parameters = layer.count_params() if hasattr(layer, "count_params") else 0
        activation = layer.get_config().get("activation")
        layers.append({
            "name": names[layer.name], "type": kind, "shape": shape_words(layer.output.shape),
            "configuration": count(len(layer.layers), "layer") if isinstance(layer, keras.Model)
            else configuration(layer),
            "parameters": f"{parameters:,}", "inbound": [names[name] for name in sources],
            "activation": activation if isinstance(activation, str) else ""})
        key.append([kind, without_names(layer.get_config()), layers[-1]["shape"], parameters,
                    [list(names).index(name) for name in sources]])
    return layers, json.dumps(key, sort_keys=True, default=str)


# Predictions

def test_digits():
    """Return the images (n, 784) and labels (n,) of the test set that mnist.py finds, and the data set's name."""
    from zoo.training import dataset_name
    _, _, (x, y) = mnist.load_data(validation_size=0)
    return x, y, dataset_name(x)


def predictions(run, model, digits):
    """Return a model's confusion matrix and its most confident mistakes on the test digits.

    Args:
        run: as read_run() returns it.
        model: its Keras model.
        digits: images, labels and name, as test_digits() returns them; or a sentence that says why there are none.

    Returns:
        A dict with a text, and with matrix (10 rows of 10: digits of this class taken for that) and mistakes, unless
        the model cannot be asked; then the text says why.
    """
    dataset = run["about"].get("dataset", {})
    shapes = [getattr(model, "input_shape", None), getattr(model, "output_shape", None)]
    if isinstance(digits, str):
        return {"text": digits}
    x, y, name = digits
    if not (all(isinstance(shape, tuple) for shape in shapes) and None not in shapes[0][1:]
            and math.prod(shapes[0][1:]) == 784 and shapes[1][1:] == (10,)):
        return {"text": "No confusion matrix and no mistakes: the model does not lead from the 784 values of an image "
                        "to ten classes."}
    if (dataset.get("name"), dataset.get("test")) != (name, len(y)):
        known = f"{dataset.get('name', 'unknown data')}, {words(dataset.get('test', 'unknown'))} test digits"
        return {"text": f"No confusion matrix and no mistakes: the run's data are {known}, but those found here are "
                        f"{name}, {len(y):,} test digits. MNIST_DIR names the folder of the data."}
    try:
        answers = np.asarray(model.predict(x.reshape(-1, *shapes[0][1:]), batch_size=1000, verbose=0), np.float64)
    except Exception as error:
        return {"text": f"No confusion matrix and no mistakes: the model fails on the test digits, "
                        f"{shorten(' '.join(str(error).split()), 200)}."}
    if not (np.isfinite(answers).all()):
        return {"text": "No confusion matrix and no mistakes: the model answers with values that are no numbers."}
    if answers.min() < 0 or abs(answers.sum(axis=1) - 1).max() > 1e-3:  # logits
        answers = np.exp(answers - answers.max(axis=1, keepdims=True))
        answers /= answers.sum(axis=1, keepdims=True)
    chosen = answers.argmax(axis=1)
    right = int((chosen == y).sum())
    stated = run["about"].get("test_accuracy")
    text = f"{right:,} of {len(y):,} test digits right, {percent(right / len(y))}"
    if stated is None:
        text += ", by the model as it was saved last."
    elif abs(stated - right / len(y)) <= 0.5 / len(y):
        text += ", as run.json says."
    elif abs(stated - right / len(y)) <= 2.5 / len(y):  # another processor or backend rounds differently
        text += f"; run.json, from where it was trained, says {percent(stated)}."
    else:
        return {"text": f"No confusion matrix and no mistakes: the model has {text}, but run.json says "
                        f"{percent(stated)}. It was trained on other digits, or on images prepared in another way."}
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (y, chosen), 1)
    wrong = np.flatnonzero(chosen != y)
    wrong = wrong[np.argsort(-answers[wrong, chosen[wrong]], kind="stable")][:MISTAKES]
    largest = max(1, int((matrix - np.diag(np.diag(matrix))).max()))
    return {"text": text, "matrix": [[{"count": f"{n:,}", "right": i == j, "share": round(0.6 * n / largest, 3)}
                                      for j, n in enumerate(row)] for i, row in enumerate(matrix.tolist())],
            "mistakes": [{"png": png(x[i]), "label": f"{y[i]}", "answer": f"{chosen[i]}", "index": f"{i:,}",
                          "confidence": confidence(answers[i, chosen[i]])} for i in wrong.tolist()]}


def confidence(probability):
    return ">99.99 %" if probability > 0.9999 else f"{100 * probability:.2f} %"


def png(image):
    """Return an image of 784 values from 0 to 1 as a PNG, black on white, in base64."""
    buffer = io.BytesIO()
    Image.fromarray(255 - (image.reshape(28, 28) * 255).round().astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


# The documents

def document(runs):
    """Return all that the documents show, as dicts, lists and texts that need no more calculating.

    The runs are sorted by test accuracy, the best first, and numbered in this order; those without one come last.

    Args:
        runs: as read_run() returns them, each with `model`, or None.
    """
    def best_first(run):
        return (-run["about"].get("test_accuracy", -1), run["folder"])

    digits = "No run has a model."
    if any(run["model"] is not None for run in runs):
        try:
            digits = test_digits()
        except mnist.DataError as error:
            digits = f"No confusion matrix and no mistakes: {error}"
    shown, architectures = [], {}
    for number, run in enumerate(sorted(runs, key=best_first), 1):
        about, history, model = run["about"], run["history"], run["model"]
        own = {"number": number, "folder": run["folder"], "network": about.get("network", run["folder"]),
               "remarks": remarks(run), "curves": curves(run, f"run {number}"), "facts": facts(run),
               "architecture": None, "predictions": None}
        parameters = about.get("parameters")
        if model is not None:
            parameters = model.count_params()
            own["predictions"] = predictions(run, model, digits)
            if hasattr(model, "operations") or getattr(model, "inputs", None):
                layers, key = architecture(model)
                place = architectures.setdefault(key, {"layers": layers, "runs": [], "networks": [],
                                                       "parameters": f"{parameters:,}"})
                place["runs"].append(number)
                if own["network"] not in place["networks"]:
                    place["networks"].append(own["network"])
                own["architecture"] = list(architectures).index(key) + 1
        training = next((history[-1][name] for name in CURVES[0][1] if history and name in history[-1]), None)
        epochs = f"{len(history)} of {about['epochs']}" if about.get("epochs", len(history)) != len(history) else \
            f"{len(history)}"
        own["summary"] = [own["network"], "–" if parameters is None else f"{parameters:,}", epochs,
                          words(about.get("batch_size", "–")), percent(about.get("test_accuracy")), percent(training)]
        shown.append(own)
    for number, place in enumerate(architectures.values(), 1):
        place |= {"number": number, "title": ", ".join(place["networks"]),
                  "drawing": draw(place["layers"], f"architecture {number}")}
    return {"title": "Training report", "made": f"{datetime.now():%Y-%m-%d %H:%M}", "runs": shown,
            "head": ["run", "network", "parameters", "epochs", "batch size", "test accuracy", "training accuracy"],
            "architectures": list(architectures.values())}


def html(content):
    """Return the document as one HTML page."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True,
                                     undefined=jinja2.StrictUndefined, lstrip_blocks=True, keep_trailing_newline=True)
    return environment.get_template("report.html").render(**content)


def pdf(content):
    """Return the document as the bytes of a PDF; its fonts are those that Matplotlib brings along."""
    return typst.compile(FOLDER / "report.typ", sys_inputs={"document": json.dumps(content)}, format="pdf",
                         font_paths=[Path(matplotlib.get_data_path()) / "fonts" / "ttf"])


def main(argv=None):
    """Make the report that `argv` asks for; return 0, or 1 if a folder had to be left out."""
    parser = argparse.ArgumentParser(prog="python -m zoo.report", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders, or patterns such as 'runs/*'")
    parser.add_argument("-o", "--output", default="report", metavar="NAME",
                        help="the documents are NAME.html and NAME.pdf (%(default)s)")
    arguments = parser.parse_args(argv)
    folders = [folder for pattern in arguments.runs
               for folder in ([pattern] if Path(pattern).exists() else sorted(glob.glob(pattern)) or [pattern])]
    runs, reasons = [], []
    for folder in {Path(folder).resolve(): folder for folder in folders}.values():
        try:
            run = read_run(folder)
            run["model"] = read_model(path) if (path := run["path"] / "model.keras").exists() else None
            runs.append(run)
        except RunError as error:
            reasons.append(f"{folder} was skipped: {error}")
    if runs:
        content = document(runs)
        name = re.sub(r"\.(html|pdf)$", "", arguments.output)
        documents = {Path(f"{name}.html"): html(content), Path(f"{name}.pdf"): pdf(content)}
        try:
            for path, written in documents.items():
                whole.write(path, written)
        except OSError as error:
            reasons.append(f"The report cannot be written: {error}.")
        else:
            print(f"{count(len(runs), 'run')} in {' and '.join(map(str, documents))}", flush=True)
    else:
        reasons.append("No run is left, so no report was written.")
    print("\n".join(reasons), end="\n" if reasons else "", file=sys.stderr)
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())
