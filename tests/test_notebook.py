"""The scripts in a notebook: by %run, pasted into a cell, twice in one kernel; and the cells that README shows."""
import os
import re

import nbformat
import pytest
from nbclient import NotebookClient
from test_scripts import GREETINGS, ROOT, SCRIPTS, trained

import mnist
from compare.scripts import constants

README = (ROOT / "README.md").read_text("utf-8")
DEFAULT = ["mlp_numpy", "conv_torch"]


@pytest.fixture
def output_of(monkeypatch):
    """Return a function that runs cells in one new kernel, on the sample, and returns what each printed."""
    def run(*cells):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        NotebookClient(notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": ROOT}}).execute()
        texts = []
        for cell in notebook.cells:
            assert all(output.output_type != "display_data" for output in cell.outputs)
            streams = {name: "".join(output.text for output in cell.outputs if output.get("name") == name)
                       for name in ("stdout", "stderr")}
            assert GREETINGS.fullmatch(streams["stderr"]), streams["stderr"]
            texts.append(streams["stdout"])
        return texts

    monkeypatch.setenv("MNIST_DIR", str(mnist.SAMPLE))
    return run


@pytest.mark.parametrize("script", [
    script if script in DEFAULT else pytest.param(script, marks=pytest.mark.slow) for script in SCRIPTS])
def test_run_or_pasted_and_twice_it_prints_the_same(script, output_of):
    pasted = (ROOT / f"{script}.py").read_text("utf-8")
    texts = output_of(f"%run {script}.py", f"%run {script}.py", pasted)
    assert trained(texts[0].splitlines())[1] == [constants(script)[0]]
    assert len({re.sub(r"[\d.]+ s$", "", text, flags=re.M) for text in texts}) == 1


def test_the_cells_of_the_readme(output_of):
    section = README.partition("## In a notebook")[2].partition("\n## ")[0]
    cells = re.findall(r"(?s)```python\n(.*?)```", section)
    assert len(cells) == 2
    run, imported = output_of(*cells)
    assert len(trained(run.splitlines())[0]) == 1
    assert trained(imported.splitlines())[1] == [5, 5, 5]


def test_the_loader_by_run_shows_the_digits(output_of):
    text, = output_of("%run mnist.py")
    assert text.startswith(f"{mnist.SAMPLE}\n") and "\u2800" in text


def test_the_loader_shows_the_sample_and_leaves_no_setting_behind(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("MNIST_DIR", raising=False)
    monkeypatch.setattr(mnist, "DATA", tmp_path)
    monkeypatch.setattr(mnist, "MIRRORS", [])
    mnist._show()
    assert capsys.readouterr().out.startswith(f"{mnist.SAMPLE}\n")
    assert "MNIST_DIR" not in os.environ
