"""The ImageNet networks: the same in both libraries; a training goes on where it was ended; the notebook runs."""
import importlib
import io
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from test_mnist import HANG, wait_for
from test_shape import ROOMS

import mnist
from compare.scripts import ROOT, lines_of_code
from extras.imagenet import sample
from extras.imagenet.pack import pack

SCRIPTS = ["alexnet_torch", "alexnet_keras", "inception_torch", "inception_keras"]
EPOCH = re.compile(r"epoch +(\d+)  loss (\d+\.\d{3})  validation top-1 (\d+\.\d\d)% top-5 (\d+\.\d\d)%  \d+\.\d s  "
                   r"\d+ images per s")
# A network that takes no time, in the place of the script's own; Inception has no dropout
SMALL = {
    "torch": "s.build_model = lambda n: s.nn.Sequential(s.nn.MaxPool2d(16), s.nn.Flatten(), s.nn.Dropout(0.1), "
             "s.nn.Linear(588, n))",
    "keras": "s.build_model = lambda n: s.keras.Sequential([s.keras.Input((224, 224, 3)), s.layers.MaxPooling2D(16), "
             "s.layers.Rescaling(1 / 127.5, -1), s.layers.Flatten(), s.layers.Dropout(0.1), s.layers.Dense(n)])"}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """A folder with records of the sample: 256 pictures to train on, 50 to validate on."""
    folder = tmp_path_factory.mktemp("sample")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_DIR", str(mnist.SAMPLE))
        sample.make(folder / "pictures", 256, 50)
    for part in "train", "val":
        pack(folder / "pictures" / part, folder / part)
    return folder


