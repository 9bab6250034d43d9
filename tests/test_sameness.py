"""The twelve are the same network: from the same weights, on the same digits, they go the same way as the reference."""
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import adapters
import compare
import reference

THEANO = os.environ.get("THEANO_PYTHON")
RUNS = {script: (script, {}) for script in compare.SCRIPTS}
MORE_RUNS = {f"{network}_keras on {engine}": (f"{network}_keras", {"KERAS_BACKEND": engine})
             for network in ("mlp", "conv") for engine in ("jax", "torch")}
MORE_RUNS |= {f"{network}_theano on Theano 1.0.5": (f"{network}_theano", {"THEANO_FLAGS": "blas.ldflags="})
              for network in ("mlp", "conv") if THEANO}
STEPS = 100
ROWS = []  # of the table that conftest.py prints at the end


@cache
def digits():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_DIR", str(adapters.mnist.SAMPLE))
        return adapters.digits()


@cache
def way_of_reference(network, batch, rate):
    return reference.train(reference.PARAMETERS[network], *digits(), adapters.CALM * rate, batch, STEPS)


@cache
def gradients_of_reference(network, batch, rate):
    x, y = digits()
    first = way_of_reference(network, batch, rate)[1][:batch]
    return reference.loss_and_gradients(reference.PARAMETERS[network], x[first], y[first])[1]


def error(found, right):
    """Return the norm of the difference over the norm."""
    return np.linalg.norm(found - right) / np.linalg.norm(right)


def prepare(script, folder):
    """Return the arguments with which Python runs adapters.py on a script, which leaves its files in `folder`."""
    network, (_, batch, rate) = script.rpartition(".")[2].split("_")[0], compare.constants(script.rpartition(".")[2])
    _, order = way_of_reference(network, batch, rate)
    weights = {f"weights{i}": array for i, array in enumerate(reference.PARAMETERS[network])}
    np.savez(folder / "way.npz", order=order, **weights)
    (folder / "out").mkdir()
    return [adapters.__file__, script, str(folder / "way.npz"), str(folder / "out")]


def written(folder):
    """Return what adapters.py left in `folder`, a dict of arrays for each process."""
    return [dict(np.load(path)) for path in (folder / "out").iterdir()]


@cache
def alone(script, **environment):
    """Return what adapters.py makes of a script of the root, in a process with this environment besides its own."""
    python = THEANO if "THEANO_FLAGS" in environment else sys.executable
    environment = {**os.environ, "MNIST_DIR": str(adapters.mnist.SAMPLE), **environment}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.run([python, *prepare(script, Path(folder))], env=environment, capture_output=True,
                                 text=True)
        assert process.returncode == 0, process.stderr
        return written(Path(folder))


def hold_to_reference(script, processes, label):
    """Hold what adapters.py wrote to the reference, and keep how far it is off for the table that is printed."""
    network, (_, batch, rate) = script.split("_")[0], compare.constants(script)
    gradients = adapters.in_layout(script, gradients_of_reference(network, batch, rate))
    end = adapters.in_layout(script, way_of_reference(network, batch, rate)[0])
    errors = [max(error(found[f"{kind}{i}"], right) for found in processes for i, right in enumerate(arrays))
              for kind, arrays in (("gradient", gradients), ("end", end))]
    ROWS.append((label, *errors))
    for found in processes:
        assert len(found) == 3 * len(end) + len("xy")
        count = sum(found[f"end{i}"].size for i in range(len(end)))
        assert count == compare.PARAMETERS[network] == {"mlp": 79_510, "conv": 164_534}[network]
    assert errors[0] <= 1e-5
    assert errors[1] <= {"mlp": 1e-5, "conv": 5e-5}[network]


@pytest.mark.parametrize("label", [*RUNS, *(pytest.param(label, marks=pytest.mark.slow) for label in MORE_RUNS)])
def test_goes_the_way_of_the_reference(label):
    script, environment = (RUNS | MORE_RUNS)[label]
    hold_to_reference(script, alone(script, **environment), label)


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_the_reference_agrees_with_finite_differences(network):
    rng = np.random.default_rng(1)
    x, y = rng.random((3, 784)), rng.integers(10, size=3)
    parameters = [p + rng.normal(0, 0.01, p.shape) for p in reference.PARAMETERS[network]]
    _, gradients = reference.loss_and_gradients(parameters, x, y)
    for parameter, gradient in zip(parameters, gradients):
        direction = rng.normal(size=parameter.shape)
        losses = []
        for sign in (1, -1):
            parameter += sign * 1e-6 * direction
            losses.append(reference.loss_and_gradients(parameters, x, y)[0])
            parameter -= sign * 1e-6 * direction
        assert (losses[0] - losses[1]) / 2e-6 == pytest.approx((gradient * direction).sum(), rel=1e-5, abs=1e-8)
