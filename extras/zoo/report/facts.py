"""What is known of a run beside its curves, as rows of label and text.

Whatever run.json holds appears by itself; what a training puts there stands in extras/zoo/training.py.
"""
import inspect
from statistics import median

from extras.zoo.report.reading import COLUMNS
from extras.zoo.report.words import percent, words

HEAD = ["run", "network", "parameters", "epochs", "batch size", "test accuracy", "training accuracy"]


def summary(run):
    """Return a run's line in the table of all runs: what HEAD names, without the number of the run."""
    about, history, model = run["about"], run["history"], run["model"]
    parameters = about.get("parameters") if model is None else model.count_params()
    training = next((history[-1][name] for name in COLUMNS["Accuracy"] if history and name in history[-1]), None)
    epochs = f"{len(history)}"
    if about.get("epochs", len(history)) != len(history):
        epochs += f" of {about['epochs']}"
    return [about.get("network", run["folder"]), "–" if parameters is None else f"{parameters:,}", epochs,
            words(about.get("batch_size", "–")), percent(about.get("test_accuracy")), percent(training)]


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


def defaults(name):
    """Return Keras's defaults for the optimizer or schedule of this name as a dict, empty where Keras knows none."""
    try:
        from extras.zoo.training import keras  # only now: runs of other libraries need no Keras
    except ImportError:
        return {}
    kind = getattr(keras.optimizers, name, None) or getattr(keras.optimizers.schedules, name, None)
    if not isinstance(kind, type):
        return {}
    return {each.name: each.default for each in inspect.signature(kind.__init__).parameters.values()}


def telling(settings, of_keras):
    """Return the settings of an optimizer, or of its schedule, but those at Keras's defaults and those that are null.

    The name and the learning rate stay, whatever they are; so does null where it is no default.

    Args:
        settings: a dict, perhaps with others in it, as run.json has it.
        of_keras: whether the run was one of Keras, so that its defaults can be looked up.
    """
    default = defaults(str(settings.get("name"))) if of_keras else {}
    return {name: telling(value, of_keras) if isinstance(value, dict) else value for name, value in settings.items()
            if name in ("name", "learning_rate") or value != default.get(name)}  # where none is known, null is one


def facts(run):
    """Return what is known of a run beside its curves: [{"title": "Dataset", "rows": [[label, text], ...]}, ...]."""
    about, history = run["about"], run["history"]
    if isinstance(about.get("optimizer"), dict):
        about = about | {"optimizer": telling(about["optimizer"], "keras" in about.get("platform", {}))}
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
            of = "training " if name in COLUMNS["Accuracy"] + COLUMNS["Loss"] else ""
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
