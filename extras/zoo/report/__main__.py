"""Make one document of any number of training runs, as report.html and as report.pdf.

    python -m extras.zoo.report runs/*             all runs, in report.html and report.pdf
    python -m extras.zoo.report runs/* -o mine     in mine.html and mine.pdf

A run is a folder with run.json and history.csv, as extras/zoo/training.py leaves it; with model.keras there are also
its architecture, its confusion matrix and its mistakes. All that stands in either document comes from document().
"""
import argparse
import glob
import re
import sys
from pathlib import Path

from compare import atomic
from extras.zoo.report.document import document, html, pdf
from extras.zoo.report.reading import RunError, read_model, read_run
from extras.zoo.report.words import count


def main(argv=None):
    """Make the report that `argv` asks for; return 0, or 1 if a folder had to be left out."""
    parser = argparse.ArgumentParser(prog="python -m extras.zoo.report", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders, or patterns such as 'runs/*'")
    parser.add_argument("-o", "--output", default="report", metavar="NAME",
                        help="the documents are NAME.html and NAME.pdf (%(default)s)")
    arguments = parser.parse_args(argv)
    folders = [folder for pattern in arguments.runs
               for folder in ([pattern] if Path(pattern).exists() else sorted(glob.glob(pattern)) or [pattern])]
    runs, reasons = [], []
    for folder in {Path(folder).resolve(): folder for folder in folders}.values():
        try:
            run = read_run(folder)
            run["model"] = read_model(path) if (path := run["path"] / "model.keras").exists() else None
            runs.append(run)
        except RunError as error:
            reasons.append(f"{folder} was skipped: {error}")
    if runs:
        content = document(runs)
        name = re.sub(r"\.(html|pdf)$", "", arguments.output)
        documents = {Path(f"{name}.html"): html(content), Path(f"{name}.pdf"): pdf(content)}
        try:
            for path, written in documents.items():
                atomic.write(path, written)
        except OSError as error:
            reasons.append(f"The report cannot be written: {error}.")
        else:
            print(f"{count(len(runs), 'run')} in {' and '.join(map(str, documents))}", flush=True)
    else:
        reasons.append("No run is left, so no report was written.")
    print("\n".join(reasons), end="\n" if reasons else "", file=sys.stderr)
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())
