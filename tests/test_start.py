"""docs/start.md: what a script trained is saved, loaded and asked in another process, and every recipe works."""
import re

import numpy as np
import pytest
from diffs import apply, diffs
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_scripts import ROOT, lines_of, python

from compare import same
from compare.scripts import SCRIPTS

START = (ROOT / "docs" / "start.md").read_text("utf-8")
SHAPES = {"conv_theano": "", "conv_torch": ", (1, 28, 28)"}  # as the page says for the ConvNets
TEST = "\n_, _, test = mnist.load_data({}); print(f'{{{}.accuracy(*test, {}):.2%}}')"  # the test accuracy once more


def section(title):
    """Return the text under a heading, up to the next of its own or a higher level."""
    (level, text), = re.findall(rf"(?ms)^(##+) {re.escape(title)}\n(.*?)(?=^##|\Z)", START)
    return text


def recipe(folder, *titles):
    """Write the script of one or more recipes into a folder, changed as they say; return its name."""
    found = [diffs(section(title)) for title in titles]
    assert all(len(each) == 1 for each in found)
    return apply(folder, *(diff for diff, in found))


def run(folder, name, epochs="", **environment):
    """Run a script's train() in its folder, on the sample; return its test accuracy in percent, and what it printed."""
    lines = lines_of(python("-c", f"import {name} as s; s.train({epochs})", folder=folder, **environment))
    return float(lines[-1].removeprefix("test accuracy ").rstrip("%")), lines[:-1]


@pytest.fixture(scope="module")
def digits():
    """Return the images, as uint8, and the labels of the sample's 5,000 digits."""
    x, y = same.digits()
    return np.round(x * 255).astype(np.uint8), y


@pytest.mark.parametrize("script", [
    pytest.param(script, marks=[pytest.mark.slow] * (script.startswith("conv") and script != "conv_torch"))
    for script in SCRIPTS])
def test_what_was_trained_is_saved_loaded_and_asked_in_another_process(script, digits, tmp_path):
    title = {"numpy": "NumPy", "theano": "Theano", "tensorflow": "TensorFlow", "keras": "Keras", "torch": "PyTorch",
             "jax": "JAX"}[script.split("_")[1]]
    save, ask = (block.replace("mlp_", f"{script.split('_')[0]}_")
                 for block in re.findall(r"(?s)```python\n(.*?)```", section(title)))
    code = [[line for line in block.splitlines() if line and not line.startswith("import ")] for block in (save, ask)]
    assert len(code[0][1:] + code[1]) <= 4 and ".train()" in code[0][0]
    shape = SHAPES.get(script, ", (28, 28, 1)") if script.startswith("conv") else ""
    x, y = digits
    Image.fromarray(255 - x[y == 0][0].reshape(28, 28)).resize((90, 90)).save(tmp_path / "digit.png")
    network = "predict" if "theano" in script else "model" if "model" in ask else "weights"
    ask = ask.replace('"digit.png"', f'"digit.png"{shape}')
    ask += TEST.format(f"reshape={shape[2:] or 784}", script, network)
    saved = python("-c", save.replace(".train()", ".train(4)"), folder=tmp_path, PYTHONPATH=str(ROOT))
    *_, last = lines_of(saved)
    assert lines_of(python("-c", ask, folder=tmp_path, PYTHONPATH=str(ROOT))) == ["0", last.split()[-1]]


def test_a_csv_file_of_26_classes(tmp_path, digits):
    x, y = digits[0][:1500], digits[1][:1500]
    turned = np.rot90(x.reshape(-1, 28, 28), axes=(1, 2)).reshape(-1, 784)  # 10 to 19, and 20 to 25 upside down
    x = np.concatenate([x, turned, 255 - x[y < 6]])
    y = np.concatenate([y, 10 + y, 20 + y[y < 6]])
    np.savetxt(tmp_path / "digits.csv", np.column_stack([y, x]), "%d", ",", header="label,pixels", comments="")
    accuracy, lines = run(tmp_path, recipe(tmp_path, "A CSV file", "Another number of classes"), 10)
    assert accuracy > 75 and len(lines) == 10


