"""Run the twelve scripts, or those named, one after the other, and compare what they reach and what they cost.

    python compare.py                    all twelve, one seed
    python compare.py 'mlp_*' --seeds 3  names or patterns; seeds 0, 1, 2
    python compare.py --quick            two epochs on the sample, to see it work
    python compare.py --resume           what an interrupted comparison still lacks
    python compare.py --parallel         the scripts in parallel/, with one worker and with two

Every run is a fresh interpreter that calls the script's train(epochs, seed), with the same number of threads
for all. results/comparison.json holds every epoch of every run, written after each; docs/comparison.md the table;
docs/comparison.svg the curves. With --quick or --epochs these three go into results/trial/ instead. What --parallel
measures is in results/parallel.json.
"""
import argparse
import ast
import fnmatch
import importlib.metadata
import io
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import tokenize
from functools import cache
from pathlib import Path
from statistics import mean, median, stdev
from time import perf_counter, sleep

import psutil
from rich.console import Console
from rich.live import Live
from rich.table import Table

import mnist

ROOT = Path(__file__).resolve().parent
RESULTS, PARALLEL_RESULTS = ROOT / "results" / "comparison.json", ROOT / "results" / "parallel.json"
LIBRARIES = {"numpy": "NumPy", "theano": "Theano", "tensorflow": "TensorFlow", "keras": "Keras", "torch": "PyTorch",
             "jax": "JAX"}
PACKAGES = {"theano": ["Theano", "pytensor"], "tensorflow": ["tensorflow", "tensorflow-cpu"]}  # the first that is there
SCRIPTS = [f"{network}_{library}" for network in ("mlp", "conv") for library in LIBRARIES]
PARALLEL, WORKERS = ["mlp_numpy", "conv_tensorflow", "conv_keras", "conv_torch", "conv_jax"], (1, 2)
PROCESSES = ["mlp_numpy", "conv_torch"]  # of PARALLEL: a process for each worker; the others' workers share threads
PARAMETERS = {"mlp": 784 * 100 + 100 + 100 * 10 + 10,
              "conv": 25 * 8 + 8 + 25 * 8 * 16 + 16 + 1600 * 100 + 100 + 100 * 10 + 10}
TARGETS = {"mlp": 0.978, "conv": 0.99}  # validation accuracies to which the way is timed
HEAD = ["script", "library", "test accuracy", "start, s", "s per epoch", "whole run, s",
        f"s to {TARGETS['mlp']:.1%} / {TARGETS['conv']:.1%}", "memory, MB", "parameters", "lines"]
PARALLEL_HEAD = ["script", "library", "workers", "threads each", "start, s", "s per epoch", "speed-up", "whole run, s",
                 "test accuracy"]
# Where each library reads how many threads it may use: NumPy's OpenBLAS (or MKL), PyTensor's Numba, PyTorch and
# Theano (OpenMP), TensorFlow, JAX.
THREADS = ["OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS",
           "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC"]
EPOCH = re.compile(r"epoch +\d+  validation accuracy (\d+\.\d+)%  (\d+\.\d+) s")
TEST = re.compile(r"test accuracy (\d+\.\d+)%\Z")


class RunError(Exception):
    """A script did not come to its test accuracy; `stderr` holds the last lines it wrote there."""

    def __init__(self, reason, stderr):
        super().__init__(reason)
        self.stderr = stderr


@cache
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


@cache
def library_version(script):
    """Return the script's library by name and installed version, as "JAX 0.10.2"; `script` may be a job, too."""
    library = script.split("/")[0].split("_")[1]
    for package in PACKAGES.get(library, [library]):
        try:
            name = "PyTensor" if package == "pytensor" else LIBRARIES[library]
            engine = "jax" if "/" in script else os.environ.get("KERAS_BACKEND", "tensorflow")
            engine = f" on {engine}" if library == "keras" else ""
            return f"{name} {importlib.metadata.version(package)}{engine}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return LIBRARIES[library]


@cache
def constants(script):
    """Return the script's EPOCHS, BATCH_SIZE and LEARNING_RATE, read from its source, not to import its library."""
    source = (ROOT / f"{script.split('/')[0]}.py").read_text("utf-8")
    return ast.literal_eval(re.search(r"^EPOCHS, BATCH_SIZE, LEARNING_RATE = (.*)$", source, re.MULTILINE)[1])