def start(script, records, folder, before="pass", epochs=3, launcher=(), **environment):
    """Start a script's train(records, epochs) in `folder`, after some lines of code."""
    (folder / "run.py").write_text(f"import extras.imagenet.{script} as s\n{before}\n"
                                   f"s.train({str(records)!r}, {epochs})\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen([sys.executable, *launcher, "run.py"], cwd=folder, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process):
    """Return what a script printed, a tuple for each epoch: number, loss, top-1, top-5."""
    printed, error = process.communicate(timeout=HANG)
    assert process.returncode == 0 and "Warning" not in error, error
    return [EPOCH.fullmatch(line).groups() for line in printed.splitlines()]


def small(script):
    network, _, library = script.partition("_")
    return SMALL[library].replace("Dropout(0.1)", "Dropout(0.0)" if network == "inception" else "Dropout(0.1)")


def checkpoint(script):
    return f"{script}.checkpoint" if script.endswith("torch") else f"{script}.weights.h5"


@pytest.mark.parametrize("script", SCRIPTS)
def test_they_have_the_rooms_of_the_twelve(script):
    lines = (ROOT / "extras" / "imagenet" / f"{script}.py").read_text("utf-8").splitlines()
    assert [line for line in lines if line in ROOMS] == ROOMS
    assert lines_of_code(ROOT / "extras" / "imagenet" / f"{script}.py") <= 130 and max(map(len, lines)) <= 120


# Once there is a checkpoint, a training that stays where it is until it is killed
STAYING = ("import os, time\nbatches = s.records.Records.batches\n"
           f"stay = lambda: os.path.exists(s.CHECKPOINT) and time.sleep({HANG})\n"
           "s.records.Records.batches = lambda *a, **k: (stay() or each for each in batches(*a, **k))")


@pytest.mark.parametrize("script", [pytest.param(s, marks=[pytest.mark.slow] * s.startswith("inc")) for s in SCRIPTS])
def test_the_same_command_goes_on_after_a_kill_and_refuses_what_is_not_its_own(script, records, tmp_path):
    undisturbed = ended(start(script, records, tmp_path, small(script)))
    assert [int(number) for number, *_ in undisturbed] == [1, 2, 3]
    path = tmp_path / checkpoint(script)
    path.unlink()
    process = start(script, records, tmp_path, f"{small(script)}\n{STAYING}")
    wait_for(lambda: path.exists() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    first = path.read_bytes()
    # Ended just before the next checkpoint gets its name: the one before it stays
    kill = "from compare.atomic import os; os.replace = lambda *_: os.kill(os.getpid(), 9)"
    process = start(script, records, tmp_path, f"{small(script)}\n{kill}")
    printed, error = process.communicate(timeout=HANG)
    assert process.returncode == -signal.SIGKILL and "epoch  2" in printed, error
    assert path.read_bytes() == first
    assert ended(start(script, records, tmp_path, small(script))) == undisturbed[1:]
    for content, before, folder, said in (
            (None, "", records, "has all 3 epochs. Move it away"),
            (first[:len(first) // 2], "", records, r"is damaged, .*: \w+Error: .*\. Move it away"),
            (first, "", fewer_classes(records), "is of another run: 10 classes, .* This one is: 9 classes, "),
            (first, "", other_pictures(records), "is of another run: (10 classes, 256 pictures) with checksum .* "
             r"This one is: \1 with checksum "),
            (first, "s.MOMENTUM = 0.5", records, "is of another run"),
            (first, "s.WEIGHT_DECAY = 0.1", records, "is of another run"),
            (first, "s.BATCH_SIZE = 16", records, "is of another run")):
        content = content or path.read_bytes()
        path.write_bytes(content)
        process = start(script, folder, tmp_path, f"{small(script)}\n{before}")
        printed, error = process.communicate(timeout=HANG)
        assert process.returncode == 1 and printed == "" and "Traceback" not in error, error
        assert re.search(f"{path.name} {said}", error.splitlines()[-1])
        assert path.read_bytes() == content


# What is said of each file in the folder "files", if that is the checkpoint
RESTORING = """
import pathlib
def restore(*_):
    load = s.checkpoint.load_torch if "torch" in s.CHECKPOINT else s.checkpoint.load_keras
    for path in pathlib.Path("files").iterdir():
        pathlib.Path(s.CHECKPOINT).write_bytes(path.read_bytes())
        try:
            print(path.name, load(s.CHECKPOINT, "this run", {}))
        except SystemExit as end:
            print(path.name, end)
s.train = restore"""


@pytest.mark.parametrize("script", ["alexnet_torch", "alexnet_keras"])
def test_a_checkpoint_that_cannot_be_read_is_named_with_the_reason(script, tmp_path):
    file, text = io.BytesIO(), b"a page of the server: file not found\n" * 9
    files = {"empty": b"", "text": text, "html": b"<html>" + text, "pickle": pickle.dumps({"run": "this run"}, 4)}
    reasons = dict.fromkeys([*files, "cut short", "changed", "foreign"], r"\w+Error(: .*)?")
    if script.endswith("torch"):
        import torch

        torch.save({"run": "other"}, file)
        files["changed"] = file.getvalue().replace(b"PK\1\2", b"PK\1\3")  # in the directory at the end
        with zipfile.ZipFile(file) as whole, zipfile.ZipFile(tmp_path / "newer", "w", zipfile.ZIP_STORED) as newer:
            for name in whole.namelist():
                newer.writestr(name, b"99" if name.endswith("/version") else whole.read(name))
        files["newer"], reasons["newer"] = (tmp_path / "newer").read_bytes(), "RuntimeError.* version 99, .*too old.*"
        torch.save({"weights": 1}, foreign := io.BytesIO())
    else:
        import h5py

        with h5py.File(file, "w") as whole, h5py.File(foreign := io.BytesIO(), "w"):
            whole.attrs.update({"run": "other", "epoch": 1})
        files["changed"] = b"?" + file.getvalue()[1:]
    files |= {"cut short": file.getvalue()[:-100], "foreign": foreign.getvalue(), "whole": file.getvalue()}
    (tmp_path / "files").mkdir()
    for name, content in files.items():
        (tmp_path / "files" / name).write_bytes(content)
    printed, error = start(script, "", tmp_path, RESTORING).communicate(timeout=HANG)
    said = dict(re.fullmatch(rf"(.*?) {checkpoint(script)} (.*)", line).groups() for line in printed.splitlines())
    assert said.keys() == {"whole", *reasons}, error
    assert said["whole"].startswith("is of another run: other. This one is: this run. ")
    for name, reason in reasons.items():
        assert re.fullmatch(rf"is damaged, or was not written by this program: {reason}\. Move it away to begin anew\.",
                            said[name]), said[name]


@pytest.mark.parametrize("script", ["alexnet_torch", "inception_torch"])
def test_a_step_does_not_wait_until_its_loss_is_known(script, monkeypatch):
    import torch

    s = importlib.import_module(f"extras.imagenet.{script}")
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3)).to(s.DEVICE)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1)
    monkeypatch.setattr(torch.Tensor, "item", None)  # which waits
    x, y = np.arange(48, dtype=np.uint8).reshape(4, 2, 2, 3), np.array([0, 1, 2, 0])
    losses = [s.step(x, y, model, optimizer, schedule) for _ in range(3)]
    assert all(loss.device.type == s.DEVICE.type and not loss.requires_grad for loss in losses)
    assert losses[0] > losses[1] > losses[2] > 0


# Nine steps of ten, the model saved, then five more; or the model loaded, then five more. What is printed: the rates,
# then for each of the five the weights, and how much more they changed than 0.9 times the momentum that they had.
SAVING = """
import json
import numpy as np
x, y = np.arange(192, dtype=np.uint8).reshape(4, 4, 4, 3), np.array([0, 1, 2, 0])
def go_on(model, rates):
    array, trained, others = s.keras.ops.convert_to_numpy, [], []
    for _ in range(5):
        before, momentum = ([array(v) + 0 for v in variables] for variables in
                            (model.trainable_variables, model.optimizer.momentums))
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
        after = [array(v) + 0 for v in model.trainable_variables]
        trained.append([w.tolist() for w in after])
        others.append(max(float(abs(w - v - 0.9 * m).max()) for w, v, m in zip(after, before, momentum)))
    print(json.dumps([s.LEARNING_RATE, rates, trained, others]))
def save(*_):
    s.keras.utils.set_random_seed(0)
    own = [s.layers.Lambda(s.normalize)] if hasattr(s, "normalize") else []
    model = s.keras.Sequential([s.keras.Input((4, 4, 3)), s.layers.Rescaling(1 / 127.5, -1), *own, s.layers.Flatten(),
                                s.layers.Dense(3)])
    s.compile_model(model, 10)
    rates = []
    for step in range(15):
        model.optimizer.iterations.assign(step)
        rates.append(float(model.optimizer.learning_rate))
    model.optimizer.iterations.assign(0)
    model.fit(x, y, batch_size=4, epochs=9, shuffle=False, verbose=0)
    model.save("trained.keras")
    go_on(model, rates)
def load(*_):
    model = s.keras.saving.load_model("trained.keras")
    go_on(model, float(model.optimizer.learning_rate))
"""


@pytest.mark.parametrize("engine", ["jax", "tensorflow", "torch"])
@pytest.mark.parametrize("script", ["alexnet_keras", pytest.param("inception_keras", marks=pytest.mark.slow)])
def test_the_rate_rises_and_falls_and_a_model_saved_by_keras_goes_on_where_it_was(script, engine, tmp_path):
    left = []
    for which in "save", "load":
        process = start(script, "", tmp_path, f"{SAVING}s.train = {which}", KERAS_BACKEND=engine)
        printed, error = process.communicate(timeout=HANG)
        assert process.returncode == 0, error
        left.append(json.loads(printed.splitlines()[-1]))
    (learning_rate, rates, trained, others), (_, rate, trained_on, _) = left
    expected = np.interp(np.arange(15) / 10, [0, 0.2, 1], [0, learning_rate, 0])  # as in PyTorch
    assert rates == pytest.approx(expected, rel=1e-6, abs=1e-7 * learning_rate) and rates[10:] == [0] * 5
    assert rate == rates[9] and trained_on == trained
    assert others[0] > 1e-5 and max(others[1:]) < 1e-7  # past the end the momentum alone moves the weights, and ebbs


def fewer_classes(records):
    """Return a folder with records of all but one of the classes."""
    folder = records / "fewer"
    if not folder.exists():
        for part in "train", "val":
            shutil.copytree(records / "pictures" / part, folder / "pictures" / part)
            shutil.rmtree(folder / "pictures" / part / "9")
            pack(folder / "pictures" / part, folder / part)
    return folder


def other_pictures(records):
    """Return a folder with records of as many pictures of the same names, of which two are exchanged."""
    folder = records / "other"
    if not folder.exists():
        shutil.copytree(records / "pictures", folder / "pictures")
        one, other = sorted((folder / "pictures" / "train").glob("*/*.jpg"))[:2]
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)
        for part in "train", "val":
            pack(folder / "pictures" / part, folder / part)
    return folder


