"""What the runs come to: the rows of the tables, in Markdown and in words."""
from statistics import mean, median, stdev

from compare import scripts
from compare.scripts import PARALLEL, PARAMETERS, PROCESSES, RETIRED, SCRIPTS, WORKERS, lines_of_code, version

TARGETS = {"mlp": 0.978, "conv": 0.99}  # validation accuracies to which the way is timed
HEAD = ["script", "library", "test accuracy", "start, s", "s per epoch", "whole run, s",
        f"s to {TARGETS['mlp']:.1%} / {TARGETS['conv']:.1%}", "memory, MB", "parameters", "lines"]
README_HEAD = ["script", "library", "test accuracy", "whole run, s", "s per epoch", "memory, MB", "lines"]
PARALLEL_HEAD = ["script", "library", "workers", "threads each", "start, s", "s per epoch", "speed-up", "whole run, s",
                 "test accuracy"]


def epoch_seconds(epochs):
    """Return the median seconds of an epoch, the first left out, in which some libraries still compile."""
    return max(0.01, median(s for _, s, _ in epochs[1:] or epochs))  # 0.01 is the least that a script prints


def start_seconds(epochs):
    """Return the seconds from the start of the process to the end of the first epoch, less those of an epoch."""
    (_, first, since), usual = epochs[0], epoch_seconds(epochs)
    return since - min(first, usual)


def seconds_to(target, epochs):
    """Return the seconds from the start of the process until a validation accuracy was reached, or None."""
    return next((since for accuracy, _, since in epochs if accuracy >= target), None)


def runs_of(job, saved):
    """Return the runs of a script or job, one for each seed, and its failures."""
    return [[r for name, r in saved[kind].items() if name.split()[0] == job] for kind in ("runs", "failures")]


def accuracy_of(runs):
    """Return the test accuracy over the seeds as "98.60 ± 0.05 %", without the spread if there is one seed."""
    accuracies = [100 * r["test_accuracy"] for r in runs]
    return f"{mean(accuracies):.2f}" + (f" ± {stdev(accuracies):.2f} %" if runs[1:] else " %")


def rows(saved):
    """Return the cells of the table, a list of strings under HEAD for each script that was tried."""
    table = []
    for script in SCRIPTS + RETIRED:
        network, shown = script.split("_")[0], scripts.module_of(script).replace(".", "/")  # "extras/retired/mlp_gluon"
        runs, failures = runs_of(script, saved)
        if runs:
            seconds = median(epoch_seconds(r["epochs"]) for r in runs)
            reached = [seconds_to(TARGETS[network], r["epochs"]) for r in runs]
            table.append([
                shown, runs[-1]["library"],
                accuracy_of(runs) + (f" ({len(failures)} failed)" if failures else ""),
                f"{median(start_seconds(r['epochs']) for r in runs):.1f}", f"{seconds:.2f}",
                f"{median(r['seconds'] for r in runs):.1f}", "–" if None in reached else f"{mean(reached):.0f}",
                f"{max(r['memory'] for r in runs) / 1e6:,.0f}", f"{PARAMETERS[network]:,}",
                f"{lines_of_code(scripts.path_of(script))}"])
        elif failures:
            failed = f"failed: {failures[-1]['reason']}"
            table.append([shown, scripts.name_of(script), failed, *[""] * (len(HEAD) - 3)])
    return table


def parallel_rows(saved):
    """Return the cells of the table of --parallel, under PARALLEL_HEAD, a row for each number of workers."""
    table = []
    for script, workers in [(script, workers) for script in PARALLEL + RETIRED for workers in WORKERS]:
        (runs, failures), (alone, _) = (runs_of(f"{script}/{n}", saved) for n in (workers, 1))
        threads = saved["settings"]["threads"]
        threads = "shared" if workers > 1 and script not in PROCESSES else f"{max(1, threads // workers)}"
        library = runs[-1]["library"] if runs else version(f"{script}/{workers}")
        cells = [scripts.module_of(f"{script}/{workers}").replace(".", "/"), library, f"{workers}", threads]
        if runs:
            seconds = median(epoch_seconds(r["epochs"]) for r in runs)
            speed_up = f"{median(epoch_seconds(r['epochs']) for r in alone) / seconds:.2f}" if alone else "–"
            table.append([*cells, f"{median(start_seconds(r['epochs']) for r in runs):.1f}", f"{seconds:.2f}", speed_up,
                          f"{median(r['seconds'] for r in runs):.1f}", accuracy_of(runs)])
        elif failures:
            table.append([*cells, *[""] * 4, f"failed: {failures[-1]['reason']}"])
    return table


def markdown(saved, to_root="", head=HEAD, folder=""):
    """Return the table in Markdown, its columns those of `head`, and a line that names the machine.

    `to_root` leads from the file that shows it to the root. With `folder`, the table is for a file in that folder, has
    only the scripts there, and calls them by their names alone.
    """
    whole, table = (PARALLEL_HEAD, parallel_rows(saved)) if head is PARALLEL_HEAD else (HEAD, rows(saved))
    body = [[row[whole.index(heading)] for heading in head] for row in table if row[0].startswith(folder)]
    body = [[script.removeprefix(f"{folder}/"), *cells] for script, *cells in body]
    body = [[f"[`{script}.py`]({to_root}{script}.py)", *cells] for script, *cells in body]
    lines = [head, ["---", "---", *["--:"] * (len(head) - 2)], *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + f"\n\n{conditions(saved)}"


def conditions(saved):
    """Return in a line on what machine, with how many threads, images and epochs the runs were made."""
    machine, settings = saved["settings"]["machine"], saved["settings"]
    epochs = f" {settings['epochs']} epochs instead of the scripts' own." if settings["epochs"] else ""
    return (f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}, {machine['system']}, "
            f"Python {machine['python']}. Threads: {settings['threads']}. Training digits: "
            f"{settings['images']:,}.{epochs}")
