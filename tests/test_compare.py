"""What python -m compare measures is what the scripts print, whatever becomes of a run, and the README shows it."""
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil
import pytest
from rich.console import Console
from test_mnist import HANG, posix, wait_for

import mnist
from compare import __main__ as command, run, scripts, table
from compare.measure import PARALLEL_RESULTS, RESULTS
from compare.scripts import LIBRARIES, PARALLEL, RETIRED, ROOT, SCRIPTS, WORKERS

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows, SIGTERM kills
SCRIPT = """
import sys, time
EPOCHS, BATCH_SIZE, LEARNING_RATE = 3, 50, 0.5
def train(epochs=EPOCHS, seed=0):
    for epoch in range(1, epochs + 1):
        time.sleep(0.02)
        print(f"epoch {epoch:2}  validation accuracy {97 + epoch + seed / 10:.2f}%  0.0{2 * epoch} s")
    print(f"test accuracy {98 + seed / 10:.2f}%")
"""


@pytest.fixture(scope="session")
def zeros(tmp_path_factory):
    """A folder of as many digits as MNIST has, all of them black."""
    folder = tmp_path_factory.mktemp("zeros")
    for part, count in ("train", 60_000), ("t10k", 10_000):
        header = np.array([0x803, count, 28, 28], ">i4").tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + bytes(784 * count))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(np.array([0x801, count], ">i4").tobytes() + bytes(count))
    return folder


def heed_signals():  # which a process ignores if it is started by tests that run in the background, or under nohup
    for each in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        signal.signal(each, signal.SIG_DFL)


