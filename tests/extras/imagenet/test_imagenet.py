"""The ImageNet networks: the same in both libraries; a training goes on where it was ended; the notebook runs."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys

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
    kill = "s.os.replace = lambda *_: s.os.kill(s.os.getpid(), 9)"
    process = start(script, records, tmp_path, f"{small(script)}\n{kill}")
    printed, error = process.communicate(timeout=HANG)
    assert process.returncode == -signal.SIGKILL and "epoch  2" in printed, error
    assert path.read_bytes() == first
    assert ended(start(script, records, tmp_path, small(script))) == undisturbed[1:]
    for content, before, folder, said in (
            (None, "", records, "has all 3 epochs. Move it away"),
            (first[:len(first) // 2], "", records, "is damaged. Move it away"),
            (first, "", fewer_classes(records), "is of another training: 10 classes, .* This is 9 classes, .* Move it"),
            (first, "s.BATCH_SIZE = 16", records, "is of another training")):
        content = content or path.read_bytes()
        path.write_bytes(content)
        process = start(script, folder, tmp_path, f"{small(script)}\n{before}")
        printed, error = process.communicate(timeout=HANG)
        assert process.returncode == 1 and printed == "" and "Traceback" not in error, error
        assert re.search(f"{path.name} {said}", error.splitlines()[-1])
        assert path.read_bytes() == content


def fewer_classes(records):
    """Return a folder with records of all but one of the classes."""
    folder = records / "fewer"
    if not folder.exists():
        for part in "train", "val":
            shutil.copytree(records / "pictures" / part, folder / "pictures" / part)
            shutil.rmtree(folder / "pictures" / part / "9")
            pack(folder / "pictures" / part, folder / part)
    return folder


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
    s.compile_model(model, np.ones(1, np.float32))
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
