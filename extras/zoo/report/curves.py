"""The curves of a run: accuracy, loss and learning rate over its epochs."""
import math

from extras.zoo.report.reading import COLUMNS
from extras.zoo.report.svg import new_figure, svg
from extras.zoo.report.words import percent

TRAINING, VALIDATION = "#0072b2", "#d55e00"  # of Okabe and Ito (2008), which the colour-blind can tell apart
LARGEST = 1e100  # of what is drawn: Matplotlib's axes overflow at about 1e308


def drawable(value):
    """Return a value for a curve; NaN, which leaves a gap, if Matplotlib cannot draw it."""
    return value if abs(value) <= LARGEST else math.nan


def columns(history):
    """Return what a history can show: {"Accuracy": [("training", "acc"), ("validation", "val_acc")], ...}."""
    found = {}
    for title, names in COLUMNS.items():
        name = next((name for name in names if any(name in row for row in history)), names[0])
        found[title] = [(part, column) for part, column in (("training", name), ("validation", f"val_{name}"))
                        if any(column in row for row in history)]
    return found


def curves(run, salt):
    """Return the curves of a run: [{"title": "Accuracy", "svg": ..., "text": what it shows, in words}, ...]."""
    history, drawings = run["history"], []
    style = {"training": (TRAINING, "o"), "validation": (VALIDATION, "s")}
    for number, (title, parts) in enumerate(columns(history).items()):
        lines = [(part, [(row["epoch"], row[column]) for row in history if column in row], *style[part])
                 for part, column in parts]
        lines = [line for line in lines if any(math.isfinite(drawable(value)) for _, value in line[1])]
        if not lines:
            continue
        figure = new_figure(2.5, 2.0)
        figure.subplots_adjust(left=0.21, right=0.96, bottom=0.2, top=0.87)  # to measure the texts would take long
        axis = figure.add_subplot(xlabel="epoch")
        axis.set_title(title + (", %" if title == "Accuracy" else ""), y=1)
        said = []
        for part, points, colour, marker in lines:
            x, y = zip(*points)
            scale = 100 if title == "Accuracy" else 1
            axis.plot(list(map(drawable, x)), [scale * drawable(value) for value in y], color=colour, linewidth=1.2,
                      marker=marker, label=part, markersize=4 if len(x) <= 30 else 0)
            shown = [percent(value) if scale == 100 else f"{value:.4g}" for value in (y[0], y[-1])]
            said.append(f"{part} from {shown[0]} to {shown[1]}" if title != "Learning rate" else
                        f"from {shown[0]} to {shown[1]}")
        axis.xaxis.get_major_locator().set_params(integer=True, steps=[1, 2, 5, 10])
        axis.grid(alpha=0.25)
        if len(x) == 1:
            axis.set_xlim(x[0] - 1, x[0] + 1)
        if title == "Learning rate":
            axis.set_ylim(0, max(value for value in map(drawable, y) if math.isfinite(value)) * 1.1 or 1)
        else:
            axis.legend(frameon=False, handlelength=1.5)
        first, last = history[0]["epoch"], history[-1]["epoch"]
        drawings.append({"title": title, "svg": svg(figure, f"{salt} {number}"),
                         "text": f"{title}, epochs {first:g} to {last:g}: {', '.join(said)}."})
    return drawings


def not_drawn(run):
    """Return sentences on the values that have no place in a curve: NaN, infinity, too large."""
    sentences = []
    for title, parts in columns(run["history"]).items():
        for part, column in parts:
            name = title.lower() if title == "Learning rate" else f"{part} {title.lower()}"
            odd = [row for row in run["history"] if not abs(row.get(column, 0)) <= LARGEST]
            if odd:
                value, epoch = odd[0][column], f"{odd[0]['epoch']:.10g}"
                became = ("became NaN" if math.isnan(value) else "became infinite" if math.isinf(value) else
                          "became too large to be drawn")
                sentences.append(f"The {name} {became} in epoch {epoch}.")
    return sentences
