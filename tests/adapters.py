"""Run a script's own train() from given weights on given digits, and save what it made of them.

    python tests/adapters.py conv_torch WAY.npz OUT.npz
    python tests/adapters.py parallel.conv_torch 20 OUT.npz SEED

The scripts know nothing of it: their names for the data and the first weights are replaced from outside, each by
the library's own means. WAY.npz holds the reference's parameters where each stretch of the way begins, `start0_0`,
`start0_1`, ... `start1_0`, ...; OUT.npz then holds `gradient0`, ... of the first batch, and `end0_0`, ..., the
parameters at the end of each stretch, all in the library's layout. A number in the place of WAY.npz is that of the
steps that the script goes from its own weights, in its own order, for `end0_0`, ... alone. It runs in any interpreter
that has the library, the genuine Theano's among them.
"""
import importlib
import os
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
import mnist
import reference

# Both networks go 100 steps, the MLPs in one stretch. A ConvNet's way is chaotic: at its rate, the last bit of a
# float32 soon decides which pixel a pool chooses and whether the black background passes a ReLU, and the ways part
# (conv_numpy.py in float64 stays at 1e-14 of the reference). So it goes ten stretches, each from the reference's place.
STEPS, STRETCHES = 100, {"mlp": 1, "conv": 10}
BIG_RATE = 1024  # so large a step that the difference it makes is the gradient to float32's full precision


def digits():
    """Return the sample's 5,000 digits."""
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


def train(script, module, starts, x, y, seed=0):
    """Run module.train(), an epoch for each stretch of (x, y), which stay in this order.

    `starts` holds the parameters from which each stretch begins, or is [None]: then the script begins with its own,
    and shuffles and moves the digits. Returned are the parameters with which each stretch ends.
    """
    library, seen, pending, ends = script.split("_")[1], [], [], []
    x, y = np.split(x, len(starts)), np.split(y, len(starts))

    def stretch(k, shape, one_hot):
        return x[k].reshape(-1, *shape), np.eye(10, dtype=np.float32)[y[k]] if one_hot else y[k]

    def load_data(one_hot=False, reshape=(784,)):
        return [stretch(0, reshape, one_hot)] * 3

    def epoch(x, y, rng, shift=1):
        if seen[1:]:  # not the first
            ends.append(read())
            put(starts[len(ends)])
        seen[1:] = [True]
        return stretch(len(ends), x.shape[1:], y.ndim == 2)

    def keep(created):
        seen[:1] = [created]
        return created

    def read():
        if library == "torch":
            return [np.array(array.cpu()) for array in seen[0].state_dict().values()]
        if library == "keras":
            return [np.array(w) for w in seen[0].get_weights()]
        return [np.array(w.get_value() if library == "theano" else w) for w in seen[0]]

    def put(arrays):
        if library == "torch":
            seen[0].load_state_dict({name: module.torch.from_numpy(np.ascontiguousarray(array))
                                     for name, array in zip(seen[0].state_dict(), arrays)})
        elif library == "keras":
            seen[0].set_weights(arrays)
        elif library == "jax":  # its weights are not changed but replaced: the next step has these
            pending[:] = [[module.jnp.asarray(array) for array in arrays]]
        else:
            for w, array in zip(seen[0], arrays):
                {"numpy": lambda: np.copyto(w, array), "theano": lambda: w.set_value(np.ascontiguousarray(array)),
                 "tensorflow": lambda: w.assign(array)}[library]()

    module.mnist.load_data = load_data
    if starts[0] is not None:
        module.mnist.epoch = epoch
    own = module.__dict__.setdefault("own", dict(vars(module)))  # as it was before the first replacement
    if library in ("torch", "keras"):
        def build_model():
            model = keep(own["build_model"]())
            if starts[0] is not None:
                put(starts[0])
            return model

        module.build_model = build_model
    else:
        make = {"numpy": np.copy, "theano": lambda a: module.theano.shared(np.ascontiguousarray(a)),
                "tensorflow": lambda a: module.tf.Variable(a), "jax": lambda a: module.jnp.asarray(a)}[library]
        module.init_weights = lambda *rng: keep(own["init_weights"](*rng) if starts[0] is None else
                                                [make(array) for array in starts[0]])
    if library == "jax":  # the weights are those that accuracy() is asked about last
        module.accuracy = lambda x, y, weights: own["accuracy"](x, y, keep(weights))
        module.step = lambda weights, *rest: own["step"](pending.pop() if pending else weights, *rest)
    module.train(epochs=len(starts), seed=seed)
    return [*ends, read()]


def main(script, way, path, seed="0"):
    module, script = importlib.import_module(script), script.rpartition(".")[2]
    network = script.split("_")[0]
    (x, y), batch, rate = digits(), module.BATCH_SIZE, module.LEARNING_RATE
    if way.isdigit():
        starts, steps, gradients = [None], int(way), []
    else:
        with np.load(way) as arrays:
            count = len(reference.PARAMETERS[network])
            starts = [in_layout(script, [arrays[f"start{k}_{i}"].astype(np.float32) for i in range(count)])
                      for k in range(STRETCHES[network])]
        module.LEARNING_RATE, steps = BIG_RATE, STEPS
        after, = train(script, module, starts[:1], x[:batch], y[:batch])
        gradients = [(a.astype(np.float64) - b) / BIG_RATE for a, b in zip(starts[0], after)]
        module.LEARNING_RATE = rate
    ends = train(script, module, starts, x[:batch * steps], y[:batch * steps], int(seed))
    temporary = f"{path}.{os.getpid()}.npz"  # of several processes each writes the whole, and the last one's stays
    np.savez(temporary, **{f"gradient{i}": a for i, a in enumerate(gradients)},
             **{f"end{k}_{i}": a for k, end in enumerate(ends) for i, a in enumerate(end)})
    os.replace(temporary, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
