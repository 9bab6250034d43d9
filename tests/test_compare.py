"""What compare.py measures is what the scripts print, and what the README shows is what it measured."""
import io
import json

import pytest

import compare


def test_a_run_holds_what_the_script_printed(monkeypatch, capsys):
    monkeypatch.setenv("MNIST_DIR", str(compare.ROOT / "data" / "sample"))
    run = compare.run("mlp_numpy", 0)
    printed = capsys.readouterr().out
    assert f"test accuracy {run['test_accuracy']:.2%}" in printed
    assert all(f"validation accuracy {accuracy:.2%}  {s:.2f} s" in printed for accuracy, s in run["epochs"])
    assert len(run["epochs"]) == 50 and run["start_seconds"] > 0


def test_a_script_that_fails_is_reported_with_its_last_words(monkeypatch):
    monkeypatch.setenv("MNIST_DIR", "/nowhere")
    with pytest.raises(RuntimeError, match="mlp_numpy ended with status 1 and said: .* is missing"):
        compare.run("mlp_numpy", 0)


def test_figures_on_the_sample_are_not_taken_for_mnist_figures(monkeypatch):
    only_the_sample = type("Process", (), {"returncode": 0, "__enter__": lambda p: p, "__exit__": lambda *_: None})()
    only_the_sample.stdout = ["epoch  1  validation accuracy 90.00%  0.10 s\n", "test accuracy 90.00%\n"]
    only_the_sample.stderr = io.StringIO("Training goes on with the sample: its figures are not MNIST figures.")
    monkeypatch.setattr(compare.subprocess, "Popen", lambda *_, **__: only_the_sample)
    with pytest.raises(RuntimeError, match="mlp_numpy found only the sample"):
        compare.run("mlp_numpy", 0)


def test_seconds_leave_the_first_epoch_out():
    assert compare.seconds([[0.9, 60.0], [0.9, 1.0], [0.9, 3.0], [0.9, 2.0]]) == 2.0
    assert compare.seconds([[0.9, 60.0]]) == 60.0


def test_the_table_gives_mean_and_spread_over_seeds():
    run = {"epochs": [[0.9, 5.0], [0.9, 1.5]], "start_seconds": 4.2}
    runs = {"mlp_jax seed 0": {**run, "test_accuracy": 0.98}, "mlp_jax seed 1": {**run, "test_accuracy": 0.99}}
    assert "| JAX | 98.50 ± 0.71 % | 1.50 | 4 |" in compare.table(runs).splitlines()[-1]


def test_the_readme_shows_the_table_of_the_results():
    saved = json.loads(compare.RESULTS.read_text(encoding="utf-8"))
    readme = (compare.ROOT / "README.md").read_text(encoding="utf-8")
    assert {name.split()[0] for name in saved["runs"]} == set(compare.SCRIPTS)
    assert f"<!-- table -->\n{compare.table(saved['runs'])}\n\nOn {saved['machine']}.\n<!-- end -->" in readme
