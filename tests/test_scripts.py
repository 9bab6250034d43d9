"""The twelve scripts, run as a user runs them: on the sample always, on the whole of MNIST with `pytest -m full`."""
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import mnist
from compare import LIBRARIES, SCRIPTS, constants

ROOT = Path(mnist.__file__).resolve().parent
FULL = next((folder for folder in (Path(os.environ.get("MNIST_DIR", ROOT / "data")), ROOT.parent / "shared/data/mnist")
             if any(folder.glob("train-images*"))), None)


def python(*arguments, data=mnist.SAMPLE, executable=sys.executable, **environment):
    """Run Python in the repository's root on the digits in `data`, stdout and stderr no terminals."""
    environment = {**os.environ, "MNIST_DIR": str(data), **environment}
    return subprocess.run([executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)


@cache
def on_sample(script):
    return python(f"{script}.py")


def trained(process):
    """Return the test accuracy that a finished script printed, checking every line it wrote."""
    assert process.returncode == 0, process.stderr
    *epochs, last = process.stdout.splitlines()
    for number, line in enumerate(epochs, 1):
        assert re.fullmatch(rf"epoch +{number}  validation accuracy \d+\.\d\d%  \d+\.\d\d s", line)
    assert re.fullmatch(r"test accuracy \d+\.\d\d%", last)
    return float(last.split()[-1].rstrip("%")), len(epochs)


def seconds_off(lines):
    return [re.sub(r"[\d.]+ s$", "", line) for line in lines]


@pytest.mark.parametrize("script", SCRIPTS)
def test_learns_the_sample(script):
    accuracy, epochs = trained(on_sample(script))
    assert epochs == constants(script)[0]
    assert accuracy >= {"mlp": 94.5, "conv": 95.5}[script.split("_")[0]]


@pytest.mark.parametrize("script", SCRIPTS)
def test_says_nothing_else(script):
    assert on_sample(script).stderr == ""


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_same_seed_gives_the_same_figures(script):
    process = python("-c", f"import json, {script} as s; print(json.dumps([s.train(2, seed) for seed in (1, 1, 2)]))")
    assert process.returncode == 0, process.stderr
    *lines, returned = process.stdout.splitlines()
    figures = seconds_off(lines)
    assert figures[0:3] == figures[3:6] != figures[6:9]
    first, again, other = json.loads(returned)
    assert first == again
    assert [f"test accuracy {a:.2%}" for a in (first, other)] == [lines[2], lines[8]]


@pytest.mark.parametrize("backend", ["jax", "torch"])  # TensorFlow, the default, is tested above
@pytest.mark.parametrize("script", ["mlp_keras", "conv_keras"])
def test_keras_runs_on_every_engine(script, backend):
    check = f"import keras, {script} as s; s.train(3); assert keras.backend.backend() == '{backend}'"
    accuracy, _ = trained(python("-c", check, KERAS_BACKEND=backend))
    assert accuracy >= 85


@pytest.mark.parametrize("script", ["mlp_torch", "conv_torch"])
def test_torch_built_for_cuda_runs_on_a_machine_without(script):
    pretend = "import torch; torch._C._accelerator_getAccelerator = lambda: torch.device('cuda')"
    process = python("-c", f"{pretend}; import {script}; print({script}.DEVICE)", CUDA_VISIBLE_DEVICES="")
    assert process.stdout == "cpu\n", process.stderr


@pytest.mark.skipif("THEANO_PYTHON" not in os.environ, reason="set THEANO_PYTHON to the Python of an environment with "
                    "requirements-theano.txt to hold the genuine Theano against PyTensor")
@pytest.mark.parametrize("script", ["mlp_theano", "conv_theano"])
def test_the_genuine_theano_gives_the_figures_of_pytensor(script):
    train = f"import {script} as s; print(s.theano.__name__, s.theano.__version__); s.train(1)"
    pytensor = python("-c", train).stdout.splitlines()
    theano = python("-c", train, executable=os.environ["THEANO_PYTHON"], THEANO_FLAGS="blas.ldflags=")
    theano = theano.stdout.splitlines()
    assert pytensor.pop(0).startswith("pytensor") and theano.pop(0) == "theano 1.0.5"
    if script == "mlp_theano":
        assert seconds_off(pytensor) == seconds_off(theano)
    else:  # a ConvNet's way is chaotic (see adapters.py): the last bits of a float32 are some digits of the sample
        found, expected = (float(lines[-1].split()[-1].rstrip("%")) for lines in (pytensor, theano))
        assert found == pytest.approx(expected, abs=1) and found > 90


@pytest.mark.full
@pytest.mark.skipif(FULL is None, reason="needs the whole of MNIST: run mlp_numpy.py to download it, or set MNIST_DIR")
class TestFull:
    accuracies = {}

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("script", [s for s in SCRIPTS if s.startswith("mlp")])
    def test_mlp(self, script, seed):
        self.train(script, seed, at_least=98.4)

    @pytest.mark.parametrize("script", [s for s in SCRIPTS if s.startswith("conv")])
    def test_conv(self, script):
        self.train(script, 0, at_least=99.1)

    @pytest.mark.parametrize("network, at_least", [("mlp", 98.6), ("conv", 99.3)])
    def test_the_average_over_the_six(self, network, at_least):
        accuracies = [a for script, a in self.accuracies.items() if script.startswith(network)]
        if len({name.split()[0] for name in self.accuracies if name.startswith(network)}) < len(LIBRARIES):
            pytest.skip("an average over the six needs all six in the same run")
        assert sum(accuracies) / len(accuracies) >= at_least

    def train(self, script, seed, at_least):
        accuracy, _ = trained(python("-c", f"import {script}; {script}.train(seed={seed})", data=FULL))
        print(f"{script} seed {seed}: {accuracy:.2f} %")
        self.accuracies[f"{script} seed {seed}"] = accuracy
        assert accuracy >= at_least