def test_the_sample_says_what_it_has_made_and_nothing_is_made_for_help(tmp_path):
    def call(*arguments):
        return subprocess.run([sys.executable, "-m", "extras.imagenet.sample", *arguments], cwd=tmp_path, text=True,
                              capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT),
                                                        "MNIST_DIR": str(mnist.SAMPLE)})

    assert "4,000 pictures to train on" in call("--help").stdout and list(tmp_path.iterdir()) == []
    printed = call("small", "40", "11").stdout.splitlines()
    for part, line in zip(("train", "val"), printed, strict=True):
        files = list((tmp_path / "small" / part).glob("*/*.jpg"))
        classes = {path.parent for path in files}
        assert line == f"small/{part}: {len(files)} pictures of {len(classes)} classes"


TWO = {"torch": dict(launcher=["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]),
       "keras": dict(JAX_NUM_CPU_DEVICES="2")}
THREE = {"torch": dict(launcher=["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3"]),
         "keras": dict(JAX_NUM_CPU_DEVICES="3")}


# What a process leaves behind at its end: of each epoch the labels in their order, and the sums of the weights in
# PyTorch, in Keras on how many devices each of them is
OBSERVED = """
import atexit, json, os
batches, build, epochs, made = s.records.Records.batches, s.build_model, [], []
def observed(self, batch_size, *seed, **share):
    labels = []
    if seed:
        epochs.append(labels)
    for x, y in batches(self, batch_size, *seed, **share):
        labels += y.tolist()
        yield x, y
s.records.Records.batches = observed
s.build_model = lambda classes: made.append(build(classes)) or made[-1]
def leave():
    if hasattr(made[0], "parameters"):
        weights = [float(abs(p.detach()).sum()) for p in made[0].parameters()]
    else:
        weights = [len(v.value.sharding.device_set) for v in made[0].variables]
    open(os.environ.get("RANK", "0") + ".json", "w").write(json.dumps([epochs, weights]))
atexit.register(leave)
"""


@pytest.mark.parametrize("script", ["alexnet_torch", "alexnet_keras"])
def test_two_workers_share_the_training_and_three_cannot(script, records, tmp_path):
    library = script.partition("_")[2]
    epochs = ended(start(script, records, tmp_path, small(script) + OBSERVED, **TWO[library]))
    assert [int(number) for number, *_ in epochs] == [1, 2, 3]
    left = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("?.json"))]
    assert len(left) == (2 if library == "torch" else 1)
    labels = [sum(parts, []) for parts in zip(*(labels for labels, _ in left))]  # of each epoch
    every = sorted(int(path.parent.name) for path in (records / "pictures" / "train").glob("*/*.jpg"))
    assert all(sorted(epoch) == every for epoch in labels) and labels[0] != labels[1] != labels[2]
    assert left[0][1] == left[1][1] if library == "torch" else set(left[0][1]) == {2}
    alone = tmp_path / "alone"
    alone.mkdir()
    *_, (_, loss, _, _) = ended(start(script, records, alone, small(script)))
    assert float(epochs[-1][1]) == pytest.approx(float(loss), rel=0.2)
    process = start(script, records, tmp_path, small(script), **THREE[library])
    printed, error = process.communicate(timeout=HANG)
    assert process.returncode == 1 and printed == "" and "A batch of 32 cannot be split evenly among 3" in error


