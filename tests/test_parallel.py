"""The scripts in parallel/ take the same steps as their siblings."""
import difflib
import json
import os
import re
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

import adapters
import compare
import mnist
import test_sameness

ROOT = compare.ROOT
SEVERAL_MACHINES = ["conv_tensorflow", "conv_keras", "conv_torch", "conv_jax"]  # to MPI they are what one machine is
JOBS = [f"{script}/2" for script in compare.PARALLEL] + [f"{script}/machines" for script in SEVERAL_MACHINES]


def free_ports():
    """Return two ports of this machine that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        for each in one, other:
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def commands(job, arguments):
    """Return the command and the environment that start a job, for each machine; "conv_jax/machines" has two."""
    script, _, workers = job.partition("/")
    if workers != "machines":
        return [compare.launch(job, arguments, threads=2)]
    python, hosts = [sys.executable, "-u", *arguments], [f"127.0.0.1:{port}" for port in free_ports()]
    if script == "conv_torch":
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--no-python",
                    "--rdzv-backend=c10d", f"--rdzv-endpoint={hosts[0]}", "--rdzv-id=1"]
        return [([*torchrun, *python], {}) for _ in hosts]
    variables = {
        "conv_tensorflow": lambda i: {"TF_CONFIG": json.dumps({"cluster": {"worker": hosts},
                                                               "task": {"type": "worker", "index": i}})},
        "conv_keras": lambda i: {"KERAS_DISTRIBUTION_JOB_ADDRESSES": ",".join(hosts),
                                 "KERAS_DISTRIBUTION_NUM_PROCESSES": "2", "KERAS_DISTRIBUTION_PROCESS_ID": f"{i}"},
        "conv_jax": lambda i: {"JAX_COORDINATOR_ADDRESS": hosts[0], "JAX_NUM_PROCESSES": "2",
                               "JAX_PROCESS_ID": f"{i}"}}
    return [(python, {**variables[script](i), "JAX_NUM_CPU_DEVICES": "1"}) for i in range(2)]


class Job:
    """What commands() returned, started in a folder on the sample."""

    def __init__(self, started, folder):
        self.folder, self.processes = folder, []
        for i, (command, own) in enumerate(started):
            with open(folder / f"{i}.out", "w") as out, open(folder / f"{i}.err", "w") as err:
                self.processes.append(subprocess.Popen(
                    command, cwd=folder, stdout=out, stderr=err,
                    env={**os.environ, "PYTHONPATH": str(ROOT), "MNIST_DIR": str(mnist.SAMPLE), **own}))

    def printed(self, kind="out"):
        text = "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob(f"?.{kind}")))
        return re.sub(r"(?m)^\[Gloo\] Rank .*\n", "", text)  # with which JAX's transport greets from every process

    def wait(self, seconds=300):
        """Return the statuses of the commands, once all have ended."""
        deadline = time.monotonic() + seconds
        return [process.wait(max(0.1, deadline - time.monotonic())) for process in self.processes]

    def end(self):
        for process in self.processes:
            compare.end(process)
            process.wait()


@pytest.fixture
def start(tmp_path):
    """start(job, arguments) starts a job in a new folder; nothing of it outlives the test."""
    jobs = []

    def begin(job, arguments):
        folder = tmp_path / f"job{len(jobs)}"
        folder.mkdir()
        jobs.append(Job(commands(job, arguments), folder))
        return jobs[-1]

    yield begin
    for job in jobs:
        job.end()


def parameters(path):
    with np.load(path) as arrays:
        return [arrays[f"end0_{i}"] for i in range(len(arrays.files))]


@pytest.mark.parametrize("job", JOBS)
def test_two_workers_go_the_way_of_the_reference(job, start, tmp_path):
    script = job.split("/")[0]
    test_sameness.save_way(script, tmp_path / "way.npz")
    both = start(job, [adapters.__file__, f"parallel.{script}", str(tmp_path / "way.npz"), str(tmp_path / "out.npz")])
    assert both.wait() == [0] * len(both.processes), both.printed("err")
    test_sameness.hold_to_reference(script, tmp_path / "out.npz", f"parallel/{job}")


@pytest.mark.parametrize("job", JOBS)
def test_the_first_steps_of_two_workers_are_those_of_one_process(job, start, tmp_path):
    script = job.split("/")[0]
    steps = "20" if "mlp" in job else "10"  # adapters.py says why a ConvNet's way parts after that
    alone = subprocess.run([sys.executable, adapters.__file__, script, steps, tmp_path / "alone.npz"], text=True,
                           env={**os.environ, "MNIST_DIR": str(mnist.SAMPLE), "KERAS_BACKEND": "jax"},
                           capture_output=True)
    assert alone.returncode == 0, alone.stderr
    both = start(job, [adapters.__file__, f"parallel.{script}", steps, str(tmp_path / "both.npz")])
    assert both.wait() == [0] * len(both.processes), both.printed("err")
    one, two = parameters(tmp_path / "alone.npz"), parameters(tmp_path / "both.npz")
    assert len(one) == len(two) == {"mlp": 4, "conv": 8}[script.split("_")[0]]
    assert max(np.linalg.norm(a - b) / np.linalg.norm(a) for a, b in zip(one, two)) <= 1e-5
    assert re.fullmatch(r"epoch +1  validation accuracy \d+\.\d\d%  \d+\.\d\d s\ntest accuracy \d+\.\d\d%\n",
                        both.printed()), "not one process prints, and it alone"


@pytest.mark.parametrize("script", compare.PARALLEL)
def test_the_diff_fits_a_screen(script):
    pages = [(ROOT / folder / f"{script}.py").read_text("utf-8").splitlines() for folder in (".", "parallel")]
    assert sum(line[0] in "+-" for line in difflib.ndiff(*pages)) <= 40
    assert max(map(len, pages[1])) <= 120
