"""All that the report shows, and the two documents made of it."""
import json
import re
from datetime import datetime
from pathlib import Path

import jinja2
import typst
from markupsafe import Markup, escape
from tqdm import tqdm

import mnist
from extras.zoo.report.architecture import architecture, has_layers
from extras.zoo.report.curves import curves
from extras.zoo.report.facts import HEAD, facts, remarks, summary
from extras.zoo.report.fonts import folder_of_fonts, numbered
from extras.zoo.report.graph import MOST, draw
from extras.zoo.report.predictions import predictions, test_digits
from extras.zoo.report.reading import RunError, read_model
from extras.zoo.report.words import cut, possible

FOLDER = Path(__file__).resolve().parent  # with the two templates


def document(runs):
    """Return all that the documents show, as dicts, lists and texts that need no more calculating.

    The runs are sorted by test accuracy, the best first, and numbered in this order; those without one come last.
    Whatever a run holds, the others are not affected: what cannot be shown of it is said in its remarks.

    Args:
        runs: as read_run() returns them. Each gets `faults`, those of its remarks that say what is missing and why.
    """
    def best_first(run):
        return (-run["about"].get("test_accuracy", -1), run["folder"])

    digits, shown, architectures = [], [], {}
    for number, run in enumerate(tqdm(sorted(runs, key=best_first), unit=" runs", leave=False, disable=None), 1):
        faults = run["faults"] = []
        model = attempt(faults, "The layers and the confusion matrix are", read_model, run["path"] / "model.keras")
        layers, key = [], None
        if model is not None:
            digits = digits or [found_digits()]
            parameters = attempt(faults, "The number of the model's parameters is", model.count_params)
            run = run if parameters is None else run | {"parameters": parameters}
            if has_layers(model):
                layers, key = attempt(faults, "The layers are", architecture, model) or ([], None)
        network = cut(run["about"].get("network", run["folder"]))
        nothing = [network] + ["–"] * (len(HEAD) - 2)
        own = {"number": number, "folder": run["folder"], "network": network, "architecture": None,
               "summary": attempt(faults, "The values in the table of all runs are", summary, run) or nothing,
               "remarks": attempt(faults, "The remarks are", remarks, run) or [],
               "curves": attempt(faults, "The curves are", curves, run, f"run {number}") or [],
               "facts": attempt(faults, "The settings are", facts, run) or [],
               "predictions": None if model is None else
               attempt(faults, "The confusion matrix is", predictions, run, model, digits[0])}
        if layers:
            place = architectures.setdefault(key, {"layers": layers, "runs": [], "networks": [],
                                                   "parameters": own["summary"][1]})
            place["runs"].append(number)
            if network not in place["networks"]:
                place["networks"].append(network)
            own["architecture"] = list(architectures).index(key) + 1
        shown.append(own | {"remarks": own["remarks"] + faults})
    for number, place in enumerate(architectures.values(), 1):
        place |= {"number": number, "title": cut(", ".join(place["networks"])),
                  **drawing(place["layers"], f"architecture {number}")}
    return possible({"title": "Training report", "made": f"{datetime.now():%Y-%m-%d %H:%M}", "runs": shown,
                     "head": HEAD, "architectures": list(architectures.values())})


def attempt(faults, what, function, *arguments):
    """Return what a function returns. If it fails, append a sentence to `faults` that says why, and return None.

    Args:
        what: the begin of the sentence: "The curves are".
    """
    try:
        return function(*arguments)
    except RunError as error:
        faults.append(possible(f"{what} missing: {error}"))
    except Exception as error:  # whatever the files of other programs make the libraries stumble over
        reason = ": ".join(filter(None, [type(error).__name__, " ".join(str(error).split()).rstrip(".")]))
        faults.append(possible(f"{what} missing: {cut(reason, 200)}."))


def found_digits():
    """Return the test digits; without them, a sentence that says why there are none."""
    try:
        return test_digits()
    except mnist.DataError as error:
        return f"No confusion matrix and no mistakes: {error}"


def drawing(layers, salt):
    """Return the parts of a network's drawing, a list of SVGs; and a sentence if there is none, or else ""."""
    faults, outer = [], [layer for layer in layers if not layer["depth"]]
    if len(outer) > MOST:
        return {"drawing": [], "no_drawing": f"There is no drawing: nobody could read one of {len(outer):,} layers."}
    return {"drawing": attempt(faults, "The drawing is", draw, outer, salt) or [], "no_drawing": " ".join(faults)}


def breakable(text):
    """Return a text as HTML in which words of 25 letters can be broken: after parts of a name, or after 20 letters."""
    def broken(word):
        return re.sub("([_/]+|[^_/]{20})", "\\1\0", word[0])

    return Markup(str(escape(re.sub(r"\S{25,}", broken, text))).replace("\0", "<wbr>"))


def html(content):
    """Return the document as one HTML page."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True,
                                     undefined=jinja2.StrictUndefined, lstrip_blocks=True, keep_trailing_newline=True)
    environment.filters["breakable"] = breakable
    return environment.get_template("document.html").render(**content)


def pdf(content):
    """Return the document as the bytes of a PDF.

    Raises:
        typst.TypstError: Typst cannot make a PDF of it.
    """
    shown = json.dumps(numbered(content))
    with folder_of_fonts() as fonts:
        return typst.compile(FOLDER / "document.typ", sys_inputs={"document": shown}, format="pdf", font_paths=[fonts])
