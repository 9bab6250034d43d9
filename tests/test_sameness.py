"""The twelve are the same network: from the same weights, on the same digits, they go the same way as the reference."""
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import adapters
import compare
import reference

THEANO = os.environ.get("THEANO_PYTHON")
RUNS = [(script, {}) for script in compare.SCRIPTS]
RUNS += [(f"{network}_keras", {"KERAS_BACKEND": engine}) for network in ("mlp", "conv") for engine in ("jax", "torch")]
RUNS += [(f"{network}_theano", {"THEANO_FLAGS": "blas.ldflags="}) for network in ("mlp", "conv") if THEANO]
ROWS = []  # of the table that conftest.py prints at the end


@cache
def digits():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_DIR", str(adapters.mnist.SAMPLE))
        return adapters.digits()


@cache
def gradients_of_reference(network, batch):
    x, y = digits()
    return reference.loss_and_gradients(reference.PARAMETERS[network], x[:batch], y[:batch])[1]


@cache
def way_of_reference(network, batch, rate):
    x, y = (array[:batch * adapters.STEPS] for array in digits())
    return reference.train(reference.PARAMETERS[network], x, y, rate, batch, adapters.STRETCHES[network])


def error(found, right):
    """Return the norm of the difference over the norm."""
    return np.linalg.norm(found - right) / np.linalg.norm(right)


def name(run):
    script, environment = run
    return " on ".join([script, *(v if k == "KERAS_BACKEND" else "Theano 1.0.5" for k, v in environment.items())])


def save_way(script, path):
    """Write where each stretch of the reference's way begins, for adapters.py to start a script from."""
    _, batch, rate = compare.constants(script)
    way = way_of_reference(script.split("_")[0], batch, rate)
    np.savez(path, **{f"start{k}_{i}": a for k, p in enumerate(way) for i, a in enumerate(p)})


def hold_to_reference(script, path, label):
    """Hold what adapters.py wrote to the reference, and keep how far it is off for the table that is printed."""
    network, (_, batch, rate) = script.split("_")[0], compare.constants(script)
    way = way_of_reference(network, batch, rate)
    with np.load(path) as found:
        gradients = adapters.in_layout(script, gradients_of_reference(network, batch))
        after_1 = [error(found[f"gradient{i}"], right) for i, right in enumerate(gradients)]
        trained = [error(found[f"end{k}_{i}"], right) for k, end in enumerate(way[1:])
                   for i, right in enumerate(adapters.in_layout(script, end))]
        count = sum(found[f"end0_{i}"].size for i in range(len(gradients)))
        assert len(found.files) == len(gradients) * (1 + adapters.STRETCHES[network])
    ROWS.append((label, max(after_1), max(trained)))
    assert count == compare.PARAMETERS[network] == {"mlp": 79_510, "conv": 164_534}[network]
    assert max(after_1) <= 1e-5
    assert max(trained) <= {"mlp": 1e-5, "conv": 1e-4}[network]


@pytest.mark.parametrize("run", RUNS, ids=name)
def test_goes_the_way_of_the_reference(run, tmp_path):
    script, environment = run
    save_way(script, tmp_path / "way.npz")
    python = THEANO if "THEANO_FLAGS" in environment else sys.executable
    environment = {**os.environ, "MNIST_DIR": str(adapters.mnist.SAMPLE), **environment}
    process = subprocess.run([python, Path(adapters.__file__), script, tmp_path / "way.npz", tmp_path / "out.npz"],
                             env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    hold_to_reference(script, tmp_path / "out.npz", name(run))


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
