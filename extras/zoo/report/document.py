"""All that the report shows, and the two documents made of it."""
import json
from datetime import datetime
from pathlib import Path

import jinja2
import matplotlib
import typst

import mnist
from extras.zoo.report.architecture import architecture
from extras.zoo.report.curves import curves
from extras.zoo.report.facts import HEAD, facts, remarks, summary
from extras.zoo.report.graph import draw
from extras.zoo.report.predictions import predictions, test_digits

FOLDER = Path(__file__).resolve().parent  # with the two templates


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
        model = run["model"]
        own = {"number": number, "folder": run["folder"], "network": run["about"].get("network", run["folder"]),
               "summary": summary(run), "remarks": remarks(run), "curves": curves(run, f"run {number}"),
               "facts": facts(run), "architecture": None, "predictions": None}
        if model is not None:
            own["predictions"] = predictions(run, model, digits)
            if hasattr(model, "operations") or getattr(model, "inputs", None):
                layers, key = architecture(model)
                place = architectures.setdefault(key, {"layers": layers, "runs": [], "networks": [],
                                                       "parameters": f"{model.count_params():,}"})
                place["runs"].append(number)
                if own["network"] not in place["networks"]:
                    place["networks"].append(own["network"])
                own["architecture"] = list(architectures).index(key) + 1
        shown.append(own)
    for number, place in enumerate(architectures.values(), 1):
        place |= {"number": number, "title": ", ".join(place["networks"]),
                  "drawing": draw(place["layers"], f"architecture {number}")}
    return {"title": "Training report", "made": f"{datetime.now():%Y-%m-%d %H:%M}", "runs": shown,
            "head": HEAD, "architectures": list(architectures.values())}


def html(content):
    """Return the document as one HTML page."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True,
                                     undefined=jinja2.StrictUndefined, lstrip_blocks=True, keep_trailing_newline=True)
    return environment.get_template("document.html").render(**content)


def pdf(content):
    """Return the document as the bytes of a PDF; its fonts are those that Matplotlib brings along."""
    return typst.compile(FOLDER / "document.typ", sys_inputs={"document": json.dumps(content)}, format="pdf",
                         font_paths=[Path(matplotlib.get_data_path()) / "fonts" / "ttf"])