def launch(job, arguments, threads):
    """Return the command that runs Python with `arguments` for a job, and what its environment needs.

    Args:
        job: "mlp_numpy", the script of this name; "mlp_numpy/2", that in parallel/ with two workers.
        arguments: a list of strings, ["-c", "import ..."] say.
        threads: how many the library may use; if the workers are processes, they share them.
    """
    script, _, workers = job.partition("/")
    python, prefix, environment = [sys.executable, "-u", *arguments], [], {}
    if workers and script == "mlp_numpy":
        places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        prefix = [shutil.which("mpiexec", path=places) or "mpiexec", "-n", workers]
        python[2:2] = ["-m", "mpi4py"]  # a process that fails ends the others
    elif workers and script == "conv_torch":
        prefix = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={workers}",
                  "--no-python"]
    elif workers:
        environment = {"CPU_DEVICES": workers, "JAX_NUM_CPU_DEVICES": workers}
    each = max(1, threads // int(workers)) if prefix else threads
    return [*prefix, *python], {**environment, **dict.fromkeys(THREADS, str(each))}


def run(job, seed, epochs, threads, timeout, seen):
    """Train one script in a fresh interpreter.

    Args:
        job: its name, "mlp_numpy" say; "mlp_numpy/2" is the one in parallel/ with two workers.
        seed, epochs: what its train() is given.
        threads: how many threads the library may use.
        timeout: seconds after which the run is stopped.
        seen: a list to which every epoch is appended as it ends: [validation accuracy, its own seconds, seconds
            since the process began].

    Returns:
        A dict: `library`, name and version; `epochs`, the list `seen`; `test_accuracy`; `seconds`, from the start of
        the process until that was printed; but for those in parallel/, `memory`, the largest resident set in bytes,
        looked up every 50 ms.

    Raises:
        RunError: it crashed, hung, or lacks its library.
    """
    script, _, workers = job.partition("/")
    module = f"parallel.{script}" if workers else script
    code = f"import {module} as script; script.train(epochs={epochs}, seed={seed})"
    if workers and script == "conv_torch":
        code += "; script.torch.distributed.destroy_process_group()"  # as the script's own last line
    command, environment = launch(job, ["-c", code], threads)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    if "MNIST_DIR" in environment:
        environment["MNIST_DIR"] = os.path.abspath(environment["MNIST_DIR"])
    watched, test_accuracy = {"memory": 0, "hung": False}, None
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+", errors="replace") as stderr:
        if job.endswith("theano"):  # it keeps what it compiled; an empty folder makes every run the first
            for flags in "THEANO_FLAGS", "PYTENSOR_FLAGS":
                environment[flags] = ",".join(filter(None, [os.environ.get(flags), f"base_compiledir={folder}"]))
        begin = perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=stderr,
                                   text=True, errors="replace")
        watch = threading.Thread(target=watch_process, args=(process, begin + timeout, watched))
        watch.start()
        try:
            for line in process.stdout:
                if match := EPOCH.match(line):
                    since = round(perf_counter() - begin, 3)
                    seen.append([round(float(match[1]) / 100, 4), float(match[2]), since])
                elif match := TEST.match(line.rstrip()):
                    test_accuracy, seconds = round(float(match[1]) / 100, 4), round(perf_counter() - begin, 3)
            process.wait()
        finally:
            end(process)
            watch.join()
            process.stdout.close()
        stderr.seek(0)
        last_lines = stderr.read().strip().splitlines()[-10:]
    missing = re.match(r"ModuleNotFoundError: No module named '(\w+)'", last_lines[-1] if last_lines else "")
    if watched["hung"]:
        raise RunError(f"stopped after {timeout:g} s", last_lines)
    if missing:
        raise RunError(f"{missing[1]} is not installed", last_lines)
    if process.returncode:
        raise RunError(f"ended with status {process.returncode}", last_lines)
    if test_accuracy is None or not seen:
        raise RunError("ended without a test accuracy", last_lines)
    memory = {} if workers else {"memory": watched["memory"]}  # of workers, that of their launcher was seen
    return {"library": library_version(job), "epochs": seen, "test_accuracy": test_accuracy, "seconds": seconds,
            **memory}


def end(process):
    """Kill a process and all that it started, if they still run."""
    try:
        own = psutil.Process(process.pid)
        for each in [*own.children(recursive=True), own]:
            each.kill()
    except psutil.NoSuchProcess:
        pass


