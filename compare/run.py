"""One training in a fresh process: started, watched, and ended."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter, sleep

import psutil

from compare import scripts
from compare.scripts import LIBRARIES, RETIRED, RETIRED_LIBRARIES, ROOT, module_of, python_of, version

THREADS = list(dict.fromkeys(variable for libraries in (LIBRARIES, RETIRED_LIBRARIES)
                             for library in libraries.values() for variable in library.threads))
EPOCH = re.compile(r"epoch +\d+  validation accuracy (\d+\.\d+)%  (\d+\.\d+) s")
TEST = re.compile(r"test accuracy (\d+\.\d+)%\Z")
# What the process of a run does first: find the scripts from any folder, and wait in a thread for the end of stdin, a
# pipe that nobody writes to. It ends when the comparison does, even killed, and the run must not outlive that.
BEGIN = f"""import os, stat, sys, threading
sys.path.insert(0, {str(ROOT)!r})
if stat.S_ISFIFO(os.fstat(0).st_mode):
    threading.Thread(target=lambda: os.read(0, 1) or os._exit(1), daemon=True).start()
"""


class RunError(Exception):
    """A script did not come to its test accuracy; `stderr` holds the last lines it wrote there."""

    def __init__(self, reason, stderr):
        super().__init__(reason)
        self.stderr = stderr


def launch(job, arguments, threads):
    """Return the command that runs Python with `arguments` for a job, and what its environment needs.

    Args:
        job: "mlp_numpy", the script of this name; "mlp_numpy/2", that in extras/parallel/ with two workers;
            "mlp_gluon/2", that in extras/retired/ with two devices.
        arguments: a list of strings, ["-c", "import ..."] say.
        threads: how many the library may use; if the workers are processes, they share them.
    """
    script, _, workers = job.partition("/")
    python, prefix, environment = [python_of(job), "-u", *arguments], [], {}
    if workers and script == "mlp_numpy":
        places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        prefix = [shutil.which("mpiexec", path=places) or "mpiexec", "-n", workers]
        python[2:2] = ["-m", "mpi4py"]  # a process that fails ends the others
    elif workers and script == "conv_torch":
        prefix = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={workers}",
                  "--no-python"]
    elif workers and script not in RETIRED:
        environment = {"CPU_DEVICES": workers, "JAX_NUM_CPU_DEVICES": workers}
    environment["JAX_ENABLE_X64"] = "0"  # every script computes in float32, whatever was set for another project
    each = max(1, threads // int(workers)) if prefix else threads
    return [*prefix, *python], {**environment, **dict.fromkeys(THREADS, str(each))}


def train(job, seed, epochs, threads, timeout, seen):
    """Train one script in a fresh interpreter.

    Args:
        job: its name, as launch() takes it.
        seed, epochs: what its train() is given.
        threads: how many threads the library may use.
        timeout: seconds after which the run is stopped.
        seen: a list to which every epoch is appended as it ends: [validation accuracy, its own seconds, seconds
            since the process began].

    Returns:
        A dict: `library`, name and version; `epochs`, the list `seen`; `test_accuracy`; `seconds`, from the start of
        the process until that was printed; but for those in extras/parallel/, `memory`, the largest resident set in
        bytes, looked up every 50 ms.

    Raises:
        RunError: it crashed, hung, or lacks its library.
    """
    script, _, workers = job.partition("/")
    code = f"script.train(epochs={epochs}, seed={seed})"
    if workers and script in RETIRED:
        code = f"script.DEVICES = [script.mx.cpu(i) for i in range({workers})]; {code}"
    code = f"{BEGIN}import {module_of(job)} as script; {code}"
    if workers and script == "conv_torch":
        code += "; script.gc.collect(); script.torch.distributed.destroy_process_group()"  # the script's own last lines
    command, environment = launch(job, ["-c", code], threads)
    environment = {**os.environ, **environment}
    if "MNIST_DIR" in environment:
        environment["MNIST_DIR"] = os.path.abspath(environment["MNIST_DIR"])
    watched, test_accuracy = {"memory": 0, "hung": False}, None
    with (tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,  # Windows keeps a killed process's a while
          tempfile.TemporaryFile("w+", errors="replace") as stderr):
        if job.endswith("theano"):  # it keeps what it compiled; an empty folder makes every run the first
            own = f"base_compiledir={Path(folder).as_posix()}"
            for flags in "THEANO_FLAGS", "PYTENSOR_FLAGS":
                environment[flags] = ",".join(filter(None, [os.environ.get(flags), own]))
        if scripts.library_of(job) == "keras":  # on the engine that is set, but without channels_first or float16
            environment |= {"KERAS_BACKEND": scripts.engine(), "KERAS_HOME": folder}
        begin = perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=stderr, text=True, errors="replace")
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
            process.stdin.close()
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
    return {"library": version(job), "epochs": seen, "test_accuracy": test_accuracy, "seconds": seconds,
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
            # On Windows, the python.exe of a virtual environment only starts the interpreter, as its child
            running = own.children() if os.name == "nt" else []
            watched["memory"] = max(watched["memory"], *(each.memory_info().rss for each in [own, *running]))
            if perf_counter() > deadline:
                watched["hung"] = True
                end(process)
            sleep(0.05)
    except psutil.NoSuchProcess:  # it ended between two lines of this
        pass
