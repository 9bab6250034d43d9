"""The parallel scripts take the same steps as their siblings, and end as they should when something goes wrong."""
import difflib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache

import numpy as np
import psutil
import pytest
import test_sameness
from test_mnist import HANG, wait_for

import mnist
from compare import run, same
from compare.scripts import PARALLEL, PROCESSES, ROOT

MACHINES = [f"{script}/machines" for script in PARALLEL[1:]]  # to MPI, several machines are as one


def slow_but(*quick, of):
    """Return parameters of which all but the quick ones are for the slow tests."""
    return [each if each in quick else pytest.param(each, marks=pytest.mark.slow) for each in of]


JOBS = [f"{script}/2" for script in PARALLEL]


def free_ports():
    """Return two ports of this machine that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        for each in one, other:
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def commands(job, arguments, ports=None):
    """Return the command and the environment that start a job, for each machine; "conv_jax/machines" has two."""
    script, _, workers = job.partition("/")
    if workers != "machines":
        return [run.launch(job, arguments, threads=2)]
    python, hosts = [sys.executable, "-u", *arguments], [f"127.0.0.1:{port}" for port in ports or free_ports()]
    if script == "conv_torch":
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--no-python",
                    "--rdzv-backend=c10d", f"--rdzv-endpoint={hosts[0]}", "--rdzv-id=1"]
        one_thread = {"OMP_NUM_THREADS": "1"}  # as torchrun has it for two workers on one machine
        return [([*torchrun, *python], one_thread) for _ in hosts]
    variables = {
        "conv_tensorflow": lambda i: {"TF_CONFIG": json.dumps({"cluster": {"worker": hosts},
                                                               "task": {"type": "worker", "index": i}})},
        "conv_keras": lambda i: {"KERAS_DISTRIBUTION_JOB_ADDRESSES": ",".join(hosts),
                                 "KERAS_DISTRIBUTION_NUM_PROCESSES": "2", "KERAS_DISTRIBUTION_PROCESS_ID": f"{i}"},
        "conv_jax": lambda i: {"JAX_COORDINATOR_ADDRESS": hosts[0], "JAX_NUM_PROCESSES": "2",
                               "JAX_PROCESS_ID": f"{i}"}}
    return [(python, {**variables[script](i), "JAX_NUM_CPU_DEVICES": "1"}) for i in range(2)]


def ended(process):
    """Return whether a process has ended; a zombie has, though nobody has asked for its status yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


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
        return re.sub(r"(?m)^\[Gloo\] Rank .*\n", "", text)  # what JAX's transport prints from every process

    def wait(self):
        """Return the statuses of the commands, once all have ended."""
        return [process.wait(HANG) for process in self.processes]

    def wait_for(self, text):
        wait_for(lambda: text in self.printed() or None not in [process.poll() for process in self.processes])
        assert text in self.printed(), self.printed("err")

    def running(self):
        """Return every process of the job, and of these the ones that train."""
        own = [psutil.Process(process.pid) for process in self.processes]
        every = own + [child for process in own for child in process.children(recursive=True)]
        return every, [process for process in every if not process.children()]

    def end(self):
        for process in self.processes:
            run.end(process)
            process.wait()


@pytest.fixture
def start(tmp_path):
    """start(job, arguments) starts a job in a new folder, start(commands) these; nothing of it outlives the test."""
    jobs = []

    def begin(job, arguments=None, restarts=0, ports=None, checkpoint=None):
        folder = tmp_path / f"job{len(jobs)}"
        folder.mkdir()
        if checkpoint is not None:
            (folder / "conv_torch.checkpoint").write_bytes(checkpoint)
        started = commands(job, arguments, ports) if arguments else job
        if restarts:
            started = [([*command[:3], f"--max-restarts={restarts}", *command[3:]], own) for command, own in started]
        jobs.append(Job(started, folder))
        return jobs[-1]

    yield begin
    for job in jobs:
        job.end()


def training(script, epochs, before="pass"):
    end = "script.gc.collect(); script.torch.distributed.destroy_process_group()" if script == "conv_torch" else "pass"
    return ["-c", f"import extras.parallel.{script} as script; {before}; script.train(epochs={epochs}); {end}"]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """together(job) returns what adapters.py made of a job, a dict of arrays for each process, and what it printed."""
    @cache
    def run(job):
        folder = tmp_path_factory.mktemp("together")
        both = Job(commands(job, same.prepare(f"extras.parallel.{job.split('/')[0]}", folder)), folder)
        try:
            assert both.wait() == [0] * len(both.processes), both.printed("err")
        finally:
            both.end()
        return same.written(folder), both.printed()

    return run


