"""Runs of other programs and people: the report reads what is right, and no run takes the others with it."""
import io
import json
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pypdf
import pytest
from test_report import cells, keras_run, plain_run, section, text_of

import mnist
from compare.scripts import ROOT
from extras.zoo.report import fonts
from extras.zoo.report.__main__ import main, names
from extras.zoo.report.document import breakable
from extras.zoo.report.graph import HEIGHT, LONGEST, cuts
from extras.zoo.report.reading import RunError, read_run

LINES = "epoch,loss,accuracy", "1,0.5,0.75", "2,0.25,0.875"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNIST_DIR", str(mnist.SAMPLE))
    return tmp_path


# Files that are right

@pytest.mark.parametrize("change", ["a byte-order mark", "no last newline", "carriage returns", "an empty last line",
                                    "blanks"])
def test_what_other_programs_write_is_read(change, folder):
    text = "".join(f"{line}\n" for line in LINES)
    about = json.dumps({"network": "other"}).encode()
    written = {"a byte-order mark": b"\xef\xbb\xbf" + text.encode(), "no last newline": text[:-1].encode(),
               "carriage returns": text.replace("\n", "\r\n").encode(), "an empty last line": f"{text}\n".encode(),
               "blanks": text.replace(",", ", ").encode()}[change]
    plain_run(folder / "run", {})
    (folder / "run" / "run.json").write_bytes(b"\xef\xbb\xbf" + about if change == "a byte-order mark" else about)
    (folder / "run" / "history.csv").write_bytes(written)
    run = read_run("run")
    assert run["about"] == {"network": "other"}
    assert run["history"] == [{"epoch": 1, "loss": 0.5, "accuracy": 0.75},
                              {"epoch": 2, "loss": 0.25, "accuracy": 0.875}]


def test_of_a_cell_that_is_no_number_the_message_has_the_begin(folder):
    plain_run(folder / "run", {}, "epoch,loss", f"1,{'x' * 140_000}")
    with pytest.raises(RunError, match="has 'x{59}…' as loss in line 2, which is no number"):
        read_run("run")
    plain_run(folder / "long", {}, "epoch,loss", f"1,0.{'5' * 140_000}")
    assert read_run("long")["history"] == [{"epoch": 1, "loss": 5 / 9}]
    plain_run(folder / "time", {"training_time": 10 ** 400}, *LINES)
    with pytest.raises(RunError, match="has 10{58}… as training_time, which has to be a number of seconds"):
        read_run("time")


def test_a_folder_whose_name_is_too_long_is_missing(capsys):
    assert main(["x" * 5000]) == 1
    assert capsys.readouterr().err == (f"{'x' * 199}… was skipped: {'x' * 199}… is missing, so it holds no run.\n"
                                       "No run is left, so no report was written.\n")


# Where the report goes

def test_a_name_that_is_a_folder_means_a_report_in_it(folder):
    Path("there.html").mkdir()
    Path("there").mkdir()
    for output, expected in {"new/": "new/report", "there": "there/report", "there.html": "there.html/report",
                             ".": "report", "mine": "mine", "mine.html": "mine", "new/mine.pdf": "new/mine"}.items():
        assert names(output) == (Path(f"{expected}.html"), Path(f"{expected}.pdf"))
    plain_run(folder / "run", {}, *LINES)
    assert main(["run", "-o", "reports/"]) == 0
    assert sorted(path.name for path in Path("reports").iterdir()) == ["report.html", "report.pdf"]


# Runs that cannot be shown whole

def faults(capsys):
    """Return what main() said about each run: {folder: [sentence, ...]}."""
    said = {}
    for line in capsys.readouterr().err.splitlines():
        if found := re.fullmatch(r"In the report of ([^:]*): (.*)", line):
            said.setdefault(found[1], []).append(found[2])
    return said


def test_values_that_cannot_be_drawn_get_a_remark(folder):
    plain_run(folder / "huge", {}, "epoch,loss,val_loss,lr", "1,1e308,-1e308,1e308", "2,-1e308,1e308,1e308")
    plain_run(folder / "nan", {}, "epoch,loss,val_loss,accuracy", "1,0.5,0.5,0.5", "2,0.4,nan,nan", "3,nan,inf,nan")
    plain_run(folder / "far", {}, "epoch,loss", "1,0.5", f"{10 ** 300},0.25")
    plain_run(folder / "good", {}, *LINES)
    assert main(["huge", "nan", "far", "good"]) == 0
    page, text = Path("report.html").read_text(), text_of("report.pdf")
    for sentence in ("The training loss became NaN in epoch 3.", "The validation loss became NaN in epoch 2.",
                     "The training accuracy became NaN in epoch 2.", "The learning rate became too large to be drawn",
                     "The training loss became too large to be drawn in epoch 1."):
        assert sentence in page and sentence in text
    assert page.count('class="remark"') == 6
    drawn = [len(re.findall("<svg", section(page, {"folder": name}))) for name in ("huge", "nan", "far", "good")]
    assert drawn == [0, 2, 1, 2]


