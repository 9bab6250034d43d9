"""The curves of a run: accuracy, loss and learning rate over its epochs."""
import math

from extras.zoo.report.reading import COLUMNS
from extras.zoo.report.svg import new_figure, svg

TRAINING, VALIDATION = "#0072b2", "#d55e00"  # of Okabe and Ito (2008), which the colour-blind can tell apart


def curves(run, salt):
    """Return the curves of a run: [{"title": "Accuracy", "svg": ..., "text": what it shows, in words}, ...]."""
    history, drawings = run["history"], []
    for number, (title, names) in enumerate(COLUMNS.items()):
        name = next((name for name in names if any(name in row for row in history)), None)
        lines = [(part, [(row["epoch"], row[column]) for row in history if column in row], colour, marker)
                 for part, column, colour, marker in (("training", name, TRAINING, "o"),
                                                      ("validation", f"val_{name}", VALIDATION, "s"))]
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
