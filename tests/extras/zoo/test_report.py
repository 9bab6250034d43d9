"""The report says what run.json and history.csv say, in both its forms, and names the runs it cannot read."""
import csv
import json
import os
import re
import shutil
import sys
import zipfile
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.path
import numpy as np
import pypdf
import pytest

import mnist
from extras.zoo.report.__main__ import main
from extras.zoo.report.curves import TRAINING, VALIDATION
from extras.zoo.report.graph import HEIGHT, WIDTH, layout
from extras.zoo.report.reading import read_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with four short runs on the sample: mlp3 with two seeds, mlp2layers linear and with ReLU."""
    folder, before = tmp_path_factory.mktemp("trained"), os.getcwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_DIR", str(mnist.SAMPLE))
        os.chdir(folder)
        try:
            from extras.zoo import mlp2layers, mlp3
            mlp3.train(3, seed=0)
            mlp3.train(2, seed=1)
            mlp2layers.train(1)
            mlp2layers.train(1, activation="relu")
        finally:
            os.chdir(before)
    return folder / "runs"


@pytest.fixture
def runs(trained, tmp_path, monkeypatch):
    """A copy of those runs in runs/ of the current folder, to break; MNIST_DIR names the sample."""
    shutil.copytree(trained, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNIST_DIR", str(mnist.SAMPLE))
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def whole(trained, tmp_path_factory):
    """The report of the four: page (the HTML), text (that of the PDF), runs in the order of the report."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_DIR", str(mnist.SAMPLE))
        assert main([f"{trained}/*", "-o", str(folder / "report")]) == 0
    ordered = sorted(map(read_run, trained.iterdir()), key=lambda run: -run["about"]["test_accuracy"])
    return (folder / "report.html").read_text(encoding="utf-8"), text_of(folder / "report.pdf"), ordered


def text_of(path):
    """Return the text of a PDF, its lines joined."""
    return " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(path).pages).split())


