"""Run the twelve scripts, or those named, one after the other, and compare what they reach and what they cost.

    python -m compare                    all twelve, one seed
    python -m compare "mlp_*" --seeds 3  names or patterns; seeds 0, 1, 2
    python -m compare --quick            two epochs on the sample, to see it work
    python -m compare --resume           what an interrupted comparison still lacks
    python -m compare --parallel         the scripts in extras/parallel/, with one worker and with two
    RETIRED_PYTHON=path/to/bin/python python -m compare    also those in extras/retired/, in their own environment

Every run is a fresh interpreter that calls the script's train(epochs, seed), with the same number of threads
for all. compare/results/comparison.json holds every epoch of every run, written after each; docs/comparison.md the
table; docs/comparison.svg the curves. With --quick or --epochs these three go into compare/results/trial/ instead. What
--parallel measures is in compare/results/parallel.json.
"""
import argparse
import fnmatch
import os
import shlex
import signal
import sys
from pathlib import Path

from joblib import cpu_count
from rich.console import Console
from rich.table import Table

import mnist
from compare.atomic import check, lock, write
from compare.measure import PARALLEL_RESULTS, RESULTS, measure, settled
from compare.scripts import AVAILABLE, PARALLEL, RETIRED_PYTHON, ROOT, SCRIPTS, WORKERS, path_of
from compare.table import HEAD, PARALLEL_HEAD, README_HEAD, conditions, markdown, parallel_rows, rows

BEGIN, END = "<!-- table -->\n", "<!-- end -->"  # around the table in a README


def parse(argv):
    parser = argparse.ArgumentParser(prog="python -m compare", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", nargs="*", default=["*"], help="names or patterns of scripts; all, if none is given")
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs of each run, instead of the script's own")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many seeds, from 0 on")
    parser.add_argument("--threads", type=int, default=cpu_count(), metavar="N",
                        help="threads of each library (here: %(default)s)")
    parser.add_argument("--timeout", type=float, default=3600, metavar="S",
                        help="seconds after which a run is stopped (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="two epochs on the sample")
    parser.add_argument("--resume", action="store_true", help="keep the runs that are there, make those that are not")
    parser.add_argument("--parallel", action="store_true",
                        help="the scripts in extras/parallel/ and extras/retired/, on one worker or device and on two")
    parser.add_argument("--readme", action="store_true",
                        help="also put the table into README.md, that of --parallel into those of the two extras")
    arguments = parser.parse_args(argv)
    names = [name.removesuffix(".py") for name in arguments.scripts]
    scripts = PARALLEL + AVAILABLE[len(SCRIPTS):] if arguments.parallel else AVAILABLE
    if unknown := [name for name in names if not fnmatch.filter(scripts, name)]:
        more = "" if RETIRED_PYTHON else "; and those of extras/retired/, once RETIRED_PYTHON names their Python"
        parser.error(f"no script is named {' or '.join(unknown)}; there are {', '.join(scripts)}{more}.")
    for option in "epochs", "seeds", "threads", "timeout":
        if (value := getattr(arguments, option)) is not None and value <= 0:
            parser.error(f"--{option} is {value}, but has to be 1 or more.")
    if arguments.readme and (arguments.quick or arguments.epochs):
        parser.error("README.md shows the scripts as they are, on the whole of MNIST: --readme goes with neither "
                     "--quick nor --epochs.")
    arguments.scripts = [s for s in scripts if any(fnmatch.fnmatch(s, name) for name in names)]
    if arguments.parallel:
        arguments.scripts = [f"{script}/{workers}" for script in arguments.scripts for workers in WORKERS]
    return arguments


def main(argv=None):
    """Compare as `argv` says; return 0, 1 if a run failed, 130 if interrupted."""
    arguments, console = parse(argv), Console()
    if not console.is_terminal:
        console = Console(width=150)
    path, docs = PARALLEL_RESULTS if arguments.parallel else RESULTS, ROOT / "docs"
    if arguments.quick or arguments.epochs:
        docs = RESULTS.parent / "trial"
        path = docs / path.name
    if arguments.quick:
        os.environ["MNIST_DIR"] = str(mnist.SAMPLE)
        arguments.epochs = arguments.epochs or 2
    readmes = {path_of(script).with_name("README.md") for script in arguments.scripts if arguments.readme}
    check(path, docs / "comparison.md", *readmes)
    for readme in readmes:
        if BEGIN not in readme.read_text("utf-8"):
            sys.exit(f"{readme} has no line {BEGIN.strip()}, below which --readme puts the table. Add it, and a line "
                     f"{END} where the table ends.")
    for name in {"SIGTERM", "SIGHUP"} & set(dir(signal)):  # what kill sends, and a terminal that is closed
        if signal.getsignal(getattr(signal, name)) == signal.SIG_DFL:  # nohup has it ignored
            signal.signal(getattr(signal, name), signal.default_int_handler)
    with lock(path.with_suffix(".lock"), f"measuring, and writes {path.relative_to(ROOT)}"):
        saved = settled(arguments, path, console)
        try:
            status = 1 if measure(arguments.scripts, arguments, saved, path, console) else 0
            written = [path, *files(arguments, saved, docs)]
        except KeyboardInterrupt:
            status = 130
    console.print(terminal_table(arguments, saved, console.width))
    if status == 130:
        again = shlex.join(["python", "-m", "compare", *(sys.argv[1:] if argv is None else argv)])
        console.print(f"Interrupted. What was measured is in {path.relative_to(ROOT)}; "
                      f"{again.replace(' --resume', '')} --resume goes on from there.")
        return status
    console.print(f"In {', '.join(str(each.relative_to(ROOT)) for each in written)}.")
    return status


def files(arguments, saved, docs):
    """Write the table and the curves to the folder `docs`, and with --readme the table to READMEs; return the paths."""
    written = []
    if not arguments.parallel:
        root = Path(os.path.relpath(ROOT, docs)).as_posix() + "/"
        from compare.figure import draw  # only now, because Matplotlib takes a second
        write(docs / "comparison.md", f"# The twelve, compared\n\n{markdown(saved, root)}\n\n"
              "![Validation error against time](comparison.svg)\n\n"
              f"Made by `python -m compare`. Its [README]({root}compare/README.md) says what the columns mean.\n")
        draw(saved, docs / "comparison.svg")
        written += [docs / "comparison.md", docs / "comparison.svg"]
    if arguments.readme:
        folders = {each[0].rpartition("/")[0] for each in parallel_rows(saved)} if arguments.parallel else [""]
        head = PARALLEL_HEAD if arguments.parallel else README_HEAD
        for folder in sorted(folders):
            readme = ROOT / folder / "README.md"
            before, rest = readme.read_text("utf-8").split(BEGIN)
            write(readme, f"{before}{BEGIN}{markdown(saved, head=head, folder=folder)}\n{END}{rest.split(END, 1)[1]}")
            written.append(readme)
    return written


def terminal_table(arguments, saved, width):
    """Return the table for a terminal of `width` characters; where all columns do not fit, it has those of README."""
    head, cells = (PARALLEL_HEAD, parallel_rows) if arguments.parallel else (HEAD, rows)
    shown = README_HEAD if head is HEAD and width < 130 else head
    table = Table(caption=conditions(saved), padding=(0, 0 if width < 100 else 1))
    for heading in shown:
        table.add_column(heading, justify="left" if heading in head[:2] else "right", no_wrap=heading == "script")
    for row in cells(saved):
        table.add_row(*[row[head.index(heading)] for heading in shown])
    return table


if __name__ == "__main__":
    sys.exit(main())
