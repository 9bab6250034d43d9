"""The zoo's networks have their sizes, run on every engine, and leave folders that can be read whenever they end."""
import csv
import importlib
import json
import os
import re
import signal
import subprocess
import sys

import pytest
from test_scripts import GREETINGS

import mnist
from compare.scripts import ROOT
from extras.zoo.report.__main__ import main
from extras.zoo.report.reading import read_run

PARAMETERS = {"mlp2layers": 669_706, "mlp5layers": 1_457_674, "convnet2layers": 1_199_882, "mlp3": 109_386,
              "lenet": 431_080}
RUN_JSON = {
    "network", "parameters", "started", "seed", "epochs", "epochs_ended", "finished", "training_time", "batch_size",
    "shuffle", "loss", "optimizer", "dataset", "platform", "weights", "test_accuracy",
    "test_loss"}
PLATFORM = {"device", "processor", "cores", "memory", "system", "python", "keras", "backend"}


def python(code, folder, **environment):
    """Start Python on `code` in `folder`, on the sample."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MNIST_DIR": str(mnist.SAMPLE), **environment}
    return subprocess.Popen([sys.executable, "-u", "-c", code], cwd=folder, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("network", PARAMETERS)
def test_the_networks_have_their_sizes(network):
    module = importlib.import_module(f"extras.zoo.{network}")
    assert module.build_model().count_params() == module.PARAMETERS == PARAMETERS[network]


@pytest.mark.parametrize("argument, status", [("--help", 0), ("--epochs=3", 2)])
def test_a_network_is_not_trained_for_arguments_that_it_does_not_take(argument, status, tmp_path):
    process = subprocess.run([sys.executable, "-m", "extras.zoo.lenet", argument], cwd=tmp_path, text=True,
                             capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.returncode == status and "lenet" in process.stdout + process.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    from extras.zoo.training import new_folder

    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").touch()  # a file where a folder has to be
    with pytest.raises(mnist.DataError, match="lenet-.* cannot be written: .* run the same command again"):
        new_folder("lenet")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_every_network_runs_on_every_engine(backend, tmp_path):
    code = f"""
import json
from extras.zoo import convnet2layers, lenet, mlp2layers, mlp3, mlp5layers
for network in {list(PARAMETERS)}:
    assert globals()[network].train(epochs=1) > 0.3, network
for network in mlp2layers, mlp5layers:
    network.train(epochs=1, activation="relu")
"""
    process = python(code, tmp_path, KERAS_BACKEND=backend)
    printed, errors = process.communicate()
    assert process.returncode == 0 and GREETINGS.fullmatch(errors), errors
    folders = {about["network"]: (folder, about) for folder in (tmp_path / "runs").iterdir()
               for about in [json.loads((folder / "run.json").read_text())]}
    named = [f"{name}-linear" if "layers" in name and "conv" not in name else name for name in PARAMETERS]
    assert set(folders) == {*named, "mlp2layers-relu", "mlp5layers-relu"}
    for name, (folder, about) in folders.items():
        assert re.fullmatch(rf"{name}-\d{{4}}-\d\d-\d\d-\d\d-\d\d-\d\d(-\d+)?", folder.name)
        assert {path.name for path in folder.iterdir()} == {"run.json", "history.csv", "model.keras"}
        assert set(about) == RUN_JSON and set(about["platform"]) == PLATFORM
        assert about["parameters"] == PARAMETERS[name.split("-")[0]] and about["finished"]
        assert about["platform"]["backend"].startswith(backend)
        held_back = 666 if name in ("lenet", "mlp3") else 0
        assert about["dataset"] == {"name": "sample", "image_size": [28, 28], "training": 4000 - held_back,
                                    "validation": held_back, "test": 1000}
        assert about["weights"] == f"runs/{folder.name}/model.keras"
        [row] = csv.DictReader(open(folder / "history.csv"))
        assert bool(row["val_accuracy"]) == bool(held_back)
        valid = rf"  validation accuracy {float(row['val_accuracy']):.2%}" if held_back else ""
        assert (f"epoch  1  training accuracy {float(row['accuracy']):.2%}{valid}  {float(row['seconds']):.2f} s  "
                f"{float(row['images_per_second']):,.0f} images per s\n"
                f"test accuracy {about['test_accuracy']:.2%}, in {folder.relative_to(tmp_path)}\n") in printed
    rmsprop = folders["mlp2layers-linear"][1]["optimizer"]
    assert rmsprop["name"] == "RMSprop"
    assert [rmsprop[name] for name in ("learning_rate", "rho", "momentum", "epsilon")] == [0.001, 0.9, 0.0, 1e-7]
    schedule = folders["lenet"][1]["optimizer"]["learning_rate"]
    assert schedule["decay_steps"] == 53  # 3,334 digits in steps of 64


@pytest.mark.slow
def test_the_same_seed_gives_the_same_history(tmp_path):
    process = python("from extras.zoo import mlp3; [mlp3.train(2, seed) for seed in (1, 1, 2)]", tmp_path)
    printed = process.communicate()[0]
    lines = [re.sub(r"  [\d.]+ s .*|, in .*", "", line) for line in printed.splitlines()]
    assert len(lines) == 9 and lines[0:3] == lines[3:6] != lines[6:9]


@pytest.mark.slow
def test_a_run_killed_in_its_third_epoch_can_be_read_and_reported(tmp_path, capsys, monkeypatch):
    process = python("""
import time
from extras.zoo import mlp3, training
def wait(self, batch, logs=None):
    if len(self.history) == 2:
        print("in the third", flush=True)
        time.sleep(600)
training.Record.on_train_batch_end = wait
mlp3.train(5)
""", tmp_path)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line == "in the third\n":
            process.send_signal(signal.SIGKILL)
    process.communicate()
    [folder] = (tmp_path / "runs").iterdir()
    run = read_run(folder)
    assert not run["about"]["finished"] and run["about"]["epochs_ended"] == 2 and len(run["history"]) == 2
    for row, line in zip(run["history"], lines):
        assert f"training accuracy {row['accuracy']:.2%}" in line

    monkeypatch.setenv("MNIST_DIR", str(mnist.SAMPLE))
    assert main([str(folder), "-o", str(tmp_path / "report")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "ended after 2 of 5 epochs" in page and "by the model as it was saved last" in page
    assert f"<td>2 of 5</td><td>100</td><td>–</td><td>{run['history'][-1]['accuracy']:.2%}"[:-1] in page


@pytest.mark.slow
def test_a_run_can_be_read_between_any_two_of_its_writes(tmp_path):
    process = python("""
import os, shutil
from pathlib import Path
from extras.zoo import mlp3
number, replace = 0, os.replace
def watched(source, target):
    global number
    for when in "before", "after":
        if Path(target).parent.parent.name == "runs" and (Path(target).parent / "run.json").exists():
            shutil.copytree(Path(target).parent, f"seen/{number:03}")
            number += 1
        if when == "before":
            replace(source, target)
os.replace = watched
mlp3.train(2)
""", tmp_path)
    errors = process.communicate()[1]
    assert process.returncode == 0, errors
    seen = [read_run(folder) for folder in sorted((tmp_path / "seen").iterdir())]
    assert len(seen) > 15 and [len(run["history"]) for run in seen] == sorted(len(run["history"]) for run in seen)
    assert {(len(run["history"]), run["about"]["epochs_ended"]) for run in seen} == {(0, 0), (1, 0), (1, 1), (2, 1),
                                                                                      (2, 2)}
    assert [run["about"]["finished"] for run in seen] == [False] * (len(seen) - 1) + [True]
