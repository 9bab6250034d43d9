"""Build docs/index.html: the twelve scripts side by side, the results, a network to train and to draw on, in one file.

    python docs/build.py          from the scripts, compare/results/comparison.json and docs/network.npz
    python docs/build.py --train  train mlp_numpy.py first and keep its weights in docs/network.npz
    python docs/build.py --photo  also take docs/page.png, the picture of it in the README, with Chromium
"""
import argparse
import base64
import io
import json
import re
import shutil
import sys
from pathlib import Path

import jinja2
import numpy as np
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))
from tour import ROOMS, dictionary, rooms, tour  # noqa: E402

import mlp_numpy  # noqa: E402
import mnist  # noqa: E402
from compare.atomic import write  # noqa: E402
from compare.figure import curve, error, figure  # noqa: E402
from compare.measure import RESULTS  # noqa: E402
from compare.scripts import LIBRARIES, NETWORKS, RETIRED, RETIRED_LIBRARIES, SCRIPTS, library_of, path_of  # noqa: E402
from compare.table import HEAD, conditions, rows  # noqa: E402

NETWORK = DOCS / "network.npz"


def coloured(text, path):
    """Return the lines of a part of the file at `path` as HTML, coloured by Pygments, each with its end of line."""
    lexer = get_lexer_for_filename(path.name, stripnl=False, ensurenl=False)
    html = highlight(text, lexer, HtmlFormatter(nowrap=True))
    plain = r'<span class="(?:n|nx|nn|ne|vm|p|o|w)">(.*?)</span>'  # kinds of token that page.css does not colour
    return re.sub(plain, r"\1", html).splitlines(keepends=True)


def scripts():
    """Return what the page knows of each script: its name, library, network, and rooms as lists of lines of HTML."""
    modules = {name: each.modules.values() for name, each in (LIBRARIES | RETIRED_LIBRARIES).items()}
    files = [(s, " / ".join(dict.fromkeys(modules[library_of(s)])), path_of(s)) for s in SCRIPTS + RETIRED]
    files.insert(sum(s.startswith("mlp") for s in SCRIPTS), ("mlp_browser", "in your browser", DOCS / "mlp_browser.js"))
    files.append(("mnist", "mnist.py", ROOT / "mnist.py"))  # which all of them call; it has one room
    found = []
    for name, library, path in files:
        source, line = path.read_text(encoding="utf-8"), 1
        parts = []
        for title, text in ({"File": source} if name == "mnist" else rooms(source)).items():
            parts.append({"title": title, "first": line, "lines": coloured(text, path)})
            line += text.count("\n")
        found.append({"name": name, "library": library, "file": path.name, "rooms": parts,
                      "network": NETWORKS.get(name.split("_")[0], "Data"), "retired": name in RETIRED})
    return found


def curves(saved):
    """Return the comparison's picture as SVG for a page, and its points: [x, y, text], x and y in the SVG's units."""
    buffer, drawn = io.StringIO(), figure(saved)
    drawn.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    drawing, points = buffer.getvalue().replace("#000000", "currentColor"), []
    for script in SCRIPTS:
        axis = drawn.axes[script.startswith("conv")]
        for epoch, (seconds, accuracy) in enumerate(zip(*curve(saved, script)), 1):
            x, y = axis.transData.transform((seconds, error(accuracy))) * 72 / drawn.dpi  # an SVG's unit is a 72nd inch
            points.append([round(x, 1), round(72 * drawn.get_figheight() - y, 1),
                           f"{script}, epoch {epoch}: {accuracy:.2f} % right after {seconds:.1f} s"])
    return drawing[drawing.index("<svg"):], points


def train():
    """Train mlp_numpy.py with its defaults; keep its weights, as float16 in a row, and ten digits of the test set."""
    weights, accuracy = mlp_numpy.train()
    _, _, (x, y) = mnist.load_data()
    digits = np.stack([x[y == digit][1] for digit in range(10)])  # the test set's first 5 passes for a 6
    weights = np.concatenate([w.ravel() for w in weights]).astype(np.float16)
    buffer = io.BytesIO()
    np.savez(buffer, weights=weights, digits=np.round(digits * 255).astype(np.uint8), accuracy=accuracy)
    write(NETWORK, buffer.getvalue())


def joined(*names):
    """Return the text of files of this folder, one after the other."""
    return "\n\n".join((DOCS / name).read_text(encoding="utf-8") for name in names)


def packed(name):
    """Return a file of the sample as it is, in base64."""
    return base64.b64encode((mnist.SAMPLE / name).read_bytes()).decode()


def page():
    """Return the page as text, from the files as they are now."""
    saved = json.loads(RESULTS.read_text(encoding="utf-8"))
    drawing, points = curves(saved)
    with np.load(NETWORK) as network:
        encoded = {name: base64.b64encode(network[name].tobytes()).decode() for name in ("weights", "digits")}
        accuracy = float(network["accuracy"])
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(DOCS), undefined=jinja2.StrictUndefined,
                                     trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return environment.get_template("template.html").render(
        scripts=scripts(), rooms=["Start", *ROOMS], head=HEAD, rows=rows(saved), conditions=conditions(saved),
        drawing=drawing, points=points, accuracy=accuracy, **encoded,
        tour=tour(sources()),
        images=packed("train-images-idx3-ubyte.gz"), labels=packed("train-labels-idx1-ubyte.gz"),
        style=joined("page.css", "tour.css", "learn.css", "draw.css"),
        code=joined("page.js", "tour.js", "draw.js", "learn.js"), network=joined("mnist_browser.js", "mlp_browser.js"))


def sources():
    """Return {name of a script: its text}."""
    return {script: (ROOT / f"{script}.py").read_text(encoding="utf-8") for script in SCRIPTS}


def course():
    """Return docs/course.md with the dictionary as the scripts have it now."""
    before, rest = (DOCS / "course.md").read_text(encoding="utf-8").split("<!-- dictionary -->\n")
    table = dictionary(sources(), {name: library.name for name, library in LIBRARIES.items()})
    return f"{before}<!-- dictionary -->\n{table}\n<!-- end -->{rest.split('<!-- end -->', 1)[1]}"


def photograph():
    """Write docs/page.png, an idea of the tour in two scripts."""
    from playwright.sync_api import sync_playwright  # only here, because the page is built without a browser
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        window = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        window.goto((DOCS / "index.html").as_uri() + "#mlp_numpy,mlp_torch,update")
        window.screenshot(path=DOCS / "page.png")
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="store_true", help="train the network to draw on")
    parser.add_argument("--photo", action="store_true", help="take docs/page.png")
    arguments = parser.parse_args()
    if arguments.train:
        train()
    write(DOCS / "index.html", page())
    write(DOCS / "course.md", course())
    if arguments.photo:
        photograph()
