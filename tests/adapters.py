"""Run a script's own train() from given weights on given digits, and save what it made of them.

    python tests/adapters.py conv_torch WAY.npz OUT

The scripts know nothing of it: their names for the data and the first weights are replaced from outside, each by
the library's own means. WAY.npz holds which digits the reference takes in which `order`, and its parameters where each
stretch of the way begins, `start0_0`, `start0_1`, ... `start1_0`, ... Each process of the job leaves a file of its own
in the folder OUT, with

    gradient0, ...          the gradient of the first batch
    end0_0, ... end1_0, ... the parameters at the end of each stretch
    own0, ...               the weights with which the script by itself would have begun, from seed 1
    x, y                    the digits as it would have shuffled and moved them for its first epoch

all in the library's layout. It runs in any interpreter that has the library, the genuine Theano's among them.
"""
import importlib
import os
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
import mnist
import reference

# Both networks go 100 steps, the MLPs in one stretch. A ConvNet's way is chaotic: where a pool's two largest pixels or a
# ReLU's zero are near, the last bit of a float32 decides, and the ways part (conv_numpy.py in float64 stays at 1e-14 of
# the reference). The reference avoids digits that are so near, and a ConvNet goes ten stretches, each from the
# reference's place, so that what little the ways are apart does not grow until it decides.
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


def train(script, module, starts, x, y):
    """Run module.train(), an epoch for each stretch of (x, y), which stay in this order.

    Args:
        starts: for each stretch the parameters from which it begins.

    Returns:
        The parameters with which each stretch ends; those with which the script would have begun; and what it would
        have made of (x, y) in its first epoch.
    """
    library, seen, pending, ends, own_start, own_digits = script.split("_")[1], [], [], [], [], []
    x, y = np.split(x, len(starts)), np.split(y, len(starts))

    def stretch(k, shape, one_hot):
        return x[k].reshape(-1, *shape), np.eye(10, dtype=np.float32)[y[k]] if one_hot else y[k]

    def load_data(one_hot=False, reshape=(784,)):
        return [stretch(0, reshape, one_hot)] * 3

    def epoch(x, y, rng, shift=1):
        if own_digits:  # not the first epoch
            ends.append(read())
            put(starts[len(ends)])
        else:
            own_digits.extend(own["mnist.epoch"](x, y, rng, shift))
        return stretch(len(ends), x.shape[1:], y.ndim == 2)

    def begin(created):
        """Take what the script created, a model or a list of weights, note its values, and put the first stretch's."""
        seen[:] = [created]
        own_start.extend(read())
        put(starts[0])
        return pending.pop() if pending else created

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

    def step(weights, *rest):
        return own["step"](pending.pop() if pending else weights, *rest)

    def accuracy(x, y, weights):  # the weights of JAX are those that it is asked about last
        seen[:] = [weights]
        return own["accuracy"](x, y, weights)

    # As the module was before the first replacement
    own = module.__dict__.setdefault("own", {**vars(module), "mnist.epoch": module.mnist.epoch})
    module.mnist.load_data, module.mnist.epoch = load_data, epoch
    creator = "build_model" if library in ("torch", "keras") else "init_weights"
    setattr(module, creator, lambda *rng: begin(own[creator](*rng)))
    if library == "jax":
        module.step, module.accuracy = step, accuracy
    module.train(epochs=len(starts), seed=1)
    return [*ends, read()], own_start, own_digits


def main(script, way, folder):
    module, script = importlib.import_module(script), script.rpartition(".")[2]
    network = script.split("_")[0]
    (x, y), batch, rate = digits(), module.BATCH_SIZE, module.LEARNING_RATE
    with np.load(way) as arrays:
        x, y = x[arrays["order"]], y[arrays["order"]]
        count = len(reference.PARAMETERS[network])
        starts = [in_layout(script, [arrays[f"start{k}_{i}"].astype(np.float32) for i in range(count)])
                  for k in range(STRETCHES[network])]
    module.LEARNING_RATE = BIG_RATE
    (after,), *_ = train(script, module, starts[:1], x[:batch], y[:batch])
    module.LEARNING_RATE = rate
    ends, own, (own_x, own_y) = train(script, module, starts, x, y)
    np.savez(Path(folder) / f"{os.getpid()}.npz", x=own_x, y=own_y, **{f"own{i}": a for i, a in enumerate(own)},
             **{f"gradient{i}": (a.astype(np.float64) - b) / BIG_RATE for i, (a, b) in enumerate(zip(starts[0], after))},
             **{f"end{k}_{i}": a for k, end in enumerate(ends) for i, a in enumerate(end)})


if __name__ == "__main__":
    main(*sys.argv[1:])
