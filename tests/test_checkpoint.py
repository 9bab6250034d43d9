"""A checkpoint is continued only by the run that it is of, and an error of reading it does not cost it."""
import subprocess
import sys

import numpy as np
import pytest
from test_mnist import HANG

from compare import checkpoint
from compare.scripts import ROOT
from mnist import DataError


def torch_parts(seed):
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return {"model": model, "optimizer": optimizer}


def test_digits_are_told_apart_by_number_and_pixels():
    x = np.random.default_rng(0).random((30, 784), np.float32)
    y, other = np.arange(30) % 10, x.copy()
    other[7, 8] += 0.01
    texts = {checkpoint.digits(*each) for each in ((x, y), (other, y), (x, 9 - y), (x[:20], y[:20]))}
    assert len(texts) == 4 and checkpoint.digits(x.copy(), y.copy()) in texts
    assert all(text.startswith(("30 digits with checksum ", "20 digits with checksum ")) for text in texts)


def test_a_run_goes_on_with_its_own_checkpoint_and_with_no_other(tmp_path):
    path, parts, others = tmp_path / "model.checkpoint", torch_parts(1), torch_parts(2)
    assert checkpoint.load_torch(path, "run 1", parts) == 0
    checkpoint.save_torch(path, "run 1", 3, parts, classes=["a", "b"])
    before = path.read_bytes()
    assert checkpoint.load_torch(path, "run 1", others) == 3
    assert (others["model"].weight == parts["model"].weight).all()
    for parameter in others["model"].parameters():
        assert "momentum_buffer" in others["optimizer"].state[parameter]
    with pytest.raises(DataError, match=r"is of another run: run 1\. This one is: run 2\. .* move the file away"):
        checkpoint.load_torch(path, "run 2", others)
    with pytest.raises(DataError, match="not written by this program: KeyError: 'schedule'. Move it away"):
        checkpoint.load_torch(path, "run 1", {**others, "schedule": others["optimizer"]})
    with pytest.raises(DataError, match="not written by this program: RuntimeError: .* size mismatch"):
        checkpoint.load_torch(path, "run 1", {"model": type(parts["model"])(5, 2)})
    assert path.read_bytes() == before and list(tmp_path.glob("[!.]*")) == [path]


def test_of_two_trainings_in_a_folder_one_is_refused(tmp_path):
    code = (f"import time; from compare import checkpoint as c; c.load_torch({str(tmp_path / 'model.checkpoint')!r}, "
            f"'run', {{}}); print('began', flush=True); time.sleep({HANG})")
    first = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout.readline() == "began\n"
        with pytest.raises(DataError, match="Another process is training with model.checkpoint, in the same folder"):
            checkpoint.load_torch(tmp_path / "model.checkpoint", "run", {})
    finally:
        first.kill()
        first.communicate()
    assert checkpoint.load_torch(tmp_path / "model.checkpoint", "run", {}) == 0
    assert checkpoint.load_torch(tmp_path / "model.checkpoint", "run", {}) == 0  # the same process, once more


def test_a_checkpoint_that_is_a_link_is_written_where_it_leads(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "model.checkpoint").symlink_to(tmp_path / "disk" / "model")
    checkpoint.save_torch(tmp_path / "model.checkpoint", "run", 3, torch_parts(1))
    assert (tmp_path / "model.checkpoint").is_symlink() and (tmp_path / "disk" / "model").stat().st_size
    assert checkpoint.load_torch(tmp_path / "model.checkpoint", "run", torch_parts(2)) == 3


@pytest.mark.parametrize("content, said", [
    (lambda whole: whole[:len(whole) // 2], "is damaged"), (lambda whole: b"", "is damaged"),
    (lambda whole: b"<html>" + whole, "is damaged")], ids=["truncated", "empty", "a page"])
def test_a_damaged_checkpoint_is_left_alone(content, said, tmp_path):
    path, parts = tmp_path / "model.checkpoint", torch_parts(1)
    checkpoint.save_torch(path, "run", 3, parts)
    path.write_bytes(damaged := content(path.read_bytes()))
    with pytest.raises(DataError, match=f"model.checkpoint {said}.* Move it away to begin anew"):
        checkpoint.load_torch(path, "run", parts)
    assert path.read_bytes() == damaged


@pytest.mark.filterwarnings("ignore:Skipping variable loading")
def test_a_checkpoint_of_keras_is_told_from_others_and_from_damaged_ones(tmp_path):
    keras, h5py = pytest.importorskip("keras"), pytest.importorskip("h5py")

    def compiled():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.compile(keras.optimizers.SGD(0.1, 0.9), "mse")
        model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
        return model

    path, model = tmp_path / "model.weights.h5", compiled()
    assert checkpoint.load_keras(path, "run 1", model) == 0
    checkpoint.save_keras(path, "run 1", 2, model)
    other = compiled()
    assert checkpoint.load_keras(path, "run 1", other) == 2
    for a, b in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert int(other.optimizer.iterations) == int(model.optimizer.iterations)
    with pytest.raises(DataError, match="is of another run: run 1. This one is: run 2"):
        checkpoint.load_keras(path, "run 2", other)
    with h5py.File(path, "a") as file:
        for name in list(file):
            del file[name]  # the run's name is there, its weights are not
    with pytest.raises(DataError, match="model.weights.h5 is damaged"):
        checkpoint.load_keras(path, "run 1", other)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="model.weights.h5 is damaged"):
        checkpoint.load_keras(path, "run 1", other)