@pytest.fixture
def clone(tmp_path, zeros):
    """A copy of the repository whose scripts take a moment; `clone("--quick")` runs its comparison."""
    root = tmp_path / ("a:b, ü [1]" if os.name == "posix" else "a b, ü [1]")  # a colon ends a path in PYTHONPATH
    root.mkdir()
    for name in "mnist.py", "README.md":
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "compare", root / "compare", ignore=shutil.ignore_patterns("results", "__pycache__"))
    shutil.copytree(mnist.SAMPLE, root / "data" / "sample")
    for script in SCRIPTS:
        (root / f"{script}.py").write_text(SCRIPT)

    def start(*arguments):
        environment = {**os.environ, "MNIST_DIR": str(zeros), "PYTHONIOENCODING": "utf-8",
                       "KERAS_BACKEND": "tensorflow", **call.environment}
        return subprocess.Popen([sys.executable, "-m", "compare", *arguments], cwd=root, env=environment,
                                encoding=environment["PYTHONIOENCODING"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, preexec_fn=heed_signals if os.name == "posix" else None)

    def call(*arguments):
        process = start(*arguments)
        process.stdout_text, process.stderr_text = process.communicate(timeout=HANG)
        return process

    call.start, call.root, call.environment = start, root, {"RETIRED_PYTHON": ""}
    call.saved = lambda where="", name="comparison": json.loads(
        (root / "compare/results" / where / f"{name}.json").read_text("utf-8"))
    return call


def test_a_run_holds_what_the_script_printed(monkeypatch):
    monkeypatch.setenv("MNIST_DIR", str(mnist.SAMPLE))
    seen = []
    made = run.train("mlp_numpy", 1, 3, 1, HANG, seen)
    printed = subprocess.run([sys.executable, "-c", "import mlp_numpy; mlp_numpy.train(3, 1)"], cwd=ROOT,
                             env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, capture_output=True, text=True).stdout
    assert re.findall(r"accuracy (\S+)", printed) == [*(f"{a:.2%}" for a, _, _ in made["epochs"]),
                                                      f"{made['test_accuracy']:.2%}"]
    assert made["epochs"] is seen and len(seen) == 3
    assert 0 < seen[0][1] <= seen[0][2] <= seen[1][2] <= seen[2][2] <= made["seconds"]
    assert made["library"] == f"NumPy {np.__version__}"


@pytest.fixture
def paced(monkeypatch, tmp_path):
    """paced(code, seen) runs code as if it were a script; wait("name") in it waits for the file of that name."""
    wait = f"""import pathlib, time
def wait(name):
    while not pathlib.Path({str(tmp_path)!r}, name).exists():
        time.sleep(0.01)
"""

    def train(code, seen):
        monkeypatch.setattr(run, "launch", lambda *_: ([sys.executable, "-u", "-c", wait + code], {}))
        return run.train("mlp_numpy", 1, 3, 1, HANG, seen)

    return train


def test_a_line_has_the_seconds_at_which_it_came(paced, tmp_path):
    class Seen(list):
        def append(self, epoch):
            super().append(epoch)
            (tmp_path / f"{len(self)}").touch()

    made = paced("""
for epoch in "123":
    print(f"epoch {epoch}  validation accuracy 97.00%  0.02 s")
    wait(epoch)
    time.sleep(0.05)
print("test accuracy 98.00%")
""", Seen())
    assert min(np.diff([*(since for _, _, since in made["epochs"]), made["seconds"]])) > 0.045


@pytest.mark.slow
def test_memory_is_that_of_the_process_at_its_largest(paced, monkeypatch, tmp_path):
    look_up = psutil.Process.memory_info

    def observed(process):
        memory = look_up(process)
        if memory.rss > 3e8:
            (tmp_path / "large").touch()
        elif (tmp_path / "large").exists():
            (tmp_path / "small again").touch()
        return memory

    monkeypatch.setattr(psutil.Process, "memory_info", observed)
    made = paced("""
block = bytearray(300_000_000)
wait("large")
del block
wait("small again")
print("epoch 1  validation accuracy 97.00%  0.02 s\\ntest accuracy 98.00%")
""", [])
    assert 3e8 < made["memory"] < 4e8


def running_threads(process):
    """Return how many threads of a process run, or would if there were a core for them."""
    states = []
    for path in Path(f"/proc/{process.pid}/task").glob("*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            states.append(path.read_text("utf-8").rpartition(")")[2].split()[0])
    return states.count("R")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the states of threads are in Linux's /proc")
@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
def test_every_library_keeps_to_its_threads(library):
    script = f"{'mlp' if library == 'theano' else 'conv'}_{library}"  # Theano's ConvNet compiles for a minute
    code = f"import {script} as s; s.train(1); print('compiled'); s.train(1)"
    environment = {**os.environ, **dict.fromkeys(run.THREADS, "1"), "MNIST_DIR": str(mnist.SAMPLE)}
    with subprocess.Popen([sys.executable, "-u", "-c", code], cwd=ROOT, env=environment, text=True,
                          stdout=subprocess.PIPE) as process:
        assert "compiled\n" in iter(process.stdout.readline, "")
        counts = []
        while process.poll() is None:
            counts.append(running_threads(process))
            time.sleep(0.002)
    assert process.returncode == 0 and np.mean([count for count in counts if count]) < 1.1  # with two, 1.2 to 2.0


def test_the_threads_asked_for_are_those_set(clone):
    (clone.root / "mlp_jax.py").write_text(f"import os\nassert {{os.environ[n] for n in {run.THREADS}}} == {{'3'}}"
                                           f"{SCRIPT}")
    assert clone("--quick", "mlp_jax", "--threads", "3").returncode == 0
    assert "Threads: 3" in (clone.root / "compare/results/trial/comparison.md").read_text("utf-8")
    assert clone("--quick", "mlp_jax", "--threads", "2").returncode == 1


def test_seconds_leave_the_first_epoch_out():
    assert table.epoch_seconds([[0.9, 60.0, 61.0], [0.9, 1.0, 62.0], [0.9, 3.0, 65.0], [0.9, 2.0, 67.0]]) == 2.0
    assert table.epoch_seconds([[0.9, 60.0, 61.0]]) == 60.0


def test_compiling_within_the_first_epoch_belongs_to_the_start():
    assert table.start_seconds([[0.9, 50.0, 53.0], [0.9, 2.0, 55.0]]) == 51.0
    assert table.start_seconds([[0.9, 2.0, 5.0], [0.9, 2.5, 7.5]]) == 3.0


def test_the_way_to_an_accuracy_is_timed_from_the_start_of_the_process():
    epochs = [[0.97, 1.0, 3.0], [0.978, 1.0, 4.0], [0.98, 1.0, 5.0]]
    assert table.seconds_to(0.978, epochs) == 4.0
    assert table.seconds_to(0.99, epochs) is None


def test_three_seeds_of_all_twelve(clone):
    process = clone("--seeds", "3", "--readme")
    assert process.returncode == 0, process.stdout_text + process.stderr_text
    runs = clone.saved()["runs"]
    assert list(runs) == [f"{script} seed {seed}" for script in SCRIPTS for seed in range(3)]
    whole = sorted(runs[f"conv_jax seed {seed}"]["seconds"] for seed in range(3))[1]
    name = r"\| \[`conv_jax.py`\]\(conv_jax.py\) \| JAX \S+ \| 98\.10 ± 0\.10 %"
    readme = (clone.root / "README.md").read_text("utf-8")
    assert re.search(fr"{name} \| {whole:.1f} \| 0\.05 \| \d+ \| 7 \|", readme)  # an epoch: between 0.04 and 0.06
    note = (clone.root / "docs" / "comparison.md").read_text("utf-8")
    row = fr"{name} \| \d+\.\d \| 0\.05 \| {whole:.1f} \| \d+ \| \d+ \| 164,534 \| 7 \|".replace(r"\(", r"\(../")
    assert note.count("](../") == len(SCRIPTS) + 1 and re.search(row, note)
    own, now = ((root / "README.md").read_text("utf-8").split("<!-- table -->") for root in (ROOT, clone.root))
    assert own[0] == now[0] and own[1].split("<!-- end -->")[1] == now[1].split("<!-- end -->")[1]
    drawing = (clone.root / "docs" / "comparison.svg").read_text("utf-8")
    for library, (name, *_) in LIBRARIES.items():
        assert drawing.count(f">{name}<") == sum(script.endswith(f"_{library}") for script in SCRIPTS)


@pytest.mark.parametrize("option", [pytest.param("--quick", marks=pytest.mark.slow), "--epochs=2"])
def test_a_trial_leaves_the_figures_of_the_readme_alone(clone, option):
    process = clone(option)
    assert process.returncode == 0, process.stdout_text + process.stderr_text
    trial = clone.root / "compare" / "results" / "trial"
    assert sorted(path.name for path in trial.iterdir()) == [
        "comparison.json", "comparison.lock", "comparison.md", "comparison.svg"]
    assert [len(run["epochs"]) for run in clone.saved("trial")["runs"].values()] == [2] * len(SCRIPTS)
    assert "2 epochs instead of the scripts' own" in (trial / "comparison.md").read_text("utf-8")
    assert not (clone.root / "docs").exists() and not (clone.root / "compare" / "results" / "comparison.json").exists()
    assert "--readme goes with neither" in clone(option, "--readme").stderr_text


def test_figures_on_the_sample_are_not_taken_for_mnist_figures(monkeypatch):
    monkeypatch.setenv("MNIST_DIR", str(mnist.SAMPLE))
    with pytest.raises(SystemExit, match="50,000 training digits, but 3,334 were found"):
        command.main(["mlp_numpy"])


def test_a_script_that_fails_is_a_row_that_says_so_and_the_others_go_on(clone):
    (clone.root / "mlp_numpy.py").write_text(SCRIPT.replace("for epoch", "print('so far', file=sys.stderr); 1 / 0\n"
                                                            "    for epoch"))
    (clone.root / "mlp_theano.py").write_text(f"import no_such_library{SCRIPT}")
    (clone.root / "mlp_keras.py").write_text(SCRIPT.replace("0.02", "1000"))
    (clone.root / "mlp_torch.py").write_text(SCRIPT.replace('print(f"test', '(f"test'))
    (clone.root / "mlp_jax.py").write_text("import sys; sys.stderr.write('much ' * 100_000)" + SCRIPT)
    process = clone("--quick", "mlp_[!k]*")
    hung = clone("--quick", "mlp_keras", "--seeds", "2", "--timeout", "0.5")
    assert process.returncode == hung.returncode == 1
    saved, note = clone.saved("trial"), (clone.root / "compare/results/trial/comparison.md").read_text("utf-8")
    for library, reason, said in (
            ("NumPy", "ended with status 1", ["so far", "ZeroDivisionError: division by zero"]),
            ("Theano", "no_such_library is not installed", ["ModuleNotFoundError: No module named 'no_such_library'"]),
            ("Keras", "stopped after 0.5 s", []), ("PyTorch", "ended without a test accuracy", [])):
        script = next(f"mlp_{name}" for name in LIBRARIES if LIBRARIES[name].name == library)
        failure = saved["failures"][f"{script} seed 0"]
        assert failure["reason"] == reason and all(line in failure["stderr"] for line in said)
        assert f"| [`{script}.py`](../../../{script}.py) | {library} | failed: {reason} |" in note
        assert all(line in process.stdout_text + hung.stdout_text for line in [reason, *said])
    assert saved["failures"]["mlp_keras seed 1"]["reason"] == "stopped after 0.5 s"
    assert list(saved["runs"]) == ["mlp_tensorflow seed 0", "mlp_jax seed 0"]

    (clone.root / "mlp_keras.py").write_text(SCRIPT)
    clone("--quick", "mlp_keras")
    assert "mlp_keras seed 0" not in clone.saved("trial")["failures"]
    assert "98.00 %" in (clone.root / "compare/results/trial/comparison.md").read_text("utf-8").splitlines()[7]


def test_unknown_names_are_answered_with_the_known_ones(clone):
    process = clone("mlp_*", "mlp_nunpy.py")
    assert process.returncode == 2
    assert "no script is named mlp_nunpy; there are mlp_numpy, mlp_theano" in process.stderr_text
    assert not (clone.root / "compare" / "results").exists()


@pytest.mark.parametrize("end", [KILL, pytest.param(signal.SIGINT, marks=[posix, pytest.mark.slow]),
                                 pytest.param(signal.SIGTERM, marks=posix),
                                 pytest.param(getattr(signal, "SIGHUP", None), marks=[posix, pytest.mark.slow])])
def test_what_was_stopped_can_be_resumed(clone, end):
    undisturbed = clone("mlp_*", "--seeds", "2")
    assert undisturbed.returncode == 0
    whole = clone.saved()
    (clone.root / "compare/results/comparison.json").unlink()

    begun = clone.root / "begun"
    stays = f"open({str(begun)!r}, 'w') and 1000 if seed else 0"  # the second seed, until it is stopped
    (clone.root / "mlp_keras.py").write_text(SCRIPT.replace("0.02", stays))
    process = clone.start("mlp_*", "--seeds", "2")
    wait_for(begun.exists)
    children = psutil.Process(process.pid).children()
    process.send_signal(end)
    printed = process.communicate(timeout=HANG)[0]
    assert children
    for child in children:  # after KILL, too, when nobody is left to stop it
        child.wait(HANG)
    (clone.root / "mlp_keras.py").write_text(SCRIPT)
    measured = clone.saved()["runs"]
    assert list(measured) == list(whole["runs"])[:7]
    if end != KILL:
        assert process.returncode == 130 and "python -m compare 'mlp_*' --seeds 2 --resume goes on" in printed
        assert "98.05 ± 0.07 %" in printed

    resumed = clone("mlp_*", "--seeds", "2", "--resume")
    assert resumed.returncode == 0, resumed.stdout_text + resumed.stderr_text
    assert {name: run for name, run in clone.saved()["runs"].items() if name in measured} == measured
    assert list(clone.saved()["runs"]) == list(whole["runs"])

    def without_seconds(saved):
        lasting = [i for i in range(len(table.HEAD)) if i not in (3, 5, 6, 7)]  # no start, whole run, way, memory
        return [[row[i] for i in lasting] for row in table.rows(saved)]

    assert without_seconds(clone.saved()) == without_seconds(whole)


def test_of_two_comparisons_one_is_refused_and_nothing_is_lost(clone):
    (clone.root / "mlp_jax.py").write_text(SCRIPT.replace("0.02", "1000"))  # the last of the MLPs
    first = clone.start("mlp_numpy", "mlp_jax", "--quick")
    try:
        trial = clone.root / "compare/results/trial"
        wait_for(lambda: (trial / "comparison.json").exists() or first.poll() is not None)
        before = (trial / "comparison.json").read_bytes()
        second = clone("mlp_torch", "--quick")
        assert second.returncode == 1 and "Another process is measuring" in second.stderr_text
        assert "Traceback" not in second.stderr_text and (trial / "comparison.json").read_bytes() == before
    finally:
        first.kill()
        first.communicate()
    assert clone("mlp_torch", "--quick").returncode == 0  # the lock went with its process
    assert set(clone.saved("trial")["runs"]) == {"mlp_numpy seed 0", "mlp_torch seed 0"}


@pytest.mark.parametrize("encoding", ["ascii", *(pytest.param(e, marks=pytest.mark.slow) for e in
                                                 ("latin-1", "cp437", "cp932"))])
def test_a_terminal_that_lacks_characters_costs_no_results(encoding, clone):
    clone.environment["PYTHONIOENCODING"] = encoding
    process = clone("mlp_jax", "--quick", "--seeds", "2")
    assert process.returncode == 0, process.stderr_text
    assert "mlp_jax" in process.stdout_text and "98.05" in process.stdout_text
    trial = clone.root / "compare/results/trial"
    assert "98.05 ± 0.07 %" in (trial / "comparison.md").read_text("utf-8")
    assert (trial / "comparison.svg").exists()


@posix
def test_a_run_is_kept_if_nobody_reads_on(clone):
    process = clone.start("mlp_numpy", "mlp_jax", "--quick")
    process.stdout.readline()
    process.stdout.close()
    process.wait(HANG)
    assert process.stderr.read() or process.returncode
    process.stderr.close()
    assert "mlp_numpy seed 0" in clone.saved("trial")["runs"]


@pytest.mark.parametrize("damage", [
    "[]", "{", '{"settings": {}}', '{"settings": {}, "runs": [], "failures": {}}',
    '{"settings": {}, "runs": {"mlp_numpy seed 0": {}}, "failures": {}}'])
def test_a_damaged_comparison_is_kept_beside_a_new_one(damage, clone):
    trial = clone.root / "compare/results/trial"
    trial.mkdir(parents=True)
    for name in "comparison.json", "comparison.old.json":
        (trial / name).write_text(damage)
    process = clone("mlp_numpy", "--quick", "--resume")
    assert process.returncode == 1 and "it holds no comparison" in process.stderr_text
    assert "Traceback" not in process.stderr_text
    process = clone("mlp_numpy", "--quick")
    assert process.returncode == 0, process.stderr_text
    assert list(clone.saved("trial")["runs"]) == ["mlp_numpy seed 0"]
    assert [(trial / f"comparison.{name}.json").read_text() for name in ("old", "old2")] == [damage, damage]


def test_a_readme_that_lacks_the_place_of_the_table_is_named_before_the_runs(clone):
    (clone.root / "README.md").write_text("nothing")
    process = clone("--readme")
    assert process.returncode == 1 and "README.md has no line <!-- table -->" in process.stderr_text
    assert not list((clone.root / "compare").glob("results/*.json"))


def test_a_first_comparison_of_some_scripts_does_not_replace_the_table_of_all(clone):
    before = (clone.root / "README.md").read_text("utf-8")
    process = clone("mlp_jax", "--readme")
    assert process.returncode == 1 and "Name none, to measure all" in process.stderr_text
    assert (clone.root / "README.md").read_text("utf-8") == before


def test_a_place_that_cannot_be_written_is_named_before_the_runs(clone):
    (clone.root / "compare" / "results").touch()  # a file where a folder has to be
    process = clone("mlp_jax", "--quick")
    assert process.returncode == 1 and process.stdout_text == "" and "Traceback" not in process.stderr_text
    assert "comparison.json cannot be written: " in process.stderr_text


@pytest.mark.parametrize("width", [80, 100, 150])
def test_the_scripts_can_be_told_apart_in_a_terminal_of(width):
    saved, text = json.loads(RESULTS.read_text("utf-8")), io.StringIO()
    arguments = command.parse([])
    Console(file=text, width=width).print(command.terminal_table(arguments, saved, width))
    shown = text.getvalue()
    assert all(script in shown for script in SCRIPTS) and "…" not in shown
    assert max(map(len, shown.splitlines())) <= width
    accuracies = [row[2].split()[0] for row in table.rows(saved)]
    assert all(accuracy in shown for accuracy in accuracies)


def fresh(code, **environment):
    """Return what a fresh Python prints."""
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=HANG,
                             env={name: value for name, value in {**os.environ, **environment}.items() if value})
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


