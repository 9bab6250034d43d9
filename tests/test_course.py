"""docs/course.md: its dictionary is that of the scripts, and its exercises end as it says."""
import re

import numpy as np
import pytest
from diffs import apply, diffs
from test_page import build
from test_scripts import lines_of, python, trained

import mnist

COURSE = (build.DOCS / "course.md").read_text(encoding="utf-8")


def solutions(exercise):
    """Return the diffs of an exercise, in order."""
    return diffs(re.search(rf"(?ms)^### {exercise}\..*?(?=^##|\Z)", COURSE)[0])


def accuracies(folder, solution, epochs, seed=0):
    """Return the validation accuracies and the test accuracy of a script changed by a solution, on the sample."""
    name = apply(folder, solution)
    process = python("-c", f"import {name} as s; s.train({epochs}, {seed})", folder=folder)
    if process.stderr.count("RuntimeWarning"):
        assert "overflow encountered" in process.stderr
        process.stderr = ""
    lines = lines_of(process)
    (accuracy,), _ = trained(lines)
    return [float(line.split("%")[0].split()[-1]) for line in lines[:-1]], accuracy


def test_the_dictionary_is_that_of_the_scripts():
    assert COURSE == build.course(), "run python docs/build.py"


def test_1_without_the_shift_nothing_happens_until_exp_overflows(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_DIR", str(mnist.SAMPLE))
    small, large = solutions(1)
    plain, _ = accuracies(tmp_path, ("mlp_numpy.py", []), 5)
    changed, _ = accuracies(tmp_path, small, 5)
    np.testing.assert_allclose(changed, plain, atol=0.5)
    (first, second), test = accuracies(tmp_path, large, 2)
    _, (_, valid_labels), (_, test_labels) = mnist.load_data()
    assert first == second == pytest.approx(100 * (valid_labels == 0).mean(), abs=0.01)  # every digit is taken for a 0
    assert test == pytest.approx(100 * (test_labels == 0).mean(), abs=0.01)


@pytest.mark.parametrize("solution", [
    solution if solution[0] == "mlp_numpy.py" else pytest.param(solution, marks=pytest.mark.slow)
    for solution in solutions(2)], ids=lambda solution: solution[0])
def test_2_momentum_reaches_what_they_reached_before(tmp_path, solution):
    assert 94 < accuracies(tmp_path, solution, 20)[1] < 97


@pytest.mark.slow
def test_3_another_hidden_layer_changes_little(tmp_path):
    solution, = solutions(3)
    assert 92 < accuracies(tmp_path, solution, 20)[1] < 97


@pytest.mark.slow
def test_4_tanh_learns_and_so_it_does_with_the_wrong_slope_but_worse(tmp_path):
    (name, changes), = solutions(4)
    right = accuracies(tmp_path, (name, changes), 20)[1]
    wrong = accuracies(tmp_path, (name, changes[:1]), 20)[1]
    assert 92 < right < 96.5 and 50 < wrong < right - 1


def test_5_in_the_wrong_order_nothing_is_learnt(tmp_path):
    solution, = solutions(5)
    assert max(accuracies(tmp_path, solution, 5)[0]) < 20
