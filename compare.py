"""Run the twelve scripts, or those named, one after the other, and write down what each prints.

    python compare.py                    all twelve, one seed
    python compare.py 'mlp_*' --seeds 3  names or patterns; seeds 0, 1, 2
    python compare.py --readme           also put the table into README.md and the curves into docs/comparison.svg

Every run is a fresh interpreter that calls the script's train(seed=...). The figures, with every epoch of
every run and the machine, go into results/comparison.json, which keeps what earlier calls measured.
"""
import argparse
import ast
import fnmatch
import io
import json
import os
import platform
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from statistics import mean, median, stdev
from time import perf_counter

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / "results" / "comparison.json"
LIBRARIES = {"numpy": "NumPy", "theano": "Theano", "tensorflow": "TensorFlow", "keras": "Keras", "torch": "PyTorch",
             "jax": "JAX"}
SCRIPTS = [f"{network}_{library}" for network in ("mlp", "conv") for library in LIBRARIES]
EPOCH = re.compile(r"epoch +\d+  validation accuracy (\d+\.\d+)%  (\d+\.\d+) s")
TEST = re.compile(r"test accuracy (\d+\.\d+)%\Z")


def lines_of_code(path):
    """Return how many lines of a Python file are code: no blank, no comment, no docstring."""
    source = Path(path).read_text(encoding="utf-8")
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = {line for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in layout
             for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def run(script, seed):
    """Train one script in a fresh interpreter; return what it printed, or raise RuntimeError with its last words.

    Returns a dict: `epochs`, a list of [validation accuracy, seconds]; `test_accuracy`; and `start_seconds`, from
    the start of the process to the end of the first epoch, less an epoch: importing, loading, compiling.
    """
    command = [sys.executable, "-u", "-c", f"import {script}; {script}.train(seed={seed})"]
    begin, first, epochs, test_accuracy = perf_counter(), None, [], None
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(f"\r{script} seed {seed}  {line.rstrip():60}", end="", flush=True)
            if match := EPOCH.match(line):
                first = first or perf_counter() - begin
                epochs.append([float(match[1]) / 100, float(match[2])])
            elif match := TEST.match(line.rstrip()):
                test_accuracy = float(match[1]) / 100
        errors = process.stderr.read().strip()
    print()
    if process.returncode or test_accuracy is None:
        raise RuntimeError(f"{script} ended with status {process.returncode} and said: {errors[-500:] or 'nothing'}")
    if "are not MNIST figures" in errors:
        raise RuntimeError(f"{script} found only the sample, whose figures are not MNIST figures. Set MNIST_DIR.")
    epoch = min(epochs[0][1], seconds(epochs))  # a library that compiles late does so within its first epoch
    return {"epochs": epochs, "test_accuracy": test_accuracy, "start_seconds": round(first - epoch, 2)}


def seconds(epochs):
    """Return the median seconds of an epoch, the first left out, in which some libraries still compile."""
    return median(s for _, s in epochs[1:] or epochs)


def machine():
    """Return the machine in a line, as the README names it."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    return f"{cpu}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def table(runs):
    """Return the Markdown table of `runs`, {"mlp_numpy seed 0": run}, a row a script."""
    rows = ["| script | library | test accuracy | s per epoch | start, s | lines |", "|---|---|--:|--:|--:|--:|"]
    for script in SCRIPTS:
        of_script = [r for name, r in runs.items() if name.split()[0] == script]
        if of_script:
            accuracies = [100 * r["test_accuracy"] for r in of_script]
            spread = f" ± {stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
            cells = (f"[`{script}.py`]({script}.py)", LIBRARIES[script.split("_")[1]],
                     f"{mean(accuracies):.2f}{spread} %", f"{mean(seconds(r['epochs']) for r in of_script):.2f}",
                     f"{max(r['start_seconds'] for r in of_script):.0f}", str(lines_of_code(ROOT / f"{script}.py")))
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def draw(runs, path):
    """Draw the validation accuracy of seed 0 against seconds of training, MLPs and ConvNets apart."""
    import matplotlib  # the one thing here that the scripts do not need
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    plt.rcParams.update({"svg.hashsalt": "comparison", "svg.fonttype": "none", "font.size": 9})
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    looks = list(zip(["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000"], "osD^vx"))  # Okabe, Ito 2008
    for axis, network, title, bottom in zip(axes, ("mlp", "conv"), ("MLP", "ConvNet"), (96, 98)):
        for (library, name), (colour, marker) in zip(LIBRARIES.items(), looks):
            if run := runs.get(f"{network}_{library} seed 0"):
                times, elapsed = [], run["start_seconds"]
                for _, s in run["epochs"]:
                    elapsed += s if times else seconds(run["epochs"])  # the first epoch's compiling is in the start
                    times.append(elapsed)
                axis.plot(times, [100 * a for a, _ in run["epochs"]], marker=marker, markersize=3.5, color=colour,
                          linewidth=1, label=name)
        axis.set(title=title, xlabel="seconds since the start", ylim=(bottom, None))
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False)
    axes[0].set_ylabel("validation accuracy, %")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", nargs="*", default=["*"], help="names or patterns of scripts")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many seeds, from 0 on")
    parser.add_argument("--readme", action="store_true", help="write the table and the curves")
    arguments = parser.parse_args()
    chosen = [s for s in SCRIPTS if any(fnmatch.fnmatch(s, p.removesuffix(".py")) for p in arguments.scripts)]
    if not chosen:
        parser.error(f"no script is named {' or '.join(arguments.scripts)}; there are {', '.join(SCRIPTS)}.")
    saved = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    runs, failed = saved.get("runs", {}), 0
    for script in chosen:
        for seed in range(arguments.seeds):
            try:
                runs[f"{script} seed {seed}"] = run(script, seed)
            except RuntimeError as error:
                failed += 1
                print(error, file=sys.stderr)
            replace(RESULTS, json.dumps({"machine": machine(), "runs": runs}, indent=1))
    print(f"\n{machine()}\n\n{table(runs)}")
    if arguments.readme:
        readme = ROOT / "README.md"
        before, rest = readme.read_text("utf-8").split("<!-- table -->\n")
        after = rest.split("<!-- end -->")[1]
        replace(readme, f"{before}<!-- table -->\n{table(runs)}\n\nOn {machine()}.\n<!-- end -->{after}")
        draw(runs, ROOT / "docs" / "comparison.svg")
    return 1 if failed else 0


def replace(path, text):
    """Write `text` to `path` so that the file is never there in part."""
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


if __name__ == "__main__":
    sys.exit(main())