def test_a_run_whose_model_cannot_be_used_is_reported_without_it(folder, capsys):
    from extras.zoo.training import keras

    class Own(keras.layers.Layer):
        def call(self, x):
            return x

    layers = keras.layers
    keras_run(folder / "unbuilt", keras.Sequential([layers.Dense(10)]), parameters=5)
    keras_run(folder / "own", keras.Sequential([keras.Input((784,)), Own(), layers.Dense(10)]))
    keras_run(folder / "lambda", keras.Sequential([keras.Input((784,)), layers.Lambda(lambda x: 2 * x)]))
    (plain_run(folder / "a folder", {}, *LINES) / "model.keras").mkdir()
    keras_run(folder / "good", keras.Sequential([keras.Input((784,)), layers.Dense(10)]))
    runs = ["unbuilt", "own", "lambda", "a folder", "good"]
    assert main(runs) == 1
    said, page, text = faults(capsys), Path("report.html").read_text(), text_of("report.pdf")
    assert set(said) == set(runs[:-1])
    reasons = {"unbuilt": "the model was saved before it was built", "own": "locate class 'Own'",
               "lambda": "`Lambda` layer whose `function` is a Python lambda", "a folder": "model.keras"}
    for name, reason in reasons.items():
        [sentence] = said[name]
        assert sentence.startswith("The layers and the confusion matrix are missing: model.keras")
        assert reason in sentence
        assert sentence in unescape(section(page, {"folder": name})) and sentence in text
        assert "<svg" in section(page, {"folder": name}) and str(folder) not in sentence
    assert page.count('<section id="architecture-') == 1


def test_whatever_fails_within_a_run_the_others_are_reported(folder, capsys, monkeypatch):
    for name in "bad", "good":
        plain_run(folder / name, {"network": name}, *LINES)
    from extras.zoo.report import document

    def failing(name):
        function = getattr(document, name)

        def new(run, *arguments):
            if run["folder"] == "bad":
                raise ValueError(f"{name} \ud800\n fails")
            return function(run, *arguments)
        return new

    for name in "summary", "remarks", "curves", "facts":
        monkeypatch.setattr(document, name, failing(name))
    assert main(["bad", "good"]) == 1
    assert [sentence.split(" missing")[0] for sentence in faults(capsys)["bad"]] == [
        "The values in the table of all runs are", "The remarks are", "The curves are", "The settings are"]
    page = Path("report.html").read_text()
    assert "The curves are missing: ValueError: curves \ufffd fails." in section(page, {"folder": "bad"})
    assert "0.25" in section(page, {"folder": "good"}) and len(pypdf.PdfReader("report.pdf").pages) == 3


def test_characters_that_no_document_can_hold_are_replaced(folder):
    plain_run(folder / "run", {"network": "a\ud800b\u0001c\u0000d", "\udfff": ["\u001b[31m"]}, *LINES)
    assert main(["run"]) == 0
    assert "a\ufffdb\ufffdc\ufffdd" in Path("report.html").read_text() and "a\ufffdb" in text_of("report.pdf")


def test_without_a_pdf_there_is_still_the_page(folder, capsys, monkeypatch):
    from extras.zoo.report import __main__ as program
    plain_run(folder / "run", {}, *LINES)
    monkeypatch.setattr(program, "pdf", lambda content: program.typst.compile(b"#panic()"))
    assert main(["run"]) == 1
    assert "report.pdf was not written, since Typst fails: " in capsys.readouterr().err
    assert Path("report.html").exists() and not Path("report.pdf").exists()


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_a_terminal_only(terminal, folder, monkeypatch):
    for name in "a", "b":
        plain_run(folder / name, {}, *LINES)
    errors = io.StringIO()
    errors.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", errors)
    assert main(["a", "b"]) == 0
    assert ("| 0/2 [" in errors.getvalue()) == terminal and (terminal or not errors.getvalue())


# What a run is called

