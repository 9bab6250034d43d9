"""python -m compare.same shows what the libraries really made of the same weights and digits."""
import subprocess

import numpy as np
import pytest

from compare import adapters, same


@pytest.fixture(autouse=True)
def three_of_the_mlps(monkeypatch):
    """Leave three of the MLPs, as if JAX were not installed."""
    installed = same.installed
    monkeypatch.setattr(same, "AVAILABLE", ["mlp_numpy", "mlp_torch", "mlp_jax", "conv_numpy"])
    monkeypatch.setattr(same, "installed", lambda library: None if library == "jax" else installed(library))


def test_a_row_holds_what_a_library_made_of_the_first_batch(capsys):
    assert same.main([]) == 0
    head, reference, *rows, left_out, verdict = capsys.readouterr().out.splitlines()
    assert head.split() == ["loss", "d_w1", "d_b1", "d_w2", "d_b2", "step", "1", "step", "100"]
    loss, gradients = same.first_step(*same.asked_for("mlp_numpy"))
    figures = [loss, *(np.linalg.norm(gradient) for gradient in gradients)]
    assert reference.split()[0] == "float64" and {row.split()[0] for row in rows} == {"NumPy", "PyTorch"}
    for row in [reference, *rows]:
        found = [float(cell) for cell in row.split()[1 if row == reference else 2:]]
        assert found[:5] == pytest.approx(figures, rel=6e-6)  # half of the sixth digit
        assert row == reference or len(found) == 7 and all(0 < off < 1e-5 for off in found[5:])
    assert left_out == "mlp_jax.py was left out: its library is not installed."
    assert verdict.startswith("None differs by more than float32 explains")


def test_a_library_that_fails_or_differs_is_not_passed_over(capsys, monkeypatch):
    def alone(script, **environment):
        if script == "mlp_numpy":
            raise subprocess.CalledProcessError(1, "python", stderr="much\nValueError: it broke\n")
        asked = same.asked_for(script)
        loss, gradients = same.first_step(*asked)
        arrays = {"gradient": [2 * gradient for gradient in gradients], "end": same.way(*asked)[0]}
        return {"loss": [loss], **{f"{kind}{i}": array for kind in arrays
                                   for i, array in enumerate(adapters.in_layout(script, arrays[kind]))}}

    monkeypatch.setattr(same, "alone", alone)
    assert same.main(["mlp"]) == 1
    printed = capsys.readouterr().out
    assert "failed: ValueError: it broke\n" in printed and "1.0e+00       0.0e+00\n" in printed
    assert "\n2 failed or differ by more than float32 explains" in printed
