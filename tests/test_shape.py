"""The shape that makes the scripts readable side by side: the same rooms, names and constants, and a page of code."""
import ast
import re
import sys
import tomllib

import pytest

from compare.scripts import ROOT, SCRIPTS, lines_of_code

ROOMS = ["# Weights", "# Model", "# Step", "# Training"]


def source(script):
    return (ROOT / f"{script}.py").read_text(encoding="utf-8")


def test_the_twelve_are_all_there():
    assert {path.stem for pattern in ("mlp_*.py", "conv_*.py") for path in ROOT.glob(pattern)} == set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_same_rooms_in_the_same_order(script):
    lines = source(script).splitlines()
    assert [line for line in lines if line in ROOMS] == ROOMS
    constants = next(i for i, line in enumerate(lines) if line.startswith("EPOCHS, BATCH_SIZE, LEARNING_RATE = "))
    assert constants < lines.index("# Weights")
    assert lines[-2:] == ['if __name__ == "__main__":', "    train()"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_fits_a_page(script):
    longest = 70 if script == "conv_numpy" else 56 if script.startswith("conv") else 46
    assert lines_of_code(ROOT / f"{script}.py") <= longest
    assert max(map(len, source(script).splitlines())) <= 120


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_same_hyperparameters_in_all_six(network):
    constants = {re.search(r"^EPOCHS, BATCH_SIZE, LEARNING_RATE = .*$", source(s), re.M)[0]
                 for s in SCRIPTS if s.startswith(network)}
    assert len(constants) == 1


@pytest.mark.parametrize("script", SCRIPTS)
def test_metadata_names_exactly_what_the_script_imports(script):
    block = re.search(r"^# /// script\n(.*?)^# ///$", source(script), re.M | re.S)[1]
    metadata = tomllib.loads(re.sub(r"^# ?", "", block, flags=re.M))
    tree = ast.walk(ast.parse(source(script)))
    names = {(node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
             for node in tree if isinstance(node, (ast.Import, ast.ImportFrom))}
    needed = names - sys.stdlib_module_names - {"mnist", "theano"} | {"requests"}  # which mnist.py imports
    needed |= {"tensorflow"} if "keras" in names else set()  # Keras's default engine
    assert set(metadata["dependencies"]) == needed
    assert ("<3.14" in metadata["requires-python"]) == ("tensorflow" in needed)  # which has no release for it yet


def test_lines_of_code_are_neither_blank_nor_comment_nor_docstring(tmp_path):
    path = tmp_path / "page.py"
    path.write_text('# one\n"""two\n\nthree"""\n\nx = [1,  # four\n     2]\n\n\n'
                    'def f():\n    """five"""\n    return """six\n    seven"""\n')
    assert lines_of_code(path) == 5