def test_runs_in_folders_of_the_same_name_are_told_apart(folder):
    for name in "a/run", "b/run", "b/deep/x", "c/deep/x", "alone":
        plain_run(folder / name, {}, *LINES)
    assert main(["a/run", "b/run", "b/deep/x", "c/deep/x", "alone"]) == 0
    page, text = Path("report.html").read_text(), text_of("report.pdf")
    shown = ["a/run", "alone", "b/deep/x", "b/run", "c/deep/x"]
    assert re.findall(r"From the folder <code>(.*?)</code>", page) == shown
    assert all(f"From the folder {name}." in text for name in shown)


def test_long_words_stay_within_their_columns(folder):
    word = "W" * 300
    plain_run(folder / ("f" * 200), {"network": word, "optimizer": {"name": word, word: word}, "batch_size": word,
                                     word: [word, word]}, *LINES)
    assert main(["f" * 200]) == 0
    pages = pypdf.PdfReader("report.pdf").pages
    lines = [line for page in pages for line in page.extract_text().splitlines()]
    assert max(map(len, lines)) < 130 and sum(line.count("W") for line in lines) > 1000
    assert max(len(word) for word in cells(Path("report.html").read_text().replace("<wbr>", " "))[10].split()) == 20
    assert str(breakable("conv5_block10_1_conv, a/b")) == "conv5_block10_1_conv, a/b"
    assert str(breakable("<b>_convolution_block1_out 0.25")) == "&lt;b&gt;_<wbr>convolution_<wbr>block1_<wbr>out 0.25"


def test_a_character_without_a_font_is_a_number_in_the_pdf(folder, monkeypatch):
    plain_run(folder / "run", {"network": "é Ж 中文 \U0001f680"}, *LINES)
    monkeypatch.setattr(fonts, "machine_fonts", lambda: [])
    assert main(["run"]) == 0
    page, text = Path("report.html").read_text(), text_of("report.pdf")
    assert "é Ж 中文 \U0001f680" in page and "U+4E2D" not in page
    assert "é Ж [U+4E2D][U+6587] [U+1F680]" in text and "Unicode character for which this machine has no font" in text
    monkeypatch.setattr(fonts, "without_a_font", lambda text: set())  # as where a font has them all
    assert main(["run"]) == 0
    assert "U+4E2D" not in text_of("report.pdf") and "no font" not in text_of("report.pdf")


def test_the_fonts_of_the_machine_are_looked_at():
    assert fonts.without_a_font("é Ж → × – …") == set()
    assert {ord(letter) for letter in fonts.without_a_font("\U0010fffd")} <= {0x10fffd}
    assert any(path.endswith(".ttf") for path in fonts.machine_fonts()) or fonts.machine_fonts() == []


# Networks of every kind

def test_wrappers_and_nested_models_are_shown_in_plain_words(folder):
    from extras.zoo.training import keras
    layers, inputs = keras.layers, keras.Input((28, 28), name="rows")
    deep = keras.Sequential([keras.Input((8,)), layers.Dense(8)], name="deep")
    inner = keras.Sequential([keras.Input((16,)), layers.Dense(8, "relu"), deep], name="inner")
    both = layers.Bidirectional(layers.LSTM(8, return_state=True), name="both")(inputs)
    cells_ = layers.RNN([layers.LSTMCell(4), layers.GRUCell(8)], name="cells")(inputs)
    each = layers.TimeDistributed(layers.Dense(4, kernel_regularizer="l2"), name="each")(inputs)
    joined = layers.Concatenate(name="joined")([inner(both[0]), cells_, layers.Flatten(name="flat")(each)])
    keras_run(folder / "run", keras.Model(inputs, layers.Dense(10, name="last")(joined)))
    assert main(["run"]) == 0
    page = Path("report.html").read_text()
    table = {line[0]: line[1:] for line in map(cells, re.findall("<tr>.*?</tr>", page, re.S)) if len(line) == 6}
    assert list(table)[:1] == ["layer"]
    assert {"inner", "inner/dense", "inner/deep", "inner/deep/dense"} < set(table)
    assert table["inner"][2] == "2 layers" and table["inner/dense"][4] == "inner"
    assert table["inner/deep"][4] == "inner/dense" and table["inner/deep/dense"][4] == "inner/deep"
    assert table["both"][2] == "layer LSTM (return state yes, units 8, activation tanh)"
    assert table["both"][1] == "16; 8; 8; 8; 8"
    assert table["each"][2] == "layer Dense (units 4, activation linear, kernel regularizer L2 (l2 0.01))"
    assert table["cells"][2] == "cell StackedRNNCells (cells LSTMCell (units 4, activation tanh), " \
                                "GRUCell (units 8, activation tanh))"
    assert "DTypePolicy" not in page and "keras.initializers" not in page
    assert page.count(">Sequential</text>") == 1  # the drawing has the outer layers only


