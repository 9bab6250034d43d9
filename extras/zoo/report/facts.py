"""What is known of a run beside its curves, as rows of label and text.

Whatever run.json holds appears by itself; what a training puts there stands in extras/zoo/training.py.
"""
from statistics import median

from extras.zoo.report.curves import columns, not_drawn
from extras.zoo.report.reading import COLUMNS
from extras.zoo.report.words import cut, percent, words

HEAD = ["run", "network", "parameters", "epochs", "batch size", "test accuracy", "training accuracy",
        "validation accuracy", "training time"]


def summary(run):
    """Return a run's line in the table of all runs: what HEAD names, without the number of the run."""
    about, history = run["about"], run["history"]
    accuracies = {part: history[-1].get(column) for part, column in columns(history)["Accuracy"]}
    parameters = run.get("parameters", about.get("parameters"))
    epochs = f"{len(history)}"
    if about.get("epochs", len(history)) != len(history):
        epochs += f" of {about['epochs']}"
    return [cut(about.get("network", run["folder"])), "–" if parameters is None else f"{parameters:,}", epochs,
            cut(words(about.get("batch_size", "–")), 10), percent(about.get("test_accuracy")),
            percent(accuracies.get("training")), percent(accuracies.get("validation")),
            f"{about['training_time']:,.1f} s" if "training_time" in about else "–"]


def rows(value, label=""):
    """Return a value of run.json as pairs [label, text]; that of an object that has a name is a row of its own."""
    if not isinstance(value, dict):
        return [[cut(label, 100), cut(str(value) if label == "seed" else words(value))]]
    found, within = [], label
    if label and isinstance(value.get("name"), str):
        found, within = [[label, cut(value["name"])]], cut(value["name"], 60)
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
            of = "training " if name in COLUMNS["Accuracy"] + COLUMNS["Loss"] else ""
            training.append([f"{of}{cut(name.replace('val_', 'validation '), 60)}, last epoch".replace("_", " "),
                             percent(value) if "acc" in name else words(value)])
    training = [[label, percent(about["test_accuracy"]) if label == "test accuracy" else text]
                for label, text in training]
    parts = [("Dataset", rows(about.get("dataset", {}))), ("Training", training),
             ("Platform", rows(about.get("platform", {})))]
    return [{"title": title, "rows": found} for title, found in parts if found]


def remarks(run):
    """Return sentences on how a run ended, if not as it was meant to, and on the values that its curves lack."""
    about, ended = run["about"], len(run["history"])
    of = f" of {about['epochs']}" if "epochs" in about else ""
    stopped = f"This run did not come to its end: it ended after {ended}{of} epochs, and has no test accuracy."
    return ([] if about.get("finished", True) else [stopped]) + not_drawn(run)