def plain_run(folder, about, *lines):
    """Make the folder of a run that no Keras had a hand in."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(about))
    (folder / "history.csv").write_text("".join(f"{line}\n" for line in lines))
    return folder


def cells(html):
    return [unescape(re.sub(r"<[^>]*>", "", cell)) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", html, re.S)]


def section(page, run):
    """Return the part of the page on the run whose folder this is."""
    return next(part for part in re.findall(r"<section id=\"run-.*?</section>", page, re.S)
                if f"<code>{run['folder']}</code>" in part)


# Every figure

def test_the_summary_shows_what_the_files_hold(whole):
    page, text, ordered = whole
    lines = re.findall(r"<tr>.*?</tr>", re.search(r'<table class="summary">.*?</table>', page, re.S)[0], re.S)
    assert len(lines) == 5
    for number, (line, run) in enumerate(zip(lines[1:], ordered), 1):
        about = json.loads((run["path"] / "run.json").read_text())
        *_, last = csv.DictReader(open(run["path"] / "history.csv"))
        expected = [str(number), about["network"], f"{about['parameters']:,}", last["epoch"], str(about["batch_size"]),
                    f"{100 * about['test_accuracy']:.2f} %", f"{100 * float(last['accuracy']):.2f} %",
                    f"{100 * float(last['val_accuracy']):.2f} %" if last["val_accuracy"] else "–",
                    f"{about['training_time']:,.1f} s"]
        assert cells(line) == expected
        assert " ".join(expected) in text
        assert f'href="#run-{number}"' in line and f'<section id="run-{number}">' in page


def test_every_value_of_run_json_stands_in_both(whole):
    page, text, ordered = whole
    for run in ordered:
        part, about = section(page, run), run["about"]
        table = cells(part)
        wanted = {
            "name": about["dataset"]["name"], "image size": "28 × 28", "weights": about["weights"],
            "training": f"{about['dataset']['training']:,}",
            "test": f"{about['dataset']['test']:,}", "seed": str(about["seed"]), "loss": about["loss"],
            "batch size": str(about["batch_size"]), "shuffle": "yes", "started": about["started"],
            "optimizer": about["optimizer"]["name"], "test loss": f"{about['test_loss']:.6g}",
            f"{about['optimizer']['name']} learning rate":
                rate["name"] if isinstance(rate := about["optimizer"]["learning_rate"], dict) else f"{rate:g}",
            "training time": f"{about['training_time']:.1f} s",
            "test accuracy": f"{100 * about['test_accuracy']:.2f} %",
            "training accuracy, last epoch": f"{100 * run['history'][-1]['accuracy']:.2f} %",
            "training loss, last epoch": f"{run['history'][-1]['loss']:.6g}", **about["platform"]}
        for label, value in wanted.items():
            value = f"{value}"
            assert table[table.index(label) + 1] == value, label
            assert re.sub(r"\s", "", label + value) in re.sub(r"\s", "", text), (label, value)


def test_the_curves_run_through_the_points_of_the_history(whole):
    page, _, ordered = whole
    for run in ordered:
        drawings = re.findall(r'<div role="img" aria-label="([^"]*)"><svg.*?</svg>', section(page, run), re.S)
        assert [drawing.split(",")[0] for drawing in drawings] == ["Accuracy", "Loss", "Learning rate"]
        drawn = re.findall(r"<svg.*?</svg>", section(page, run), re.S)
        for name, scale, drawing in ("accuracy", 100, drawn[0]), ("loss", 1, drawn[1]):
            for column, colour in (name, TRAINING), (f"val_{name}", VALIDATION):
                values = [scale * row[column] for row in run["history"] if column in row]
                path = re.search(rf'<path d="([^"]*)" clip-path[^>]*stroke: {colour}', drawing)
                assert bool(path) == bool(values)
                if len(values) < 2:
                    continue
                points = np.array(re.findall(r"[ML] ([\d.]+) ([\d.]+)", path[1]), float)
                assert len(points) == len(values)
                # Each tick has a place and a text; the points have to lie on the line through them.
                ticks = axis_ticks(drawing)
                fitted = np.polyval(np.polyfit(*np.array(ticks).T, 1), points[:, 1])
                assert np.allclose(fitted, values, atol=(max(values) - min(values)) * 0.01 + 1e-9)


def axis_ticks(drawing):
    """Return [place, number] of the ticks on the vertical axis of a drawing."""
    found = re.findall(r'<use xlink:href="#\w+" x="([\d.]+)" y="([\d.]+)".*?<text[^>]*>([^<]*)</text>', drawing, re.S)
    left = min(float(x) for x, _, _ in found)
    return [[float(y), float(text.replace("−", "-"))] for x, y, text in found if float(x) == left]


def test_the_confusion_matrix_and_the_mistakes_are_the_models(whole, trained):
    page, text, ordered = whole
    from extras.zoo.training import keras
    _, _, (x, y) = _sample()
    for run in ordered:
        part = section(page, run)
        answers = keras.models.load_model(run["path"] / "model.keras").predict(x, verbose=0)
        chosen = answers.argmax(axis=1)
        expected = [[int(((y == a) & (chosen == b)).sum()) for b in range(10)] for a in range(10)]
        matrix = re.search(r'<table class="matrix">(.*?)</table>', part, re.S)[1]
        shown = [[int(cell) for cell in cells(line)[1:]] for line in re.findall(r"<tr>.*?</tr>", matrix, re.S)[1:]]
        assert shown == expected
        for digit, line in enumerate(shown):
            assert " ".join(map(str, [digit, *line])) in text
        right = sum(shown[i][i] for i in range(10))
        assert right == round(run["about"]["test_accuracy"] * 1000)
        assert f"{right} of 1,000 test digits right, {right / 10:.2f} %, as run.json says." in part
        mistakes = re.findall(r'alt="a (\d)"><b>\1</b>, not (\d)<br>([>\d.]+) %<br><span class="quiet">no. (\d+)', part)
        assert len(mistakes) == 20
        wrong = {int(i): float(answers[i].max()) for i in np.flatnonzero(chosen != y)}
        assert all((y[int(i)], chosen[int(i)]) == (int(a), int(b)) for a, b, _, i in mistakes)
        least = min(wrong[int(i)] for *_, i in mistakes)
        assert sum(value > least + 1e-6 for value in wrong.values()) < 20
        assert all(f"{m[0]}, not {m[1]} {m[2]} % no. {m[3]}" in text for m in mistakes)


def _sample():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_DIR", str(mnist.SAMPLE))
        return mnist.load_data(validation_size=0)


def test_runs_of_one_network_share_its_architecture(whole):
    page, text, ordered = whole
    both = [number for number, run in enumerate(ordered, 1) if run["about"]["network"] == "mlp3"]
    sections = re.findall(r'<section id="architecture-\d".*?</section>', page, re.S)
    assert len(sections) == 3  # linear and ReLU are two
    [mlp3] = [part for part in sections if ": mlp3<" in part]
    assert "Used in runs {}, {}.".format(*both) in " ".join(re.sub(r"<[^>]*>", "", mlp3).split())
    assert f"109,386 parameters. Used in runs {both[0]}, {both[1]}." in text
    assert cells(mlp3)[6:] == [
        "input_layer", "InputLayer", "784", "", "0", "",
        "dense_1", "Dense", "128", "units 128, activation relu", "100,480", "input_layer",
        "dense_2", "Dense", "64", "units 64, activation relu", "8,256", "dense_1",
        "dense_3", "Dense", "10", "units 10, activation softmax", "650", "dense_2"]
    assert sum("activation linear" in part for part in sections) == 1
    for part in sections:
        drawn = re.search(r"<svg.*</svg>", part, re.S)[0]
        assert [text for text in re.findall(r">([^<>]*)</text>", drawn)][0::2] == cells(part)[7::6]


def test_the_page_is_sound_asks_for_nothing_and_names_no_place(whole, trained):
    page, text, _ = whole
    assert not re.search(r'(?:src|href)="(?!data:|#)', page.replace('xlink:href="#', ""))
    assert "url(http" not in page and "@import" not in page and "<script" not in page
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert all(f'id="{name}"' in page for name in re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', page)
               for name in name if name)
    words = re.sub(r"base64,[^\"]*", "", page) + text
    assert not any(str(place) in words for place in (Path.home(), mnist.DATA, trained))
    assert not re.search(rf"\b{re.escape(os.uname().nodename)}\b", words)
    open_tags = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "link", "br", "img", "wbr"):
                open_tags.append(tag)

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

    Checker().feed(page)
    assert open_tags == []


# Broken runs

def truncate(name, size):
    def change(folder):
        (folder / name).write_bytes((folder / name).read_bytes()[:size])
    return change


def put(name, text):
    return lambda folder: (folder / name).write_text(text)


def edit(**values):
    def change(folder):
        (folder / "run.json").write_text(json.dumps(json.loads((folder / "run.json").read_text()) | values))
    return change


def repack(name, old, new):
    """Return a function that replaces text in a part of model.keras."""
    def change(folder):
        with zipfile.ZipFile(folder / "model.keras") as file:
            parts = {part: file.read(part) for part in file.namelist()}
        assert old in parts[name]
        with zipfile.ZipFile(folder / "model.keras", "w") as file:
            for part, content in parts.items():
                file.writestr(part, content.replace(old, new) if part == name else content)
    return change


def later_version(folder):
    repack("metadata.json", b'"keras_version": "3.', b'"keras_version": "9.')(folder)
    repack("config.json", b'"class_name": "Dense"', b'"class_name": "DenserThanEver"')(folder)


BROKEN = {
    "no run.json": (lambda folder: (folder / "run.json").unlink(), "run.json is missing"),
    "no history": (lambda folder: (folder / "history.csv").unlink(), "history.csv is missing"),
    "half a run.json": (truncate("run.json", 200), "run.json is no JSON"),
    "a list": (put("run.json", "[1, 2]"), "run.json holds no JSON object"),
    "no text": (lambda folder: (folder / "run.json").write_bytes(b"\xff\xfe\x00"), "run.json is no text in UTF-8"),
    "epochs in words": (edit(epochs="ten"), 'run.json has "ten" as epochs, which has to be a whole number'),
    "epochs true": (edit(epochs=True), "has to be a whole number"),
    "a list of networks": (edit(network=["mlp3"]), "as network, which has to be a text"),
    "per cent": (edit(test_accuracy=98.2), "98.2 as test_accuracy, which has to be a number from 0 to 1"),
    "no number": (edit(test_accuracy=float("nan")), "NaN as test_accuracy"),
    "an empty history": (put("history.csv", ""), "history.csv is empty"),
    "no names": (put("history.csv", "1,0.3,0.9\n"), "its first line has to name the columns"),
    "one name twice": (put("history.csv", "epoch,loss,loss\n1,2,3\n"), "none of them twice"),
    "cut within a line": (truncate("history.csv", -30), "history.csv breaks off in its last line"),
    "a line too short": (put("history.csv", "epoch,loss,accuracy\n1,0.5,0.9\n2,0.4\n"),
                         "2 values in line 3 and 3 names"),
    "a word": (put("history.csv", "epoch,loss\n1,low\n"), "'low' as loss in line 2, which is no number"),
    "accuracy in per cent": (put("history.csv", "epoch,accuracy\n1,98.1\n"), "an accuracy is a number from 0 to 1"),
    "epochs backwards": (put("history.csv", "epoch,loss\n2,0.5\n1,0.4\n"), "counted upwards by whole numbers"),
    "no epoch": (put("history.csv", "epoch,loss\n,0.5\n"), "counted upwards by whole numbers"),
    "a line lost": (lambda folder: put("history.csv", "epoch,loss\n1,0.5\n")(folder),
                    "1 epoch, but according to run.json 3 have ended"),
}
BROKEN_MODELS = {
    "half a model": (truncate("model.keras", 20_000), "it is truncated, or no zip archive"),
    "no model": (put("model.keras", "<html>404</html>"),
                 "model.keras, a file of another kind, cannot be read by Keras"),
    "another version": (later_version, "model.keras, a file of Keras 9."),
}


def the_one_of_three_epochs(runs):
    return next(folder for folder in runs.iterdir() if json.loads((folder / "run.json").read_text())["epochs"] == 3)


QUICK = "no run.json", "half a run.json", "cut within a line", "half a model"


@pytest.mark.parametrize("case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow)
                                  for case in BROKEN])
def test_a_broken_run_is_named_and_the_others_are_reported(case, runs, capsys, monkeypatch):
    change, message = BROKEN[case]
    broken = the_one_of_three_epochs(runs)
    for other in runs.iterdir():  # one other will do
        if other != broken and "relu" not in other.name:
            shutil.rmtree(other)
    change(broken)
    assert main(["runs/*"]) == 1
    printed = capsys.readouterr()
    [reason] = printed.err.splitlines()
    assert reason.startswith(f"runs/{broken.name} was skipped: runs/{broken.name}/") and message in reason
    assert printed.out == "1 run in report.html and report.pdf\n"
    page = Path("report.html").read_text()
    assert "mlp2layers-relu" in page and "mlp3" not in page and "mlp2layers-relu" in text_of("report.pdf")


@pytest.mark.parametrize("case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow)
                                  for case in BROKEN_MODELS])
def test_a_run_whose_model_cannot_be_read_stays_and_says_so(case, runs, capsys):
    change, message = BROKEN_MODELS[case]
    broken = the_one_of_three_epochs(runs)
    change(broken)
    assert main(["runs/*"]) == 1
    printed = capsys.readouterr()
    [reason] = printed.err.splitlines()
    assert reason.startswith(f"In the report of runs/{broken.name}: The layers and the confusion matrix are missing: ")
    assert message in reason and printed.out == "4 runs in report.html and report.pdf\n"
    page = Path("report.html").read_text()
    part = section(page, {"folder": broken.name})
    assert message in unescape(part) and len(re.findall("<svg", part)) == 3 and '<table class="matrix">' not in part
    assert page.count('<table class="matrix">') == 3 and message in text_of("report.pdf")


def test_what_is_no_folder_is_named_and_without_any_run_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("note.txt").write_text("no run")
    Path("empty").mkdir()
    assert main(["note.txt", "empty", "nowhere/*"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "note.txt was skipped: note.txt is no folder, so it holds no run.",
        "empty was skipped: empty/run.json is missing. A run is a folder with run.json and history.csv.",
        "nowhere/* was skipped: nowhere/* is missing, so it holds no run.",
        "No run is left, so no report was written."]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "note.txt"]


def test_a_report_that_cannot_be_written_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    plain_run(tmp_path / "run", {}, "epoch,loss", "1,0.5")
    Path("file").write_text("")
    with pytest.raises(mnist.DataError, match="file/report.html cannot be written"):
        main(["run", "-o", "file/report"])
    assert main(["run", "run/", "-o", "new/mine.html"]) == 0  # the same folder by two names is one run
    assert capsys.readouterr().out == "1 run in new/mine.html and new/mine.pdf\n"
    assert sorted(path.name for path in Path("new").iterdir()) == ["mine.html", "mine.pdf"]


# Runs from elsewhere

def test_a_run_without_keras_has_what_it_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain_run(tmp_path / "mine", {"network": "forest", "dataset": "digits", "trees": [3, 5], "note": None},
              "epoch,accuracy,val_accuracy", "0,0.5,0.4", "1,0.75,", "2,0.875,0.8")
    plain_run(tmp_path / "bare", {}, "epoch,loss,val_loss,lr", "5,nan,inf,0", "6,inf,nan,0")
    plain_run(tmp_path / "stopped", {"network": "early", "finished": False, "epochs": 4}, "epoch,loss")
    assert main(["mine", "bare", "stopped"]) == 0
    page, text = Path("report.html").read_text(), text_of("report.pdf")
    lines = re.findall(r"<tr>.*?</tr>", re.search(r'<table class="summary">.*?</table>', page, re.S)[0], re.S)[1:]
    assert [cells(line) for line in lines] == [
        ["1", "bare", "–", "2", "–", "–", "–", "–", "–"],
        ["2", "forest", "–", "3", "–", "–", "87.50 %", "80.00 %", "–"],
        ["3", "early", "–", "0 of 4", "–", "–", "–", "–", "–"]]
    labels = re.findall('aria-label="([^"]*)"', page)
    assert labels == ["Learning rate, epochs 5 to 6: from 0 to 0.",
                      "Accuracy, epochs 1 to 3: training from 50.00 % to 87.50 %, validation from 40.00 % to 80.00 %."]
    for shown in page, text:
        assert "it ended after 0 of 4 epochs" in shown and "3 × 5" in shown
        assert not re.search("Confusion|Architecture|architecture|On the test digits", shown)


def test_every_setting_of_an_optimizer_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from extras.zoo.training import keras, settings
    decay = keras.optimizers.schedules.CosineDecay(0.1, 53, warmup_steps=5)
    built = {"default": keras.optimizers.RMSprop(), "schedule": keras.optimizers.SGD(decay, nesterov=True)}
    optimizers = {name: settings(keras.optimizers.serialize(optimizer)) for name, optimizer in built.items()}
    optimizers |= {"unknown": {"name": "Sofia", "ema_momentum": 0.99, "clipnorm": None}, "text": "RMSprop"}
    for name, optimizer in optimizers.items():
        plain_run(tmp_path / name, {"optimizer": optimizer, "platform": {"keras": "3"}}, "epoch,loss", "1,0.5")
    monkeypatch.setitem(sys.modules, "extras.zoo.training", None)  # as where Keras cannot be imported
    shown = shown_of_optimizers(optimizers)
    assert shown["text"] == ["optimizer", "RMSprop"]
    assert shown["unknown"] == ["optimizer", "Sofia", "Sofia ema momentum", "0.99", "Sofia clipnorm", "none"]
    defaults = dict(zip(shown["default"][0::2], shown["default"][1::2]))
    assert defaults == {"optimizer": "RMSprop", **{f"RMSprop {name}": value for name, value in {
        "learning rate": "0.001", "weight decay": "none", "clipnorm": "none", "global clipnorm": "none",
        "clipvalue": "none", "use ema": "no", "ema momentum": "0.99", "ema overwrite frequency": "none",
        "loss scale factor": "none", "gradient accumulation steps": "none", "rho": "0.9", "momentum": "0",
        "epsilon": "1e-07", "centered": "no"}.items()}}
    schedule = " ".join(shown["schedule"])
    for expected in ("SGD learning rate CosineDecay", "CosineDecay initial learning rate 0.1",
                     "CosineDecay decay steps 53", "CosineDecay warmup target none", "SGD nesterov yes"):
        assert expected in schedule


def shown_of_optimizers(folders):
    """Return the labels and texts on the optimizer of each run, that the page and the PDF of these runs agree on."""
    assert main([*folders]) == 0
    page, text, shown = Path("report.html").read_text(), text_of("report.pdf"), {}
    for folder in folders:
        facts = cells(section(page, {"folder": folder}))
        shown[folder] = facts[:facts.index("training loss, last epoch")]
        assert " ".join(["Training", *shown[folder], "training loss, last epoch"]) in text
    return shown


def keras_run(folder, model, **about):
    model.save(plain_run(folder, about, "epoch,loss", "0,0.5") / "model.keras")


def test_any_keras_model_works_with_the_parts_it_lacks_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNIST_DIR", str(mnist.SAMPLE))
    from extras.zoo.training import keras
    layers, data = keras.layers, {"dataset": {"name": "sample", "test": 1000}}
    inputs = keras.Input((28, 28, 1), name="picture")
    left = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    right = layers.Conv2D(4, 5, padding="same", activation=keras.activations.gelu, name="wide")(inputs)
    joined = layers.Add()([layers.Concatenate()([left, right]), layers.Conv2D(8, 1)(inputs)]) * 2.0
    pooled = layers.GlobalAveragePooling2D()(layers.Activation("relu")(joined))
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(10)], name="head")
    keras_run(tmp_path / "branching", keras.Model(inputs, inner(pooled)), network="branching", **data)
    keras_run(tmp_path / "other input", keras.Sequential([keras.Input((5,)), layers.Dense(10)]), **data)
    two = [keras.Input((784,)), keras.Input((3,))]
    keras_run(tmp_path / "two inputs", keras.Model(two, layers.Dense(10)(layers.Concatenate()(two))), **data)
    image = keras.Sequential([keras.Input((28, 28)), layers.Flatten(), layers.Dense(10, kernel_regularizer="l2")])
    keras_run(tmp_path / "other data", image, dataset={"name": "MNIST", "test": 10_000})
    keras_run(tmp_path / "other scale", image, test_accuracy=0.98, **data)
    keras_run(tmp_path / "unnamed data", image)
    names = ["branching", "other input", "two inputs", "other data", "other scale", "unnamed data"]
    assert main(names) == 0
    page = Path("report.html").read_text()
    parts = {name: unescape(section(page, {"folder": name})) for name in names}
    assert "test digits right" in parts["branching"] and "by the model as it was saved last" in parts["branching"]
    for name in "other input", "two inputs":
        assert "does not lead from the 784 values of an image to ten classes" in parts[name]
    assert "the run's data are MNIST, 10,000 test digits, but those found here are sample, 1,000" in parts["other data"]
    assert "run.json says 98.00 %" in parts["other scale"] and "unknown data" in parts["unnamed data"]
    assert page.count('<table class="matrix">') == 1
    [branching] = [part for part in re.findall(r'<section id="architecture-\d".*?</section>', page, re.S)
                   if ": branching<" in part]
    table = [cells(line) for line in re.findall("<tr>.*?</tr>", branching, re.S)][1:]
    inbound = {line[0]: line[5] for line in table}
    assert inbound["picture"] == "" and inbound["wide"] == "picture"
    assert inbound["concatenate"] == "conv2d_1, wide" and inbound["add"] == "concatenate, conv2d_3"
    assert inbound["head"] == "global_average_pooling2d"
    assert [line for line in table if line[0] == "head"][0][1:5] == ["Sequential", "10", "1 layer", "90"]
    assert [line for line in table if line[0] == "head/dense"] == [
        ["head/dense", "Dense", "10", "units 10, activation linear", "90", "head"]]
    assert "activation gelu" in [line for line in table if line[0] == "wide"][0][3]
    assert re.search(r"kernel regularizer L2", page)


def test_what_runs_are_called_is_text_in_both(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = '<script>alert("1")</script> #pagebreak() $x$ *bold* {{ 7 * 7 }} \\ <run-1> &amp;'
    plain_run(tmp_path / "#strong[a]&<b>", {"network": name, "optimizer": {"name": name, name: [name]}, "loss": name},
              "epoch,loss,<i>", "1,0.5,2")
    assert main(["#strong[a]&<b>"]) == 0
    page, text = Path("report.html").read_text(), text_of("report.pdf")
    assert "<script" not in page and page.count("&lt;script&gt;") >= 5 and unescape(page).count(name) >= 4
    assert len(pypdf.PdfReader("report.pdf").pages) == 2
    letters = re.sub(r"\s", "", text)
    assert letters.count(re.sub(r"\s", "", name)) >= 2 and "#strong[a]&<b>" in letters
    assert "<code>#strong[a]&amp;&lt;b&gt;</code>" in page and "&lt;i&gt;, last epoch" in page


def test_the_drawing_leads_around_layers():
    names = "abcdef"
    layers = [{"name": name, "inbound": inbound} for name, inbound in
              zip(names, [[], ["a"], ["b"], ["c"], ["d", "a"], ["e", "b"]])]
    (width, height), boxes, arrows = layout(layers)
    rows = [y for _, y in boxes]
    assert np.diff(rows).max() < -HEIGHT and len(arrows) == 7
    for arrow in arrows:
        [curve] = matplotlib.path.Path(arrow, [1] + [4] * (len(arrow) - 1)).to_polygons(closed_only=False)
        assert (curve >= 0).all() and (curve <= (width, height)).all()
        assert not any((abs(curve - box) < (WIDTH / 2 - 1, HEIGHT / 2 - 1)).all(axis=1).any() for box in boxes)
    chain = [{"name": f"%{i}", "inbound": [f"%{i - 1}"] if i else []} for i in range(12)]
    _, boxes, arrows = layout(chain)
    assert len({x for x, _ in boxes}) == 1 and len(arrows) == 11