def test_two_runs_of_a_network_with_a_nested_model_share_its_architecture(folder):
    from extras.zoo.training import keras
    for name in "first", "second":  # Keras counts the names of the layers on
        inner = keras.Sequential([keras.Input((784,)), keras.layers.Dense(8)], name="inner")
        keras_run(folder / name, keras.Sequential([keras.Input((784,)), inner, keras.layers.Dense(10)]))
    assert main(["first", "second"]) == 0
    assert Path("report.html").read_text().count('<section id="architecture-') == 1


def residual(blocks):
    """Return a residual network named as those of keras.applications."""
    from extras.zoo.training import keras
    layers, x = keras.layers, keras.Input((8, 8, 1), name="image")
    inputs = x
    for block in range(1, blocks + 1):
        y = layers.Conv2D(1, 1, name=f"conv5_block{block}_1_conv")(x)
        y = layers.BatchNormalization(name=f"conv5_block{block}_1_bn")(y)
        x = layers.Add(name=f"conv5_block{block}_add")([x, y])
    return keras.Model(inputs, x)


def test_a_long_network_has_its_drawing_in_parts_and_its_table_in_lines(folder):
    keras_run(folder / "run", residual(20))
    assert main(["run"]) == 0
    page = Path("report.html").read_text()
    [part] = re.findall(r'<section id="architecture-1".*?</section>', page, re.S)
    drawings = re.findall(r'<svg[^>]*height="([\d.]+)pt".*?</svg>', part, re.S)
    assert len(drawings) > 2 and all(float(height) <= LONGEST for height in drawings)
    texts = re.findall(r">([^<>]*)</text>", part)
    assert texts[0::2] == [cells(line)[1] for line in re.findall("<tr>.*?</tr>", part, re.S)[1:]]
    assert f"In {len(drawings)} parts" in part and f"In {len(drawings)} parts" in text_of("report.pdf")
    lines = [line for page in pypdf.PdfReader("report.pdf").pages for line in page.extract_text().splitlines()]
    assert sum("conv5_block" in line and "Conv2D" in line for line in lines) == 20  # in one line, unlike before


def test_a_drawing_is_cut_between_its_rows():
    for rows in 1, 14, 15, 40, 333:
        boxes = [(x, 20 + 42 * row) for row in range(rows) for x in (0, 100)]
        parts = cuts(boxes, 20 + 42 * rows)
        assert all(top - bottom <= LONGEST for bottom, top in parts) and (len(parts) == 1) == (rows < 15)
        assert [bottom for bottom, _ in parts[:-1]] == [top for _, top in parts[1:]]
        for _, y in boxes:
            assert sum(bottom <= y - HEIGHT / 2 and y + HEIGHT / 2 <= top for bottom, top in parts) == 1
        if len(parts) > 1:
            assert np.ptp([top - bottom for bottom, top in parts]) < 4 * HEIGHT + 50


def test_a_network_of_too_many_layers_has_a_sentence_for_a_drawing(folder, monkeypatch):
    from extras.zoo.report import document
    monkeypatch.setattr(document, "MOST", 5)
    keras_run(folder / "run", residual(2))
    assert main(["run"]) == 0
    assert "nobody could read one of 7 layers" in Path("report.html").read_text()
    assert "nobody could read one of 7 layers" in text_of("report.pdf")


# What the user has set

@pytest.mark.parametrize("setting", ["MPLBACKEND", "MATPLOTLIBRC"])
def test_settings_of_matplotlib_do_not_change_the_report(setting, folder):
    plain_run(folder / "run", {}, *LINES)
    Path("rc").write_text("text.usetex: True\nfigure.facecolor: black\ntext.color: white\naxes.facecolor: black\n"
                          "lines.color: red\nsavefig.bbox: tight\n")
    pages = []
    for value in {"MPLBACKEND": ["agg", "nonsense", "module://nowhere.backend"], "MATPLOTLIBRC": ["", "rc"]}[setting]:
        process = subprocess.run([sys.executable, "-m", "extras.zoo.report", "run"], text=True, capture_output=True,
                                 env={**os.environ, "PYTHONPATH": str(ROOT), setting: value})
        assert process.returncode == 0, process.stderr
        pages.append(re.sub(r"Made on\n\S+ \S+", "", Path("report.html").read_text()))
    assert set(pages) == {pages[0]} and "<svg" in pages[0]