@pytest.mark.parametrize("job", slow_but(*JOBS, of=JOBS + MACHINES))
def test_two_workers_go_the_way_of_the_reference(job, together, record_property):
    script, _, workers = job.partition("/")
    processes, printed = together(job)
    assert len(processes) == (2 if workers == "machines" or script in PROCESSES else 1)
    test_sameness.hold_to_reference(script, processes, record_property)
    line = r"epoch +1  validation accuracy \d+\.\d\d%  \d+\.\d\d s\ntest accuracy \d+\.\d\d%\n"
    assert re.fullmatch(2 * line, printed), "of all processes only one prints"


@pytest.mark.parametrize("job", slow_but("mlp_numpy/2", "conv_torch/2", of=JOBS + MACHINES))
def test_every_worker_begins_with_the_weights_and_the_digits_of_one_process(job, together):
    script = job.split("/")[0]
    one = test_sameness.alone(script, **({"KERAS_BACKEND": "jax"} if script == "conv_keras" else {}))
    for worker in together(job)[0]:
        for name in [name for name in one if name.startswith("own")]:
            # The same kernel made both, but where it ends a vector depends on the threads, and the last bit on that.
            np.testing.assert_allclose(worker[name], one[name], rtol=1e-5, err_msg=name)
        for name in "x", "y":
            np.testing.assert_array_equal(worker[name], one[name])


@pytest.mark.parametrize("script, step, share", [
    ("mlp_numpy", "gradients", 50), pytest.param("conv_torch", "step", 32, marks=pytest.mark.slow),
    pytest.param("conv_tensorflow", "forward", 32, marks=pytest.mark.slow)])
def test_each_worker_takes_half_of_every_batch(script, step, share, start):
    spy = (f"own = script.{step}; "
           f"script.{step} = lambda x, *rest: print('takes', x.shape[0], file=script.sys.stderr) or own(x, *rest)")
    job = start(f"{script}/2", training(script, 1, spy))
    assert job.wait() == [0]
    sizes = {int(size) for size in re.findall(r"takes (\d+)", job.printed("err"))}
    assert {size for size in sizes if size <= 100} == {share}  # accuracy() asks about hundreds at once


@pytest.mark.parametrize("victim", [0, -1], ids=["first", "last"])
@pytest.mark.parametrize("job", slow_but("mlp_numpy/2", of=["mlp_numpy/2", "conv_torch/2", *MACHINES]))
def test_when_a_worker_is_killed_all_end(job, victim, start):
    script, _, workers = job.partition("/")
    path = str(ROOT / "extras" / "parallel" / f"{script}.py")
    without_end = f"exec(open({path!r}).read().replace('epochs=EPOCHS', 'epochs=10_000'))"
    both = start(job, ["-c", without_end])
    both.wait_for("epoch  2 " if "mlp" in job else "epoch 2 ")
    every, training = both.running()
    assert len(training) == 2
    training[victim].send_signal(signal.SIGKILL)
    assert 0 not in both.wait()
    wait_for(lambda: all(map(ended, every)))
    # MPI's and JAX's other process may notice, and be ended by its library with a line of its own, before mpiexec or
    # Python come to speak.
    line = {"mlp_numpy": r"YOUR APPLICATION TERMINATED .* \(signal 9\)|"
                         r"Abort\(\d+\) on node \d .*Fatal error in .*Allreduce",
            "conv_torch": r".*Signal 9 \(SIGKILL\)"}
    line = line.get(script, "Training cannot go on, as when another process has ended: |"
                            ".* Terminating process because the JAX distributed service detected fatal errors")
    assert re.search(f"(?m)^({line})", both.printed() + both.printed("err"))


def epochs_of(job):
    """Return the lines that a job printed without the seconds, in which alone two equal runs may differ."""
    return [re.sub(r"  [\d.]+ s$", "", line) for line in job.printed().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a run of conv_torch with two workers printed, and its checkpoint after the first of its four epochs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    keep = "import os, shutil; replace = os.replace; os.replace = lambda *names: replace(*names) or (" \
           "os.path.exists('first') or shutil.copy(names[1], 'first'))"
    job = Job(commands("conv_torch/2", training("conv_torch", 4, keep)), folder)
    assert job.wait() == [0] and not (folder / "conv_torch.checkpoint").exists()
    return epochs_of(job), (folder / "first").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["2", "machines"])
