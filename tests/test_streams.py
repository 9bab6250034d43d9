"""What a program prints is seen when it is printed, and a stream of an unusual kind costs nobody a training."""
import io
import os
import runpy
import subprocess
import sys

import pytest
from test_scripts import ROOT

import mnist

ENVIRONMENT = {**os.environ, "MNIST_DIR": str(mnist.SAMPLE)}
CLOSED = [">&-", "2>&-", ">&- 2>&- <&-"]
# mnist.py, which all import, settles the streams; these print bars or ask for a terminal themselves
SLOW = ["conv_keras", "conv_torch", "conv_tensorflow", "extras.parallel.conv_keras", "extras.parallel.conv_jax"]
posix = pytest.mark.skipif(os.name != "posix", reason="a stream is closed by a POSIX shell")


@pytest.mark.parametrize("script", ["mlp_numpy", *(pytest.param(s, marks=pytest.mark.slow) for s in SLOW)])
def test_an_epoch_is_seen_through_a_pipe_as_soon_as_it_ends(script):
    code = f"import {script} as script; script.train(epochs=10_000)"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=ENVIRONMENT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        line = process.stdout.readline()
        assert line.startswith(("epoch  1 ", "epoch 1 ")) and process.poll() is None
    finally:
        process.kill()
        process.communicate()


@posix
@pytest.mark.parametrize("script, closed", [*(("mlp_numpy", closed) for closed in CLOSED), *(
    pytest.param(script, CLOSED[-1], marks=pytest.mark.slow) for script in SLOW)])
def test_a_closed_stream_costs_no_training(script, closed, tmp_path):
    code = (f"import {script} as script, pathlib; _, accuracy = script.train(epochs=1); "
            f"pathlib.Path({str(tmp_path / 'accuracy')!r}).write_text(str(accuracy))")
    subprocess.run(["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code], cwd=ROOT, env=ENVIRONMENT,
                   check=True)
    assert float((tmp_path / "accuracy").read_text()) > 0.3


@posix
@pytest.mark.parametrize("closed", CLOSED)
def test_the_loader_ends_well_on_a_closed_stream(closed):
    subprocess.run(["sh", "-c", f'exec "$0" mnist.py {closed}', sys.executable], cwd=ROOT, env=ENVIRONMENT, check=True)


def test_a_stream_that_cannot_be_reconfigured_is_written_to(monkeypatch):
    monkeypatch.setenv("MNIST_DIR", str(mnist.SAMPLE))
    text = io.StringIO()
    monkeypatch.setattr(sys, "stdout", text)  # as IDLE and notebooks have their own
    runpy.run_path(str(ROOT / "mnist.py"), run_name="__main__")
    assert text.getvalue().startswith(f"{mnist.SAMPLE}\n") and "\u2800" in text.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "cp932"])
def test_what_an_encoding_lacks_is_a_question_mark(encoding):
    process = subprocess.run([sys.executable, "mnist.py"], cwd=ROOT, capture_output=True, check=True,
                             env={**ENVIRONMENT, "PYTHONIOENCODING": encoding})
    assert "????" in process.stdout.decode(encoding) and "training" in process.stdout.decode(encoding)