@pytest.mark.parametrize("settings, variable, engine", [
    ({"backend": "jax"}, "", "jax"), ({"backend": "jax"}, "torch", "torch"),
    pytest.param({"floatx": "float32"}, "", "tensorflow", marks=pytest.mark.skipif(
        not find_spec("tensorflow"), reason="without TensorFlow, compare chooses JAX"))])
def test_the_table_names_the_engine_that_keras_takes(settings, variable, engine, tmp_path):
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    printed = fresh("from compare.scripts import version; print(version('mlp_keras'))", KERAS_HOME=str(tmp_path),
                    KERAS_BACKEND=variable)
    assert printed.endswith(f" on {engine}")


@pytest.mark.slow
@pytest.mark.parametrize("script, settings, environment", [
    ("conv_keras", {"image_data_format": "channels_first", "floatx": "float16", "backend": "jax"}, {}),
    ("conv_jax", {}, {"JAX_ENABLE_X64": "1"})])
def test_settings_for_other_projects_do_not_change_what_is_measured(script, settings, environment, tmp_path,
                                                                    monkeypatch):
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    for name, value in {"KERAS_HOME": str(tmp_path), "MNIST_DIR": str(mnist.SAMPLE), **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    scripts.engine.cache_clear()
    try:
        result = run.train(script, 0, 1, 2, HANG, [])
    finally:
        scripts.engine.cache_clear()
    assert result["test_accuracy"] > 0.5
    assert script != "conv_keras" or result["library"].endswith(" on jax")


def test_a_library_is_found_by_what_is_imported_whatever_its_package_is_called(tmp_path, monkeypatch):
    package = tmp_path / "tf_nightly-2.22.0.dev1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: tf-nightly\nVersion: 2.22.0.dev1\n")
    (package / "top_level.txt").write_text("tensorflow\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for each in scripts.installed, scripts.distributions:
        each.cache_clear()
    try:
        assert scripts.installed("tensorflow") == "TensorFlow 2.22.0.dev1" and scripts.installed("jax") is None
    finally:
        for each in scripts.installed, scripts.distributions:
            each.cache_clear()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to processors")
def test_the_cores_of_a_machine_are_those_that_a_process_may_use():
    one = f"import os; os.sched_setaffinity(0, [{min(os.sched_getaffinity(0))}]); "
    assert fresh(one + "from compare import machine; print(machine.describe()['cores'])") == "1"
    assert fresh(one + "from compare.__main__ import parse; print(parse([]).threads)") == "1"


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonsense", ""])
def test_the_curves_do_not_depend_on_what_was_set_for_other_figures(backend, tmp_path):
    """Draw them with nothing set, and with what a notebook or a taste for dark figures leaves behind."""
    code = ("import json, sys, pathlib\nfrom compare.figure import draw\nfrom compare.measure import RESULTS\n"
            "draw(json.loads(RESULTS.read_text('utf-8')), pathlib.Path({!r}))")
    (tmp_path / "matplotlibrc").write_text(
        "text.usetex: True\nfigure.facecolor: black\naxes.facecolor: black\nsavefig.facecolor: black\n"
        "text.color: white\naxes.labelcolor: white\nlines.linewidth: 9\nfont.family: fantasy\nsavefig.dpi: 7\n")
    fresh(code.format(str(tmp_path / "plain.svg")), MPLBACKEND="", MATPLOTLIBRC="")
    fresh(code.format(str(tmp_path / "set.svg")), MPLBACKEND=backend, MATPLOTLIBRC=str(tmp_path / "matplotlibrc"))
    assert (tmp_path / "set.svg").read_bytes() == (tmp_path / "plain.svg").read_bytes()


@pytest.mark.slow
def test_only_a_comparison_of_the_same_settings_is_resumed(clone):
    clone("--quick", "mlp_jax")
    before = clone.saved("trial")
    process = clone("--quick", "mlp_jax", "--threads", "7", "--resume")
    assert process.returncode == 1 and "measured on another machine or with other settings" in process.stderr_text
    assert clone.saved("trial") == before
    process = clone("--quick", "mlp_numpy", "--threads", "7")
    assert "comparison.old.json" in process.stdout_text and list(clone.saved("trial")["runs"]) == ["mlp_numpy seed 0"]
    assert json.loads((clone.root / "compare/results/trial/comparison.old.json").read_text("utf-8")) == before


def test_a_table_of_the_readme_is_not_replaced_by_a_part_of_one(clone):
    clone("mlp_jax")
    before = clone.saved(), (clone.root / "README.md").read_text("utf-8")
    process = clone("mlp_jax", "--threads", "7", "--readme")
    assert process.returncode == 1 and "Name none, to measure all" in process.stderr_text
    assert (clone.saved(), (clone.root / "README.md").read_text("utf-8")) == before


@pytest.mark.slow
def test_a_new_comparison_of_a_script_replaces_all_its_seeds_and_no_others(clone):
    clone("--quick", "mlp_jax", "mlp_torch", "--seeds", "2")
    clone("--quick", "mlp_jax")
    assert list(clone.saved("trial")["runs"]) == ["mlp_torch seed 0", "mlp_torch seed 1", "mlp_jax seed 0"]


@pytest.mark.parametrize("path, folder, head, jobs", [
    (RESULTS, "", table.README_HEAD, set(SCRIPTS)),
    (PARALLEL_RESULTS, "extras/parallel", table.PARALLEL_HEAD, {f"{s}/{n}" for s in PARALLEL for n in WORKERS}),
    (PARALLEL_RESULTS, "extras/retired", table.PARALLEL_HEAD, {f"{s}/{n}" for s in RETIRED for n in WORKERS})])
def test_the_readmes_show_the_tables_of_the_results(path, folder, head, jobs):
    saved = json.loads(path.read_text(encoding="utf-8"))
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    assert {name.split()[0] for name in saved["runs"]} >= jobs
    assert f"<!-- table -->\n{table.markdown(saved, head=head, folder=folder)}\n<!-- end -->" in text


@posix  # a link to python.exe finds neither its library nor its environment
def test_those_in_retired_are_run_by_their_own_python_and_marked(clone):
    (clone.root / "extras" / "retired").mkdir(parents=True)
    script = SCRIPT.replace("{2 * epoch} s", "{8 // len(DEVICES)} s").replace("    for epoch", """
    assert sys.executable.endswith("old") and DEVICES == [f"cpu({i})" for i in range(len(DEVICES))]
    for epoch""")
    (clone.root / "extras" / "retired" / "mlp_gluon.py").write_text(f"""
class mx:
    cpu = staticmethod("cpu({{}})".format)
DEVICES = [mx.cpu(0)]
{script}""")
    refused = clone("mlp_gluon", "--quick")
    assert refused.returncode == 2 and "once RETIRED_PYTHON names their Python" in refused.stderr_text
    (clone.root / "old").symlink_to(sys.executable)
    clone.environment["RETIRED_PYTHON"] = "./old"
    assert clone("mlp_gluon", "mlp_jax", "--quick").returncode == 0
    note = (clone.root / "compare/results/trial/comparison.md").read_text("utf-8")
    assert re.findall(r"(?m)^\| \[`(.*?)`\]\((.*?)\) ", note) == [
        ("mlp_jax.py", "../../../mlp_jax.py"), ("extras/retired/mlp_gluon.py", "../../../extras/retired/mlp_gluon.py")]
    assert clone("mlp_gluon", "--parallel", "--epochs", "2").returncode == 0
    runs = json.loads((clone.root / "compare/results/trial/parallel.json").read_text("utf-8"))["runs"]
    assert {job: run["epochs"][0][1] for job, run in runs.items()} == {
        "mlp_gluon/1 seed 0": 0.08, "mlp_gluon/2 seed 0": 0.04}


def test_parallel_tells_one_worker_from_two(clone):
    (clone.root / "extras" / "parallel").mkdir(parents=True)
    (clone.root / "extras" / "parallel" / "conv_jax.py").write_text(
        SCRIPT.replace("{2 * epoch} s", "{8 // int(__import__('os').environ['JAX_NUM_CPU_DEVICES'])} s"))
    done = clone("--parallel", "--epochs", "2", "conv_jax")
    assert done.returncode == 0, done.stdout_text + done.stderr_text
    table = [re.split(r" *│ *", line)[1:-1] for line in done.stdout_text.splitlines()
             if "extras/parallel/conv_jax" in line]
    assert [(workers, seconds, speed_up) for _, _, workers, _, _, seconds, speed_up, _, _ in table] == [
        ("1", "0.08", "1.00"), ("2", "0.04", "2.00")]
    assert list(clone.saved("trial", "parallel")["runs"]) == [
        "conv_jax/1 seed 0", "conv_jax/2 seed 0"]