# A network whose averages are those of its last batch alone, and so differ much between the processes
AVERAGING = ("s.BATCH_SIZE = 4\ns.build_model = lambda n: s.nn.Sequential(s.nn.MaxPool2d(16), s.nn.Flatten(), "
             "s.nn.BatchNorm1d(588, momentum=1), s.nn.Linear(588, n)).to(s.DEVICE)\n")
# Instead of training: the accuracies of the checkpoint
ALONE = """
def evaluate(folder, _):
    model = s.build_model(10)
    model.load_state_dict(s.torch.load(s.CHECKPOINT, s.DEVICE)["model"])
    print(*s.accuracies(s.records.Records(folder + "/val"), model))
s.train = evaluate"""


@pytest.mark.slow
def test_of_two_workers_the_printed_accuracy_is_that_of_the_checkpoint(records, tmp_path):
    *_, (_, _, *accuracies) = ended(start("inception_torch", records, tmp_path, AVERAGING, **TWO["torch"]))
    printed, error = start("inception_torch", records, tmp_path, AVERAGING + ALONE).communicate(timeout=HANG)
    assert [f"{float(share):.2%}" for share in printed.split()] == [f"{share}%" for share in accuracies], error


# Instead of training: a network that guesses 0, 1, 2, 3, 4 at every picture, were it not for its dropout
GUESSING = """
import numpy as np
class Validation(list):
    classes = range(10)
    def batches(self, batch_size, rank=0, size=1):
        own = self[len(self) * rank // size:len(self) * (rank + 1) // size]
        for i in range(0, len(own), batch_size):
            yield np.zeros((len(own[i:i + batch_size]), 224, 224, 3), np.uint8), np.array(own[i:i + batch_size])
def count(*_):
"""
GUESSING = {
    "torch": GUESSING + """
    if s.SIZE > 1:
        s.distributed.init_process_group()
    model = s.nn.Sequential(s.nn.MaxPool2d(224), s.nn.Flatten(), s.nn.Linear(3, 10), s.nn.Dropout(0.5)).to(s.DEVICE)
    model[2].load_state_dict({"weight": s.torch.zeros(10, 3), "bias": -s.torch.arange(10.) - 1})
    found = s.accuracies(Validation(i % 10 for i in range(75)), model)
    print(*found if s.RANK == 0 else "")
    if s.SIZE > 1:
        s.distributed.destroy_process_group()
s.train = count""",
    "keras": GUESSING + """
    if len(s.distribution.list_devices()) > 1:
        s.distribution.set_distribution(s.distribution.DataParallel(auto_shard_dataset=False))
    model = s.keras.Sequential([s.keras.Input((224, 224, 3)), s.layers.GlobalMaxPooling2D(), s.layers.Dense(10),
                                s.layers.Dropout(0.5)])
    model.layers[1].set_weights([np.zeros((3, 10)), -np.arange(10) - 1])
    s.compile_model(model, 1)
    print(*s.accuracies(Validation(i % 10 for i in range(75)), model))
s.train = count"""}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("script", SCRIPTS)
def test_top_1_and_top_5_are_counted_over_all_of_the_validation_set(script, workers, tmp_path):
    library = script.partition("_")[2]
    process = start(script, "", tmp_path, GUESSING[library], **TWO[library] if workers == 2 else {})
    printed, error = process.communicate(timeout=HANG)
    assert process.returncode == 0, error
    assert [float(share) for share in printed.split()] == pytest.approx([8 / 75, 40 / 75])


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_network_itself_trains(script, records, tmp_path):
    folder = tmp_path / "records"
    shutil.copytree(records / "val", folder / "train")
    shutil.copytree(records / "val", folder / "val")
    (number, loss, top_1, top_5), = ended(start(script, folder, tmp_path, "s.BATCH_SIZE = 16", epochs=1))
    assert number == "1" and float(loss) < 5 and float(top_1) <= float(top_5)
    assert (tmp_path / checkpoint(script)).exists()


