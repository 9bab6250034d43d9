"""Run a script's own train() from given weights on given digits, and save what it made of them.

    python tests/adapters.py conv_torch OUT.npz

The scripts know nothing of it: their names for the data and the first weights are replaced from outside, each by
the library's own means. OUT.npz then holds `gradient0`, ... of the first 50 digits, `parameter0`, ... after 100
steps of an MLP or 10 of a ConvNet, both in the library's layout, and `rate`, the script's own. It runs in any
interpreter that has the library, the genuine Theano's among them.
"""
import importlib
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
import mnist
import reference

# A ConvNet's way is chaotic: at its rate, the last bit of a float32 decides after some twenty steps which pixel a pool
# chooses and whether the black background passes a ReLU; conv_numpy.py in float64 stays at 1e-14 of the reference.
STEPS = {"mlp": 100, "conv": 10}
BIG_RATE = 1024  # so large a step that the difference it makes is the gradient to float32's full precision


def digits():
    """Return the sample's 5,000 digits: 100 batches of 50."""
    parts = mnist.load_data(validation_size=0)
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def in_layout(script, arrays):
    """Return parameters or gradients, given in the reference's layout, in that of the script."""
    network, library = script.split("_")
    if network == "mlp":
        return [a.T for a in arrays] if library == "torch" else list(arrays)
    w1, b1, w2, b2, w3, b3, w4, b4 = arrays
    if library == "numpy":
        return [w1.reshape(25, 8), b1, w2.reshape(200, 16), b2, w3, b3, w4, b4]
    if library in ("torch", "theano"):  # channels before height and width, outputs before inputs
        w1, w2 = w1.transpose(3, 2, 0, 1), w2.transpose(3, 2, 0, 1)
        w3 = w3.reshape(10, 10, 16, 100).transpose(3, 2, 0, 1).reshape(100, 1600)
        if library == "theano":
            w1, w2 = w1.reshape(8, 25), w2.reshape(16, 200)
        return [w1, b1, w2, b2, w3, b3, w4.T, b4]
    return list(arrays)


def train(script, module, parameters, x, y):
    """Run module.train() for one epoch on (x, y) in this order, from `parameters`; return them as they end."""
    library, seen = script.split("_")[1], []

    def load_data(one_hot=False, reshape=None):
        images = x.reshape(-1, *(reshape or (784,)))
        labels = np.eye(10, dtype=np.float32)[y] if one_hot else y
        return (images, labels), (images[:50], labels[:50]), (images[:50], labels[:50])

    def keep(created):
        seen[:] = [created]
        return created

    module.mnist.load_data, module.mnist.epoch = load_data, lambda x, y, rng: (x, y)
    if library in ("torch", "keras"):
        build_model = getattr(module, "built_model", module.build_model)
        module.built_model = build_model

        def build_with_parameters():
            model = build_model()
            if library == "keras":
                model.set_weights(parameters)
            else:
                model.load_state_dict({name: module.torch.from_numpy(np.ascontiguousarray(array))
                                       for name, array in zip(model.state_dict(), parameters)})
            return keep(model)

        module.build_model = build_with_parameters
    else:
        make = {"numpy": np.copy, "theano": lambda a: module.theano.shared(np.ascontiguousarray(a)),
                "tensorflow": lambda a: module.tf.Variable(a), "jax": lambda a: module.jnp.asarray(a)}[library]
        module.init_weights = lambda *_: keep([make(array) for array in parameters])
    if library == "jax":  # its weights are not changed but replaced: those that accuracy() is asked about last
        accuracy = getattr(module, "own_accuracy", module.accuracy)
        module.own_accuracy = accuracy
        module.accuracy = lambda x, y, weights: accuracy(x, y, keep(weights))
    module.train(epochs=1)
    read = {"theano": lambda w: w.get_value(), "tensorflow": lambda w: w.numpy()}.get(library, np.asarray)
    if library == "torch":
        return [array.cpu().numpy() for array in seen[0].state_dict().values()]
    return seen[0].get_weights() if library == "keras" else [read(w) for w in seen[0]]


def main(script, path):
    module = importlib.import_module(script)
    (x, y), rate = digits(), module.LEARNING_RATE
    before = [array.astype(np.float32) for array in in_layout(script, reference.PARAMETERS[script.split("_")[0]])]
    module.LEARNING_RATE = BIG_RATE
    after = train(script, module, before, x[:50], y[:50])
    gradients = [(a.astype(np.float64) - b) / BIG_RATE for a, b in zip(before, after)]
    module.LEARNING_RATE = rate
    count = 50 * STEPS[script.split("_")[0]]
    parameters = train(script, module, before, x[:count], y[:count])
    np.savez(path, rate=rate, **{f"gradient{i}": a for i, a in enumerate(gradients)},
             **{f"parameter{i}": a for i, a in enumerate(parameters)})


if __name__ == "__main__":
    main(*sys.argv[1:])