def watch_process(process, deadline, watched):
    """Keep the largest memory of a process in watched["memory"]; kill it and what it started at the deadline."""
    try:
        own = psutil.Process(process.pid)
        while process.poll() is None:
            watched["memory"] = max(watched["memory"], own.memory_info().rss)
            if perf_counter() > deadline:
                watched["hung"] = True
                end(process)
            sleep(0.05)
    except psutil.NoSuchProcess:  # it ended between two lines of this
        pass


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
    for script in SCRIPTS:
        network, library = script.split("_")
        runs, failures = runs_of(script, saved)
        if runs:
            seconds = median(epoch_seconds(r["epochs"]) for r in runs)
            reached = [seconds_to(TARGETS[network], r["epochs"]) for r in runs]
            table.append([
                script, runs[-1]["library"],
                accuracy_of(runs) + (f" ({len(failures)} failed)" if failures else ""),
                f"{median(start_seconds(r['epochs']) for r in runs):.1f}", f"{seconds:.2f}",
                f"{median(r['seconds'] for r in runs):.1f}", "–" if None in reached else f"{mean(reached):.0f}",
                f"{max(r['memory'] for r in runs) / 1e6:,.0f}", f"{PARAMETERS[network]:,}",
                f"{lines_of_code(ROOT / f'{script}.py')}"])
        elif failures:
            table.append([script, LIBRARIES[library], f"failed: {failures[-1]['reason']}", *[""] * (len(HEAD) - 3)])
    return table


def parallel_rows(saved):
    """Return the cells of the table of --parallel, under PARALLEL_HEAD, a row for each number of workers."""
    table = []
    for script, workers in [(script, workers) for script in PARALLEL for workers in WORKERS]:
        (runs, failures), (alone, _) = (runs_of(f"{script}/{n}", saved) for n in (workers, 1))
        threads = saved["settings"]["threads"]
        threads = "shared" if workers > 1 and script not in PROCESSES else f"{max(1, threads // workers)}"
        cells = [f"parallel/{script}", library_version(f"{script}/{workers}"), f"{workers}", threads]
        if runs:
            seconds = median(epoch_seconds(r["epochs"]) for r in runs)
            speed_up = f"{median(epoch_seconds(r['epochs']) for r in alone) / seconds:.2f}" if alone else "–"
            table.append([*cells, f"{median(start_seconds(r['epochs']) for r in runs):.1f}", f"{seconds:.2f}", speed_up,
                          f"{median(r['seconds'] for r in runs):.1f}", accuracy_of(runs)])
        elif failures:
            table.append([*cells, *[""] * 4, f"failed: {failures[-1]['reason']}"])
    return table


def markdown(saved, to_root="", head=HEAD):
    """Return the table in Markdown and a line that names the machine; `to_root` leads from there to the scripts."""
    body = [[f"[`{script}.py`]({to_root}{script}.py)", *cells]
            for script, *cells in (rows if head is HEAD else parallel_rows)(saved)]
    lines = [head, ["---", "---", *["--:"] * (len(head) - 2)], *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + f"\n\n{conditions(saved)}"


def conditions(saved):
    """Return in a line on what machine, with how many threads, images and epochs the runs were made."""
    machine, settings = saved["settings"]["machine"], saved["settings"]
    epochs = f" {settings['epochs']} epochs instead of the scripts' own." if settings["epochs"] else ""
    return (f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}, {machine['system']}, "
            f"Python {machine['python']}. Threads: {settings['threads']}. Training digits: "
            f"{settings['images']:,}.{epochs}")


def machine():
    """Return the machine as a dict: processor, cores, memory, system, python."""
    processor, system = platform.processor() or platform.machine(), platform.platform(terse=True)
    if Path("/proc/cpuinfo").exists():
        names = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        processor = names[1] if names else processor
    if Path("/etc/os-release").exists():
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return {"processor": processor, "cores": psutil.cpu_count(), "system": system,
            "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB", "python": platform.python_version()}


def curve(saved, script):
    """Return the seconds since the start of the process and the validation accuracies in %, means over the seeds."""
    runs, _ = runs_of(script, saved)
    epochs = list(zip(*(run["epochs"] for run in runs)))  # of every epoch, a triple for each seed
    return [mean(since for _, _, since in e) for e in epochs], [100 * mean(a for a, _, _ in e) for e in epochs]


