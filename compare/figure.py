"""The curves: validation accuracy against time."""
import io
import itertools
import os
from statistics import mean

os.environ["MPLBACKEND"] = "svg"  # before the import, which fails on a name that Matplotlib does not know
import matplotlib
import matplotlib.pyplot as plt
import matplotlib.ticker

from compare.atomic import write
from compare.scripts import LIBRARIES, NETWORKS
from compare.table import TARGETS, runs_of

# A colour and a marker for each library, in their order. The colours are those of Okabe and Ito (2008), which the
# colour-blind can tell apart; the markers do without. In the page black becomes the colour of the text.
LOOKS = [("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "D"), ("#cc79a7", "^"), ("#56b4e9", "v"), ("#000000", "X"),
         ("#e69f00", "P"), ("#f0e442", "*")]


def curve(saved, script):
    """Return the seconds since the start of the process and the validation accuracies in %, means over the seeds."""
    runs, _ = runs_of(script, saved)
    epochs = list(zip(*(run["epochs"] for run in runs)))  # of every epoch, a triple for each seed
    return [mean(since for _, _, since in e) for e in epochs], [100 * mean(a for a, _, _ in e) for e in epochs]


def error(accuracy):
    """Return the share of wrong answers in %, of an accuracy in %, but no less than a hundredth, for the logarithm."""
    return max(100 - accuracy, 0.01)


def figure(saved):
    """Return Matplotlib's figure of validation error against wall-clock time, MLPs and ConvNets apart.

    Both axes are logarithmic: the first epochs take off whole percents, the last ones hundredths, and the libraries
    differ in their seconds by a factor of twenty.
    """
    style = {"svg.hashsalt": "comparison", "svg.fonttype": "none", "font.size": 9}
    plt.style.use(["default", style])  # whatever was set before
    drawing, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for axis, (network, title) in zip(axes, NETWORKS.items()):
        axis.axhline(100 * (1 - TARGETS[network]), color="#888888", linewidth=0.8, linestyle=":")
        for library, (colour, marker) in zip(LIBRARIES, itertools.cycle(LOOKS)):
            seconds, accuracies = curve(saved, f"{network}_{library}")
            if seconds:
                axis.plot(seconds, [error(accuracy) for accuracy in accuracies], label=LIBRARIES[library].name,
                          color=colour, linewidth=1, marker=marker, markersize=4.5, markeredgecolor="white",
                          markeredgewidth=0.4, markevery=max(1, len(seconds) // 10))
        axis.set(title=title, xlabel="seconds since the start of the process", xscale="log", yscale="log")
        for each in axis.xaxis, axis.yaxis:
            each.set_major_locator(matplotlib.ticker.LogLocator(10, (1, 2, 5)))
            each.set_major_formatter("{x:g}")
            each.set_minor_formatter("")
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.lines[1:]:
            axis.legend(frameon=False, fontsize=8)
    axes[0].set_ylabel("validation error, %")
    plt.close(drawing)
    return drawing


def draw(saved, path):
    """Write the figure as SVG to `path`."""
    buffer = io.BytesIO()
    figure(saved).savefig(buffer, format="svg", metadata={"Date": None})
    write(path, buffer.getvalue())
