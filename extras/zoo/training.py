"""Trains a Keras model on the digits and leaves a folder about it, from which extras.zoo.report makes pages."""
import argparse
import csv
import hashlib
import io
import json
import os
import sys
from datetime import datetime
from math import ceil
from pathlib import Path
from time import perf_counter

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before the import: fewer of TensorFlow's messages on stderr
import keras

import mnist
from compare import atomic, machine

RUNS = Path("runs")  # in the current folder
MODEL = "model.keras"  # in the folder of a run
COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds", "images_per_second"]


class Record(keras.callbacks.Callback):
    """Prints a line for each epoch and keeps the folder of a run whole, so that it can be read whenever it ends.

    Args:
        folder: where model.keras, history.csv and run.json are written, after every epoch anew.
        about: what run.json holds, a dict; epochs_ended and training_time change as the run goes on.
        images: how many digits an epoch has.
    """

    def __init__(self, folder, about, images):
        super().__init__()
        self.folder, self.about, self.images, self.history = folder, about, images, []

    def save(self):
        """Write model.keras, history.csv and run.json; each of them appears under its name when it is whole."""
        with atomic.replacing(self.folder / MODEL) as temporary:
            self.model.save(temporary)
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.history)
        atomic.write(self.folder / "history.csv", text.getvalue())
        atomic.write(self.folder / "run.json", json.dumps(self.about, indent=1))  # last: it counts the epochs above

    def on_train_begin(self, logs=None):
        self.begin = perf_counter()
        self.save()

    def on_epoch_begin(self, epoch, logs=None):
        self.start = perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        seconds = perf_counter() - self.start
        row = {name: value for name, value in logs.items() if name in COLUMNS}
        row |= {"learning_rate": self.model.optimizer.learning_rate, "seconds": seconds,
                "images_per_second": self.images / seconds}
        row = {"epoch": epoch + 1} | {name: rounded(value) for name, value in row.items()}
        self.history.append(row)
        self.about |= {"epochs_ended": epoch + 1, "training_time": rounded(perf_counter() - self.begin)}
        self.save()
        valid = f"  validation accuracy {row['val_accuracy']:.2%}" if "val_accuracy" in row else ""
        print(f"epoch {epoch + 1:2}  training accuracy {row['accuracy']:.2%}{valid}  {row['seconds']:.2f} s"
              f"  {row['images_per_second']:,.0f} images per s", flush=True)


def rounded(value):
    """Return a number, or an array of one, as a float of six digits: what float32 is good for."""
    return float(f"{float(value):.6g}")


def settings(value):
    """Return what Keras serialised (optimizer, schedule) as plain dicts with a name, its floats rounded."""
    if isinstance(value, dict) and "class_name" in value:
        value = {"name": value["class_name"], **{k: v for k, v in value["config"].items() if k != "name"}}
    if isinstance(value, dict):
        return {name: settings(each) for name, each in value.items()}
    return rounded(value) if isinstance(value, float) else value


def new_folder(network):
    """Return a new folder in runs/, named after the network and the time."""
    name = f"{network}-{datetime.now():%Y-%m-%d-%H-%M-%S}"
    for number in range(2, 100):
        try:
            (RUNS / name).mkdir(parents=True)
            break
        except FileExistsError:  # another run began in the same second
            name = f"{name[:len(network) + 20]}-{number}"
        except OSError as error:
            raise atomic.not_writable(RUNS / name, error) from None
    return RUNS / name


def dataset_name(x_test):
    """Return "MNIST" if these are its test images, all and in order; else the name of the folder they are from."""
    pixels = (x_test * 255).round().astype(np.uint8).tobytes()
    file = np.array([0x803, len(x_test), 28, 28], ">i4").tobytes() + pixels
    if hashlib.sha256(file).hexdigest() == mnist.SHA256["t10k-images-idx3-ubyte"]:
        return "MNIST"
    return Path(os.environ.get("MNIST_DIR") or mnist.SAMPLE).resolve().name


def platform(model):
    """Return where a built model runs: device, processor, cores, memory, system, Python, Keras, backend."""
    backend = keras.backend.backend()
    return {"device": str(model.weights[0].value.device).split("device:")[-1], **machine.describe(),
            "keras": keras.version(), "backend": f"{backend} {sys.modules[backend].__version__}"}


def run(network, build_model, optimizer, epochs, batch_size, validation_size=10_000, seed=0):
    """Train a model, print a line for each epoch, and leave a folder runs/<network>-<date and time>/.

    Args:
        network: its name, "lenet" say.
        build_model: a function that returns a Keras model from images to ten probabilities, not compiled.
        optimizer: a Keras optimizer; or a function that makes one, given how many steps the training has.
        epochs, batch_size: how often the training digits are seen, how many make a step; they are shuffled anew in
            each epoch.
        validation_size: how many of MNIST's 60,000 training digits are kept for validation, perhaps 0.
        seed: of the weights, the shuffling and the dropout.

    Returns:
        The test accuracy, a float in [0, 1].

    Raises:
        mnist.DataError: the digits cannot be had, or the folder cannot be written.
    """
    keras.utils.set_random_seed(seed)
    model = build_model()
    (x, y), valid, test = mnist.load_data(reshape=model.input_shape[1:], validation_size=validation_size)
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        optimizer = optimizer(epochs * ceil(len(x) / batch_size))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    folder = new_folder(network)
    record = Record(folder, {
        "network": network, "parameters": model.count_params(), "started": f"{datetime.now().astimezone():%F %T %z}",
        "seed": seed, "epochs": epochs, "epochs_ended": 0, "finished": False, "training_time": 0.0,
        "batch_size": batch_size, "shuffle": True, "loss": model.loss,
        "optimizer": settings(keras.optimizers.serialize(optimizer)),
        "dataset": {"name": dataset_name(test[0]), "image_size": [28, 28], "training": len(x),
                    "validation": len(valid[0]), "test": len(test[0])},
        "weights": (folder / MODEL).as_posix(), "platform": platform(model)}, images=len(x))
    model.fit(x, y, batch_size, epochs, verbose=0, callbacks=[record],
              validation_data=valid if len(valid[0]) else None)
    loss, accuracy = model.evaluate(*test, batch_size=1000, verbose=0)
    record.about |= {"finished": True, "test_accuracy": rounded(accuracy), "test_loss": rounded(loss)}
    record.save()
    print(f"test accuracy {accuracy:.2%}, in {folder}")
    return accuracy


def no_arguments(description):
    """Let a program answer --help, and refuse every other argument; its settings are constants in its file."""
    name = getattr(sys.modules["__main__"].__spec__, "name", None)  # as Python 3.14 does by itself
    argparse.ArgumentParser(name and f"python -m {name}", description=description,
                            formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
