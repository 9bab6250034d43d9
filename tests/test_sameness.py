"""The twelve are the same network: from the same weights, on the same digits, they go the same way as the reference."""
import importlib
import subprocess
from functools import cache

import numpy as np
import pytest

from compare import adapters, reference, same
from compare.scripts import PARAMETERS, RETIRED_PYTHON, SCRIPTS

RUNS = {script: (script, {}) for script in SCRIPTS}
MORE_RUNS = {f"{network}_keras on {engine}": (f"{network}_keras", {"KERAS_BACKEND": engine})
             for network in ("mlp", "conv") for engine in ("jax", "torch")}
MORE_RUNS |= {f"{network}_theano on Theano 1.0.5": (f"{network}_theano", {"THEANO_FLAGS": "blas.ldflags="})
              for network in ("mlp", "conv") if RETIRED_PYTHON}


@cache
def alone(script, **environment):
    """Return what adapters.py makes of a script of the root or of extras/retired/, where the genuine Theano is, too."""
    try:
        return same.alone(script, RETIRED_PYTHON if "THEANO_FLAGS" in environment else None, **environment)
    except subprocess.CalledProcessError as error:
        pytest.fail(error.stderr)


def hold_to_reference(script, processes, record_property):
    """Hold what adapters.py wrote to the reference; how far it is off goes into the table that conftest.py prints."""
    errors = [float(max(each)) for each in zip(*(same.differences(script, found) for found in processes))]
    record_property("relative errors", errors)
    network = script.split("_")[0]
    for found in processes:
        parameters = len(reference.PARAMETERS[network])
        assert len(found) == 3 * parameters + len(["x", "y", "loss"])
        count = sum(found[f"end{i}"].size for i in range(parameters))
        assert count == PARAMETERS[network] == {"mlp": 79_510, "conv": 164_534}[network]
        for loss in found["loss"]:
            assert loss == pytest.approx(same.first_step(*same.asked_for(script))[0], rel=1e-6)
    assert errors[0] <= same.GRADIENT_LIMIT <= 1e-5
    assert errors[1] <= same.END_LIMITS[network] <= {"mlp": 1e-5, "conv": 5e-5}[network]


@pytest.mark.parametrize("label", [*RUNS, *(pytest.param(label, marks=pytest.mark.slow) for label in MORE_RUNS)])
def test_goes_the_way_of_the_reference(label, record_property):
    script, environment = (RUNS | MORE_RUNS)[label]
    found = alone(script, **environment)
    assert len(found["loss"]) == 1
    hold_to_reference(script, [found], record_property)


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_at_the_kink_of_relu_numpys_gradient_is_zero(network):
    """With biases of zero, as training begins, what sees the black background alone is exactly at the kink."""
    weights = [w if w.ndim > 1 else np.zeros_like(w) for w in reference.PARAMETERS[network]]
    (x, y), script = same.digits(), f"{network}_numpy"
    x, y = x[:8], y[:8]
    layers, _ = reference.forward([w.astype(np.float64) for w in weights], x.astype(np.float64))
    assert min(abs(layer[layer != 0]).min() for layer in layers) > 1e-7  # where it is not at the kink, float32 knows
    gradients = importlib.import_module(script).gradients
    found = gradients(x if network == "mlp" else x.reshape(-1, 28, 28, 1), y, adapters.in_layout(script, weights))
    right = adapters.in_layout(script, reference.loss_and_gradients(weights, x, y)[1])
    assert max(map(same.difference, found, right)) <= same.GRADIENT_LIMIT


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
