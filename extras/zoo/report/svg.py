"""From Matplotlib's figures to the SVG that both documents show."""
import io
import re

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt


def new_figure(width, height, layout=None):
    """Return an empty figure of Matplotlib, its width and height in inches."""
    plt.style.use(["default", {  # whatever was set before
        "svg.fonttype": "none", "font.size": 8, "font.family": "DejaVu Sans", "axes.spines.top": False,
        "axes.spines.right": False, "axes.formatter.useoffset": False}])
    return plt.figure(figsize=(width, height), layout=layout)


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