def test_under_torchrun_a_killed_worker_is_made_good(workers, undisturbed, start):
    # Until it is killed, it stays in the third epoch; when it begins again there is a checkpoint.
    stay = "import time; own, epochs, first = script.mnist.epoch, [], not script.os.path.exists(script.CHECKPOINT); " \
           "script.mnist.epoch = lambda *arguments: epochs.append(arguments) or (" \
           f"first and len(epochs) == 3 and time.sleep({HANG})) or own(*arguments)"
    both = start(f"conv_torch/{workers}", training("conv_torch", 4, stay), restarts=1)
    both.wait_for("epoch 2 ")
    both.running()[1][-1].send_signal(signal.SIGKILL)
    assert both.wait() == [0] * len(both.processes), both.printed("err")
    lines = epochs_of(both)
    # The same kernels on as many threads, and a sum of two: to the last bit, the steps are those of the other run.
    assert list(dict.fromkeys(lines)) == undisturbed[0]
    assert lines.count(lines[0]) == 1, "it began anew"
    assert not list(both.folder.glob("conv_torch.checkpoint*"))


@pytest.mark.parametrize("script", slow_but("mlp_numpy", of=PARALLEL))
def test_a_batch_that_cannot_be_shared_out_is_refused(script, start):
    job = start(f"{script}/3", training(script, 1, "script.cpu_count = lambda: 8"))
    assert 0 not in job.wait() and job.printed() == ""
    assert re.search(r"(?m)^(?=.*\b(100|64)\b)(?=.*\b3\b).*(batch|divide)", job.printed("err"))


def test_one_mpi_process_that_refuses_ends_them_all():
    command, own = run.launch("mlp_numpy/3", ["-m", "extras.parallel.mlp_numpy"], threads=2)
    at = command.index("mpi4py")
    del command[at - 1:at + 1]  # as in the README: without the runner that would end them, too
    refused = subprocess.run(command, env={**os.environ, **own}, cwd=ROOT, text=True, capture_output=True, timeout=HANG)
    assert refused.returncode != 0 and "3 processes cannot share a batch of 100" in refused.stderr


@pytest.mark.parametrize("script", slow_but("mlp_numpy", of=PROCESSES))
def test_more_processes_than_devices_are_refused(script, start):
    job = start(f"{script}/2", training(script, 1, "script.cpu_count = lambda: 1"))
    assert 0 not in job.wait() and job.printed() == ""
    assert re.search("2 are too many here|a device each; it started 2", job.printed("err"))


@pytest.mark.parametrize("script", slow_but("conv_jax", of=["conv_tensorflow", "conv_keras", "conv_jax"]))
def test_a_port_in_use_is_named_before_training(script, start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = [taken.getsockname()[1], free_ports()[0]]
        job = start(f"{script}/machines", ["-m", f"extras.parallel.{script}"], ports=ports)
        assert job.processes[0].wait(HANG) == 1
    assert "in use" in (job.folder / "0.err").read_text().splitlines()[-1] and job.printed() == ""


@pytest.mark.slow
@pytest.mark.parametrize("damage, before, said", [
    (lambda content: content[:len(content) // 2], "pass", "is damaged"), (lambda content: b"", "pass", "is damaged"),
    (lambda content: content, "script.LEARNING_RATE = 0.1", "is of another run: 3,334 digits with checksum "),
    (lambda content: content, "own = script.mnist.load_data; "
     "script.mnist.load_data = lambda **options: [(x[:-1], y[:-1]) for x, y in own(**options)]",
     r"is of another run: 3,334 digits .* This one is: 3,333 digits "),
    (lambda content: content, "own = script.mnist.load_data; "
     "script.mnist.load_data = lambda **options: [(x[::-1].copy(), y) for x, y in own(**options)]",
     r"is of another run: 3,334 digits with checksum \w+, (.*)\. This one is: 3,334 digits with checksum \w+, \1\."),
    (lambda content: content, "own = script.mnist.load_data; "
     "script.mnist.load_data = lambda **options: [(x, 9 - y) for x, y in own(**options)]", "is of another run: "),
    (lambda content: content, "script.build_model = lambda: script.nn.Linear(3, 3)", "not written by this program: ")],
    ids=["truncated", "empty", "of another run", "of fewer digits", "of other digits", "of other labels",
         "of another network"])
def test_a_checkpoint_that_does_not_fit_is_refused_and_left_alone(damage, before, said, undisturbed, start):
    content = damage(undisturbed[1])
    job = start("conv_torch/2", training("conv_torch", 4, before), checkpoint=content)
    assert 0 not in job.wait() and job.printed() == ""
    assert re.search(f"conv_torch.checkpoint .*{said}", job.printed("err"))
    assert (job.folder / "conv_torch.checkpoint").read_bytes() == content


@pytest.mark.slow
def test_a_checkpoint_is_replaced_by_a_whole_one_only(undisturbed, start):
    killed = "script.torch.save = lambda _, path: path.write_text('x') and script.os.kill(script.os.getpid(), 9)"
    job = start("conv_torch/2", training("conv_torch", 4, killed), checkpoint=undisturbed[1])
    assert 0 not in job.wait()
    assert (job.folder / "conv_torch.checkpoint").read_bytes() == undisturbed[1]


@pytest.mark.slow
def test_two_jobs_on_neighboring_ports_do_not_disturb_each_other(start):
    while True:  # until two neighbors are free, and the two ports that the workers add
        port, _ = free_ports()
        with suppress(OSError):
            for each in {p ^ flip for p in (port, port + 1) for flip in (0, 512)}:
                socket.create_server(("127.0.0.1", each)).close()
            break
    jobs = []
    for each in port, port + 1:
        (command, own), = commands("conv_torch/2", training("conv_torch", 1))
        command[command.index("--standalone")] = f"--master-port={each}"
        jobs.append(start([(command, own)]))
    for job in jobs:
        assert job.wait() == [0], job.printed("err")


@pytest.mark.slow
@pytest.mark.parametrize("task, rank", [("chief", 0), ("worker", 1)])
def test_beside_a_chief_no_worker_is_the_first(task, rank):
    cluster = {"chief": ["127.0.0.1:1"], "worker": ["127.0.0.1:2"]}
    code = "import tensorflow as tf; tf.distribute.MultiWorkerMirroredStrategy = object\n" \
           "from extras.parallel import conv_tensorflow as script; print(script.RANK)"  # no machine answers
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, env={
        **os.environ, "TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": task, "index": 0}})}).stdout
    assert printed == f"{rank}\n"


