"""What the terminal shows during a comparison."""
from statistics import median

from rich.table import Table

from compare.scripts import constants, version
from compare.table import accuracy_of, conditions, epoch_seconds, runs_of


def live_table(chosen, seeds, epochs, saved, now):
    """Return what the terminal shows during the comparison: a row a script, with how far it is.

    `now` describes the run that is going on: `script`, `seed`, and `epochs`, the list that train() fills.
    """
    view = Table(title="python -m compare", caption=conditions(saved))
    for heading in "script", "library":
        view.add_column(heading, no_wrap=True)
    for heading in "seed", "epoch", "validation", "s per epoch", "left, s", "test accuracy":
        view.add_column(heading, justify="right", no_wrap=True)
    for script in chosen:
        if script == now.get("script"):
            ended, total = now["epochs"], epochs or constants(script)[0]
            seconds = epoch_seconds(ended) if ended else 0
            view.add_row(script, version(script), f"{now['seed'] + 1} of {seeds}", f"{len(ended)} of {total}",
                         *[f"{ended[-1][0]:.2%}", f"{seconds:.2f}", f"{(total - len(ended)) * seconds:.0f}"]
                         if ended else ["", "", "starting"], style="bold")
        elif runs := runs_of(script, saved)[0]:
            seconds = median(epoch_seconds(r["epochs"]) for r in runs)
            view.add_row(script, version(script), "", "", "", f"{seconds:.2f}", "", accuracy_of(runs))
        else:
            view.add_row(script, version(script), style="dim")
    return view
