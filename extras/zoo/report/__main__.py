"""Make one document of any number of training runs, as report.html and as report.pdf.

    python -m extras.zoo.report runs/*             all runs, in report.html and report.pdf
    python -m extras.zoo.report runs/* -o mine     in mine.html and mine.pdf

A run is a folder with run.json and history.csv, as extras/zoo/training.py leaves it; with model.keras there are also
its architecture, its confusion matrix and its mistakes. All that stands in either document comes from document().
"""
import argparse
import glob
import os
import re
import sys
from pathlib import Path

import typst

from compare import atomic
from extras.zoo.report.document import document, html, pdf
from extras.zoo.report.reading import RunError, read_run, tell_apart
from extras.zoo.report.words import count, cut


def main(argv=None):
    """Make the report that `argv` asks for; return 0, or 1 if a folder, or a part of a report, had to be left out."""
    parser = argparse.ArgumentParser(prog="python -m extras.zoo.report", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders, or patterns such as 'runs/*'")
    parser.add_argument("-o", "--output", default="report", metavar="NAME",
                        help="the documents are NAME.html and NAME.pdf, in a folder: report.html and report.pdf "
                             "(%(default)s)")
    arguments = parser.parse_args(argv)
    folders = [folder for pattern in arguments.runs
               for folder in ([pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern)) or [pattern])]
    runs, broken = [], False
    for folder in {os.path.realpath(folder): folder for folder in folders}.values():
        try:
            runs.append(read_run(folder))
        except RunError as error:
            broken = True
            print(f"{cut(folder, 200)} was skipped: {error}", file=sys.stderr)
    if not runs:
        print("No run is left, so no report was written.", file=sys.stderr)
        return 1
    tell_apart(runs)
    page, paper = names(arguments.output)
    atomic.check(page, paper)
    content = document(runs)
    for run in runs:
        for fault in run["faults"]:
            broken = True
            print(f"In the report of {run['path']}: {fault}", file=sys.stderr)
    atomic.write(page, html(content))
    try:
        atomic.write(paper, pdf(content))
    except typst.TypstError as error:
        print(f"{paper} was not written, since Typst fails: {error}. {page} is complete.", file=sys.stderr)
        return 1
    print(f"{count(len(runs), 'run')} in {page} and {paper}", flush=True)
    return 1 if broken else 0


def names(output):
    """Return the paths of the two documents that `output` names: a folder, or a name with or without its ending."""
    if os.path.isdir(output) or output.endswith(("/", os.sep)):
        output = os.path.join(output, "report")
    name = re.sub(r"\.(html|pdf)$", "", output)
    return Path(f"{name}.html"), Path(f"{name}.pdf")


if __name__ == "__main__":
    sys.exit(main())