@pytest.mark.slow
@pytest.mark.parametrize("code, environment, said", [
    ("import jax; jax.devices(); import extras.parallel.conv_jax", {}, "Restart the notebook"),
    ("import jax; jax.devices(); import extras.parallel.conv_keras", {}, "Restart the notebook"),
    ("import tensorflow as tf; tf.zeros(1); import extras.parallel.conv_tensorflow", {}, "Restart the notebook"),
    ("import extras.parallel.conv_tensorflow", {"TF_CONFIG": "worker 0"}, "Is TF_CONFIG right")])
def test_what_was_set_or_run_before_is_answered_in_a_sentence(code, environment, said):
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True,
                             env={**os.environ, **environment})
    assert process.returncode == 1 and "Traceback" not in process.stderr
    assert said in process.stderr.splitlines()[-1]


@pytest.mark.parametrize("script", PARALLEL)
def test_the_diff_fits_a_screen_and_the_readme_counts_it(script):
    pages = [(ROOT / folder / f"{script}.py").read_text("utf-8").splitlines() for folder in (".", "extras/parallel")]
    changed = sum(line[0] in "+-" for line in difflib.ndiff(*pages))
    assert changed <= 42
    readme = (ROOT / "extras" / "parallel" / "README.md").read_text("utf-8")
    row, = re.findall(rf"(?m)^\| \[`{script}.py`\]\({script}.py\) .* (\d+) \|$", readme)
    assert int(row) == changed
    assert max(map(len, pages[1])) <= 120


@pytest.mark.slow
def test_the_cost_of_a_step_is_told_in_tables(start):
    code = "import extras.parallel.cost as cost; cost.VALUES, cost.BATCHES = (1, 1000), (16, 32); cost.main()"
    job = start("conv_torch/2", ["-c", code])
    assert job.wait() == [0], job.printed("err")
    tables = [[re.findall(r"[^|]+", line.replace(" ", "")) for line in table.splitlines() if line.startswith("|")]
              for table in job.printed().split("\n\n") if table.strip().startswith("|")]
    readme = (ROOT / "extras" / "parallel" / "README.md").read_text("utf-8").replace(" ", "")
    assert len(tables) == 5 and all("|".join(table[0]) in readme for table in tables)
    for batch, alone, _, two, _, speed_up, _ in tables[1][2:]:
        alone, two = float(alone), float(two)
        rounding = 0.005 + alone / two * (0.005 / alone + 0.005 / two)  # of all three, to two digits
        assert float(speed_up) == pytest.approx(alone / two, abs=1.01 * rounding)
