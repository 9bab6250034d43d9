"""What a model makes of the test digits: its confusion matrix and its most confident mistakes."""
import base64
import io
import math

import numpy as np
from PIL import Image

import mnist
from extras.zoo.report.words import cut, percent, shorten, words

MISTAKES = 20  # pictures for each run


def test_digits():
    """Return the images (n, 784) and labels (n,) of the test set that mnist.py finds, and the data set's name."""
    from extras.zoo.training import dataset_name
    _, _, (x, y) = mnist.load_data(validation_size=0)
    return x, y, dataset_name(x)


def predictions(run, model, digits):
    """Return a model's confusion matrix and its most confident mistakes on the test digits.

    Args:
        run: as read_run() returns it.
        model: its Keras model.
        digits: images, labels and name, as test_digits() returns them; or a sentence that says why there are none.

    Returns:
        A dict with a text, and with matrix (10 rows of 10: digits of this class taken for that) and mistakes, unless
        the model cannot be asked; then the text says why.
    """
    dataset = run["about"].get("dataset", {})
    shapes = [getattr(model, "input_shape", None), getattr(model, "output_shape", None)]
    if isinstance(digits, str):
        return {"text": digits}
    x, y, name = digits
    if not (all(isinstance(shape, tuple) for shape in shapes) and None not in shapes[0][1:]
            and math.prod(shapes[0][1:]) == 784 and shapes[1][1:] == (10,)):
        return {"text": "No confusion matrix and no mistakes: the model does not lead from the 784 values of an image "
                        "to ten classes."}
    if (dataset.get("name"), dataset.get("test")) != (name, len(y)):
        known = cut(f"{dataset.get('name', 'unknown data')}, {words(dataset.get('test', 'unknown'))} test digits", 200)
        return {"text": f"No confusion matrix and no mistakes: the run's data are {known}, but those found here are "
                        f"{name}, {len(y):,} test digits. MNIST_DIR names the folder of the data."}
    try:
        answers = np.asarray(model.predict(x.reshape(-1, *shapes[0][1:]), batch_size=1000, verbose=0), np.float64)
    except Exception as error:
        return {"text": f"No confusion matrix and no mistakes: the model fails on the test digits, "
                        f"{shorten(' '.join(str(error).split()), 200)}."}
    if not (np.isfinite(answers).all()):
        return {"text": "No confusion matrix and no mistakes: the model answers with values that are no numbers."}
    if answers.min() < 0 or abs(answers.sum(axis=1) - 1).max() > 1e-3:  # logits
        answers = np.exp(answers - answers.max(axis=1, keepdims=True))
        answers /= answers.sum(axis=1, keepdims=True)
    chosen = answers.argmax(axis=1)
    right = int((chosen == y).sum())
    stated = run["about"].get("test_accuracy")
    text = f"{right:,} of {len(y):,} test digits right, {percent(right / len(y))}"
    if stated is None:
        text += ", by the model as it was saved last."
    elif abs(stated - right / len(y)) <= 0.5 / len(y):
        text += ", as run.json says."
    elif abs(stated - right / len(y)) <= 2.5 / len(y):  # another processor or backend rounds differently
        text += f"; run.json, from where it was trained, says {percent(stated)}."
    else:
        return {"text": f"No confusion matrix and no mistakes: the model has {text}, but run.json says "
                        f"{percent(stated)}. It was trained on other digits, or on images prepared in another way."}
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (y, chosen), 1)
    wrong = np.flatnonzero(chosen != y)
    wrong = wrong[np.argsort(-answers[wrong, chosen[wrong]], kind="stable")][:MISTAKES]
    largest = max(1, int((matrix - np.diag(np.diag(matrix))).max()))
    return {"text": text, "matrix": [[{"count": f"{n:,}", "right": i == j, "share": round(0.6 * n / largest, 3)}
                                      for j, n in enumerate(row)] for i, row in enumerate(matrix.tolist())],
            "mistakes": [{"png": png(x[i]), "label": f"{y[i]}", "answer": f"{chosen[i]}", "index": f"{i:,}",
                          "confidence": confidence(answers[i, chosen[i]])} for i in wrong.tolist()]}


def confidence(probability):
    """Return how sure an answer is, from 0 to 1, as a percentage that never says 100 %."""
    return ">99.99 %" if probability > 0.9999 else f"{100 * probability:.2f} %"


def png(image):
    """Return an image of 784 values from 0 to 1 as a PNG, black on white, in base64."""
    buffer = io.BytesIO()
    Image.fromarray(255 - (image.reshape(28, 28) * 255).round().astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