def figure(saved):
    """Return Matplotlib's figure of validation accuracy against wall-clock time, MLPs and ConvNets apart."""
    import matplotlib  # only now, because it takes a second
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    plt.rcParams.update({"svg.hashsalt": "comparison", "svg.fonttype": "none", "font.size": 9})
    drawing, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    # The colours are those of Okabe and Ito (2008), which the colour-blind can tell apart; the markers do without.
    looks = list(zip(["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000"], "osD^vX"))
    for axis, network, title in zip(axes, PARAMETERS, ("MLP", "ConvNet")):
        top = bottom = 100 * TARGETS[network]
        axis.axhline(top, color="#888888", linewidth=0.8, linestyle=":")
        for (library, name), (colour, marker) in zip(LIBRARIES.items(), looks):
            seconds, accuracies = curve(saved, f"{network}_{library}")
            if seconds:
                axis.plot(seconds, accuracies, color=colour, linewidth=1, label=name, marker=marker, markersize=4.5,
                          markeredgecolor="white", markeredgewidth=0.4, markevery=max(1, len(seconds) // 10))
                top, bottom = max(top, *accuracies), min(bottom, accuracies[-1])
        margin = max(top - bottom, 0.5)
        axis.set(title=title, xlabel="seconds since the start of the process", xlim=(0, None),
                 ylim=(bottom - margin / 2, top + margin / 10))
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.lines[1:]:
            axis.legend(frameon=False, loc="lower right")
    axes[0].set_ylabel("validation accuracy, %")
    plt.close(drawing)
    return drawing


def draw(saved, path):
    """Write the figure as SVG to `path`."""
    path.parent.mkdir(exist_ok=True, parents=True)
    temporary = path.with_name(path.name + ".part")
    figure(saved).savefig(temporary, format="svg", metadata={"Date": None})
    os.replace(temporary, path)


def write(path, content):
    """Write a text or bytes to `path` so that the file is never there in part."""
    path.parent.mkdir(exist_ok=True, parents=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(temporary, path)


def live_table(chosen, seeds, epochs, saved, now):
    """Return what the terminal shows during the comparison: a row a script, with how far it is.

    `now` describes the run that is going on: `script`, `seed`, and `epochs`, the list that run() fills.
    """
    view = Table(title="python compare.py", caption=conditions(saved))
    for heading in "script", "library":
        view.add_column(heading, no_wrap=True)
    for heading in "seed", "epoch", "validation", "s per epoch", "left, s", "test accuracy":
        view.add_column(heading, justify="right", no_wrap=True)
    for script in chosen:
        if script == now.get("script"):
            ended, total = now["epochs"], epochs or constants(script)[0]
            seconds = epoch_seconds(ended) if ended else 0
            view.add_row(script, library_version(script), f"{now['seed'] + 1} of {seeds}", f"{len(ended)} of {total}",
                         *[f"{ended[-1][0]:.2%}", f"{seconds:.2f}", f"{(total - len(ended)) * seconds:.0f}"]
                         if ended else ["", "", "starting"], style="bold")
        elif runs := runs_of(script, saved)[0]:
            seconds = median(epoch_seconds(r["epochs"]) for r in runs)
            view.add_row(script, library_version(script), "", "", "", f"{seconds:.2f}", "", accuracy_of(runs))
        else:
            view.add_row(script, library_version(script), style="dim")
    return view


def measure(chosen, arguments, saved, path, console):
    """Run every seed of every chosen script and write `saved` to `path` after each; return how many runs failed."""
    failed, now, fresh = 0, {}, set()
    with Live(get_renderable=lambda: live_table(chosen, arguments.seeds, arguments.epochs, saved, now),
              console=console, transient=True, refresh_per_second=1):  # what it takes, the script has to do without
        for script, seed in [(script, seed) for script in chosen for seed in range(arguments.seeds)]:
            name = f"{script} seed {seed}"
            if arguments.resume and name in saved["runs"]:
                continue
            now.update(script=script, seed=seed, epochs=[])
            try:
                result = run(script, seed, arguments.epochs or constants(script)[0], arguments.threads,
                             arguments.timeout, now["epochs"])
                if not arguments.resume and script not in fresh:  # all seeds of a row come from one comparison
                    for kind in "runs", "failures":
                        saved[kind] = {key: r for key, r in saved[kind].items() if key.split()[0] != script}
                    fresh.add(script)
                saved["runs"][name] = result
                saved["failures"].pop(name, None)
                console.print(f"{name}: test accuracy {result['test_accuracy']:.2%}, "
                              f"{epoch_seconds(result['epochs']):.2f} s per epoch", highlight=False)
            except RunError as error:
                failed += 1
                saved["failures"][name] = {"reason": str(error), "stderr": error.stderr}
                console.print("\n    ".join([f"{name}: {error}", *error.stderr]), highlight=False, markup=False)
            write(path, json.dumps(saved, indent=1))
    return failed


def settled(arguments, path, console):
    """Return what `path` holds if it was measured as `arguments` ask, else a beginning, the other kept as .old."""
    (images, _), *_ = mnist.load_data()
    if not arguments.quick and len(images) != 50_000:
        sys.exit(f"compare.py measures on 50,000 training digits, but {len(images):,} were found. Set MNIST_DIR to a "
                 "folder with the whole of MNIST; or let --quick show the comparison on the sample.")
    settings = {"machine": machine(), "threads": arguments.threads, "epochs": arguments.epochs, "images": len(images)}
    try:
        saved = json.loads(path.read_text("utf-8"))
        if saved["settings"] == settings:
            return saved
    except FileNotFoundError:
        return {"settings": settings, "runs": {}, "failures": {}}
    except (ValueError, KeyError, TypeError):
        saved = {}
    if arguments.resume:
        sys.exit(f"{path} cannot be continued: " + (
            "it was measured on another machine or with other settings: " + conditions(saved) if saved else
            "it holds no comparison.") + " Without --resume a new comparison begins, and this file is kept beside it.")
    old = path.with_suffix(".old.json")
    os.replace(path, old)
    console.print(f"A new comparison begins; the earlier one, from another machine or with other settings, is now "
                  f"{old.relative_to(ROOT)}.")
    return {"settings": settings, "runs": {}, "failures": {}}


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", nargs="*", default=["*"], help="names or patterns of scripts; all, if none is given")
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs of each run, instead of the script's own")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many seeds, from 0 on")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), metavar="N",
                        help="threads of each library (here: %(default)s)")
    parser.add_argument("--timeout", type=float, default=3600, metavar="S",
                        help="seconds after which a run is stopped (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="two epochs on the sample")
    parser.add_argument("--resume", action="store_true", help="keep the runs that are there, make those that are not")
    parser.add_argument("--parallel", action="store_true", help="the scripts in parallel/, one worker and two")
    parser.add_argument("--readme", action="store_true", help="also put the table into README.md")
    arguments = parser.parse_args(argv)
    names = [name.removesuffix(".py") for name in arguments.scripts]
    scripts = PARALLEL if arguments.parallel else SCRIPTS
    if unknown := [name for name in names if not fnmatch.filter(scripts, name)]:
        parser.error(f"no script is named {' or '.join(unknown)}; there are {', '.join(scripts)}.")
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
    saved = settled(arguments, path, console)
    try:
        status = 1 if measure(arguments.scripts, arguments, saved, path, console) else 0
    except KeyboardInterrupt:
        status = 130
    head, cells = (PARALLEL_HEAD, parallel_rows) if arguments.parallel else (HEAD, rows)
    table = Table(caption=conditions(saved), *head[:2])
    for heading in head[2:]:
        table.add_column(heading, justify="right")
    for row in cells(saved):
        table.add_row(*row)
    console.print(table)
    if status == 130:
        again = shlex.join(["python", "compare.py", *(sys.argv[1:] if argv is None else argv)])
        console.print(f"Interrupted. What was measured is in {path.relative_to(ROOT)}; "
                      f"{again.replace(' --resume', '')} --resume goes on from there.")
        return status
    written = [path]
    if not arguments.parallel:
        root = Path(os.path.relpath(ROOT, docs)).as_posix() + "/"
        write(docs / "comparison.md", f"# The twelve, compared\n\n{markdown(saved, root)}\n\n"
              "![Validation accuracy against time](comparison.svg)\n\n"
              f"Made by `compare.py`. The [README]({root}README.md) says what the columns mean.\n")
        draw(saved, docs / "comparison.svg")
        written += [docs / "comparison.md", docs / "comparison.svg"]
    if arguments.readme:
        readme, end = ROOT / "README.md", "<!-- end -->"
        begin = "<!-- parallel -->\n" if arguments.parallel else "<!-- table -->\n"
        before, rest = readme.read_text("utf-8").split(begin)
        write(readme, f"{before}{begin}{markdown(saved, head=head)}\n{end}{rest.split(end, 1)[1]}")
        written.append(readme)
    console.print(f"In {', '.join(str(each.relative_to(ROOT)) for each in written)}.")
    return status


if __name__ == "__main__":
    sys.exit(main())