@pytest.mark.slow
@pytest.mark.parametrize("network", ["alexnet", "inception"])
def test_the_network_is_the_same_in_both_libraries(network):
    command = [sys.executable, "-m", "extras.imagenet.same", network]
    process = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    assert process.returncode == 0, process.stderr
    print(process.stdout)


@pytest.mark.slow
def test_what_the_readme_says_of_speed_is_measured():
    code = ("import functools, extras.imagenet.speed as s\n"
            "s.photographs = functools.partial(s.photographs, different=10)\n"
            "s.ROUNDS, s.BATCH_SIZE, s.STEPS, s.SCRIPTS = 1, 16, 1, ['inception_torch']\n"
            "s.reading(64); s.packing([40, 80]); s.training()")
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True)
    assert process.returncode == 0, process.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in process.stdout.splitlines() if "|" in line]
    readme = (ROOT / "extras" / "imagenet" / "README.md").read_text("utf-8")
    heads = [row for row, below in zip(rows, rows[1:]) if below[0].startswith("--")]
    assert len(heads) == 3 and all(f"| {' | '.join(head)} |" in readme for head in heads)
    figures = [float(cell.replace(",", "")) for row in rows for cell in row if re.fullmatch(r"[\d.,]+", cell)]
    assert len(figures) >= 16 and min(figures) > 0  # two ways to read, two numbers of pictures, two of workers


