"""From Matplotlib's figures to the SVG that both documents show, the same whatever Matplotlib is set to."""
import io
import os
import re

os.environ.pop("MPLBACKEND", None)  # before the import, which fails if this names a backend that is not there
import matplotlib.style
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

STYLE = {"svg.fonttype": "none", "font.size": 8, "font.family": "DejaVu Sans", "axes.spines.top": False,
         "axes.spines.right": False, "axes.formatter.useoffset": False}


def new_figure(width, height):
    """Return an empty figure of Matplotlib, its width and height in inches."""
    matplotlib.style.use(["default", STYLE])  # not what the user's matplotlibrc says
    figure = Figure(figsize=(width, height))
    FigureCanvasSVG(figure)
    return figure


def svg(figure, salt):
    """Return Matplotlib's figure as an SVG element, in whose ids `salt` keeps it apart from the others of a page."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None},
                       transparent=True)
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg"):]
    return re.sub(r'<g id="[^"]*"', "<g", drawing).replace("<metadata>", "").replace("</metadata>", "")