def test_arrays_that_are_no_images(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=1000)
    x = 50 + 10 * rng.normal(size=(3, 20))[y] + 10 * rng.normal(size=(1000, 20))
    np.savez(tmp_path / "measurements.npz", x=x, y=y)
    assert run(tmp_path, recipe(tmp_path, "Arrays that are no images"))[0] > 95


def test_a_folder_of_color_pictures(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(480):
        name, color = [("cat", (200, 60, 60)), ("dog", (60, 200, 60)), ("fox", (60, 60, 200))][i % 3]
        picture = rng.integers(100, size=(40, 50, 3), dtype=np.uint8)
        row, column = rng.integers(20, size=2)
        picture[row:row + 15, column:column + 15] = color
        (tmp_path / "pictures" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "pictures" / name / f"{i:03}.png")
    assert run(tmp_path, recipe(tmp_path, "A folder of color pictures"))[0] > 90


@pytest.mark.parametrize("title, epochs, least", [
    ("Dropout", 10, 85), ("Adam", 10, 90), ("A DataLoader", 5, 85), ("Weight decay", 5, 88),
    ("A GPU and mixed precision", 3, 85), pytest.param("Batch normalization", 3, 85, marks=pytest.mark.slow)])
def test_a_change_to_network_or_training_learns(title, epochs, least, tmp_path):
    accuracy, lines = run(tmp_path, recipe(tmp_path, title), epochs)
    assert accuracy >= least and len(lines) == epochs


def test_early_stopping_ends_with_the_best_epoch(tmp_path):
    accuracy, lines = run(tmp_path, recipe(tmp_path, "Early stopping, and the best epoch"))
    found = [float(line.split("%")[0].split()[-1]) for line in lines]
    assert len(found) < 100 and found.index(max(found)) == len(found) - 4
    code = "import mlp_torch as s, mnist; model = s.build_model(); model.load_state_dict(s.torch.load('best.pt'))\n" \
           "_, *parts = mnist.load_data(); print(*(f'{s.accuracy(*part, model):.2%}' for part in parts))"
    assert lines_of(python("-c", code, folder=tmp_path)) == [f"{max(found):.2f}% {accuracy:.2f}%"]


def test_keras_on_tensorflow_stops_early_keeps_the_best_and_logs(tmp_path):
    accuracy, lines = run(tmp_path, recipe(tmp_path, "Keras with callbacks"), 60)
    assert accuracy > 88
    code = "import mlp_keras as s, mnist; model = s.keras.saving.load_model('best.keras')\n" \
           "_, _, test = mnist.load_data(); print(f'{s.accuracy(*test, model):.2%}')"
    assert lines_of(python("-c", code, folder=tmp_path)) == [f"{accuracy:.2f}%"]
    assert steps_of(tmp_path / "logs" / "validation", "epoch_accuracy") == [*range(len(lines) // 2)]


def test_pytorch_logs_to_tensorboard(tmp_path):
    # TensorBoard loads TensorFlow, if it is there, which then has something to say.
    run(tmp_path, recipe(tmp_path, "TensorBoard in PyTorch"), 3, TF_CPP_MIN_LOG_LEVEL="3")
    assert steps_of(tmp_path / "logs", "accuracy/validation") == [1, 2, 3]


def steps_of(folder, tag):
    """Return the steps of a curve that TensorBoard shows of a folder."""
    events = EventAccumulator(str(folder), {"scalars": 0, "tensors": 0}).Reload()  # 0: all of them
    if tag in events.Tags()["scalars"]:
        return [event.step for event in events.Scalars(tag)]
    return [event.step for event in events.Tensors(tag)]


def test_every_recipe_is_tested():
    source = (ROOT / "tests" / "test_start.py").read_text("utf-8")
    titles = re.findall(r"(?m)^### (.*)$", START.partition("\n## Recipes\n")[2])
    assert len(titles) >= 13 and [title for title in titles if f'"{title}"' not in source] == []