def executed(changes=(), appended=""):
    """Execute predict.ipynb with some of its text changed and a cell appended; return what that printed."""
    import nbclient
    import nbformat

    text = (ROOT / "extras" / "imagenet" / "predict.ipynb").read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    notebook = nbformat.reads(text, 4)
    notebook.cells.append(nbformat.v4.new_code_cell(appended))
    folder = {"metadata": {"path": str(ROOT / "extras" / "imagenet")}}
    nbclient.NotebookClient(notebook, timeout=HANG, resources=folder).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    return notebook.cells[-1].outputs[0]["text"]


@pytest.mark.slow
def test_the_notebook_names_what_is_in_its_pictures():
    answers = executed(appended="for p in predict(pictures): print(names[p.argmax()], float(p.max()))").splitlines()
    (coffee, sure), (cat, _) = (line.rsplit(" ", 1) for line in answers)
    assert coffee == "espresso" and 0.9 < float(sure) < 0.99 and cat in ("tiger cat", "Egyptian cat")


@pytest.mark.slow
def test_the_notebook_takes_a_checkpoint_of_ones_own(tmp_path):
    import torch

    from extras.imagenet import inception_torch

    torch.manual_seed(0)
    state = inception_torch.build_model(3).state_dict()
    state["17.bias"] += torch.tensor([0, 0, 99])  # sure of the last class, whatever it sees
    classes = ["n02123045", "another", "n07920052"]  # names that ImageNet has become words
    path = tmp_path / "inception_torch.checkpoint"
    torch.save({"model": state, "classes": classes}, path)
    change = ("CHECKPOINT = None", f"CHECKPOINT = '{path}'")
    assert executed([change], "print(names, [names[i] for i in predict(pictures).argmax(axis=1)])") == \
        "['tabby', 'another', 'espresso'] ['espresso', 'espresso']\n"
