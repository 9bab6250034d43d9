"""MXNet in its three styles: the network of the twelve, on one device or two, and plain words where it cannot run."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_sameness import alone, hold_to_reference
from test_scripts import trained
from test_shape import ROOMS

import mnist
from compare import adapters, reference
from compare.scripts import RETIRED, RETIRED_PYTHON, ROOT, constants, lines_of_code, path_of

NEEDED = "RETIRED_PYTHON names no Python: extras/retired/README.md says how to make the environment"
HOROVOD = RETIRED_PYTHON and shutil.which("horovodrun", path=Path(RETIRED_PYTHON).parent)
installed = pytest.mark.skipif(not RETIRED_PYTHON, reason=NEEDED)


def python(*arguments, executable=RETIRED_PYTHON, launcher=()):
    environment = {**os.environ, "MNIST_DIR": str(mnist.SAMPLE)}
    return subprocess.run([*launcher, executable, *arguments], cwd=ROOT, env=environment, text=True,
                          capture_output=True)


@installed
@pytest.mark.parametrize("script", RETIRED)
def test_goes_the_way_of_the_reference(script, record_property):
    found = alone(script)
    hold_to_reference(script, [found], record_property)
    right = adapters.in_layout(script, reference.PARAMETERS[script.split("_")[0]])
    hidden, _, output, _ = [found[name] for name in sorted(found) if name.startswith("own")][-4:]
    # Normal numbers that are clipped, but scaled as if truncated, are 9 % larger.
    assert hidden.std() == pytest.approx(right[-4].std() * (1.09 if "keras" in script else 1), rel=0.01)
    hidden, output = (w.ravel()[:20] / w.std() for w in (hidden, output))
    assert not np.allclose(hidden, output, rtol=0.2), "the layers begin with the same numbers"


@installed
@pytest.mark.parametrize("script", RETIRED)
def test_learns_and_the_same_seed_gives_the_same_figures(script):
    epochs, least = (2, 85) if script.startswith("mlp") else (3, 90)  # as of the twelve, see test_scripts.py
    code = f"import extras.retired.{script} as s; print([s.train({epochs}, seed) for seed in (1, 1, 2)])"
    process = python("-c", code)
    assert process.returncode == 0, process.stderr
    *lines, _ = process.stdout.splitlines()
    accuracies, each = trained(lines)
    assert each == [epochs] * 3 and min(accuracies) >= least
    lines = [line.rpartition("  ")[0] if line.startswith("epoch") else line for line in lines]
    one, again, other = (lines[i:i + epochs + 1] for i in range(0, len(lines), epochs + 1))
    assert one == again != other


def twenty_steps(script, library, before, tmp_path, launcher=()):
    """Return the weights with which a script of extras/retired/ begins, and those after twenty steps from them."""
    weights = adapters.in_layout(f"{script.split('_')[0]}_{library}", reference.PARAMETERS[script.split("_")[0]])
    np.savez(tmp_path / "weights.npz", *weights)
    code = f"""
import numpy as np
from compare import adapters
import extras.retired.{script} as s
{before}
x, y = [a[:20 * s.BATCH_SIZE] for a in adapters.digits()]
end, *_ = adapters.train("{script.split('_')[0]}_{library}", s, [*np.load("{tmp_path}/weights.npz").values()], x, y)
if not hasattr(s, "hvd") or s.hvd.rank() == 0:
    np.savez("{tmp_path}/end.npz", *end)
"""
    process = python("-c", code, launcher=launcher)
    assert process.returncode == 0, process.stderr
    return weights, list(np.load(tmp_path / "end.npz").values())


def hold_together(begin, one, two):
    """Hold the weights after steps taken by two to those after the same steps taken by one."""
    for w, a, b in zip(begin, one, two):
        assert np.linalg.norm(a - w) > 1e-3 * np.linalg.norm(w)
        assert np.linalg.norm(a - b) <= 1e-4 * np.linalg.norm(a)


@installed
@pytest.mark.parametrize("script", RETIRED)
def test_two_devices_take_the_steps_of_one(script, tmp_path):
    library = script.partition("_")[2]
    begin, one = twenty_steps(script, library, "", tmp_path)
    hold_together(begin, one, twenty_steps(script, library, "s.DEVICES = [s.mx.cpu(0), s.mx.cpu(1)]", tmp_path)[1])


@pytest.mark.skipif(not HOROVOD, reason="no horovodrun beside RETIRED_PYTHON: see extras/retired/README.md")
def test_two_processes_of_horovod_take_the_steps_of_one(tmp_path):
    no_prediction = "adapters.logits = lambda *_: np.zeros((64, 10))"  # which would leave weights Horovod cannot read
    begin, one = twenty_steps("conv_gluon", "gluon", "", tmp_path)
    for processes in "1", "2":
        launcher = [HOROVOD, "-np", processes]
        hold_together(begin, one, twenty_steps("conv_horovod", "gluon", no_prediction, tmp_path, launcher)[1])


@installed
@pytest.mark.parametrize("script", RETIRED)
@pytest.mark.parametrize("devices, at_fault", [
    ("", "[]"), ("s.mx.cpu(i) for i in range(3)", "cpu(2)"), ("s.mx.gpu(0),", "gpu(0)")])
def test_devices_that_cannot_share_the_batch_are_refused_in_a_sentence(script, devices, at_fault):
    process = python("-c", f"import extras.retired.{script} as s; s.DEVICES = [{devices}]; s.train(1)")
    *_, said = process.stderr.splitlines()
    assert process.returncode == 1 and process.stdout == "" and "Traceback" not in process.stderr
    assert at_fault in said and f"batch of {constants(script)[1]}" in said


@pytest.mark.parametrize("script", RETIRED)
@pytest.mark.parametrize("numpy, said", [
    (None, "MXNet is not installed in "), ("1.24.0", "NumPy here is 1.24.0"), ("2.4.6", "NumPy here is 2.4.6")])
def test_where_mxnet_cannot_run_a_sentence_says_what_to_do(script, numpy, said, tmp_path):
    if numpy:  # as installations leave it, without the packages
        (tmp_path / "mxnet").mkdir()
        (tmp_path / f"numpy-{numpy}.dist-info").mkdir()
        (tmp_path / f"numpy-{numpy}.dist-info" / "METADATA").write_text(f"Name: numpy\nVersion: {numpy}\n")
    only = f"['', '{tmp_path}', *(path for path in sys.path if 'site-packages' not in path)]"
    process = python("-c", f"import sys; sys.path = {only}; import extras.retired.{script}", executable=sys.executable)
    assert process.returncode == 1 and process.stdout == ""
    assert process.stderr.startswith(said) and process.stderr.count("\n") == 1
    assert "extras/retired/README.md" in process.stderr


@pytest.mark.parametrize("script", RETIRED)
def test_they_have_the_shape_and_the_recipe_of_the_twelve(script):
    lines = path_of(script).read_text("utf-8").splitlines()
    assert [line for line in lines if line in ROOMS] == ROOMS
    assert constants(script) == constants(script.split("_")[0] + "_numpy")
    assert lines_of_code(path_of(script)) <= 56 and max(map(len, lines)) <= 120
