"""Run a script's own train() from given weights on given digits, and save what it made of them.

    python -m compare.adapters conv_torch WAY.npz OUT

The scripts know nothing of it: their names for the data and the first weights are replaced from outside, each by
the library's own means. WAY.npz holds the `weights0`, `weights1`, ... from which the reference goes its way, and the
`order` in which it takes the sample's digits. Each process of the job leaves a file of its own in the folder OUT, with

    loss                       the mean cross-entropy of the first batch, but of those in extras/parallel/
    gradient0, gradient1, ...  its gradient
    end0, ...                  the parameters at the end of the way
    own0, ...                  the weights with which the script by itself would have begun, from seed 1
    x, y                       the digits as it would have shuffled and moved them for its first epoch

all in the library's layout. It runs in any interpreter that has the library, that of the retired ones among them.
"""
import importlib
import os
import sys
from pathlib import Path

import numpy as np

import mnist

BIG_RATE = 1024  # so large a step that the difference it makes is the gradient to float32's full precision
# The share of the script's rate with which it goes the reference's way. Reached in twenty steps instead of hundreds,
# the whole rate would throw a network about, and two trainings apart, whatever their last bits.
CALM = 0.25


def digits():
    """Return the sample's 5,000 digits."""
    parts = mnist.load_data(validation_size=0)
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def in_layout(script, arrays):
    """Return parameters or gradients, given in the reference's layout, in that of the script."""
    network, _, library = script.partition("_")
    outputs_first = library in ("torch", "gluon", "module")
    if network == "mlp":
        return [a.T for a in arrays] if outputs_first else list(arrays)
    w1, b1, w2, b2, w3, b3, w4, b4 = arrays
    if library == "numpy":
        return [w1.reshape(25, 8), b1, w2.reshape(200, 16), b2, w3, b3, w4, b4]
    if outputs_first or library == "theano":  # channels before height and width, outputs before inputs
        w1, w2 = w1.transpose(3, 2, 0, 1), w2.transpose(3, 2, 0, 1)
        w3 = w3.reshape(10, 10, 16, 100).transpose(3, 2, 0, 1).reshape(100, 1600)
        if library == "theano":
            w1, w2 = w1.reshape(8, 25), w2.reshape(16, 200)
        return [w1, b1, w2, b2, w3, b3, w4.T, b4]
    return list(arrays)


def logits(library, module, x, network):
    """Return the logits of images x, as the script calls its own network: `network` is its model or its weights."""
    if library == "theano":
        return module.forward(module.T.as_tensor_variable(x), network).eval()
    if library == "torch":
        return network.eval()(module.torch.from_numpy(x).to(module.DEVICE)).detach().cpu()
    if library == "keras":
        return module.keras.ops.convert_to_numpy(network(x))
    if library == "gluon":
        return network(module.nd.array(x)).asnumpy()
    if library == "module":  # log-probabilities, which are logits, too
        return np.log(network.predict(module.io.NDArrayIter(x, batch_size=len(x))).asnumpy())
    if library == "mxnet_keras":
        return network.predict(x)
    return module.forward(x, network)[0] if library == "numpy" else module.forward(x, network)


def cross_entropy(logits, y):
    """Return the mean cross-entropy of logits (batch, 10), in float64, with labels (batch,)."""
    logits = np.asarray(logits, np.float64)
    return (np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(y)), y]).mean()


def train(script, module, weights, x, y):
    """Run module.train() for one epoch from the given weights on (x, y), in this order.

    Returns:
        The parameters with which it ends; those with which the script would have begun; what it would have made of
        (x, y) for its epoch; and, but for those in extras/parallel/, the loss of its first batch before that.
    """
    library, seen, own_weights, own_digits, shapes, losses = script.partition("_")[2], [], [], [], [], []

    def load_data(reshape=(784,)):
        shapes.append(reshape)
        return [(x.reshape(-1, *reshape), y)] * 3

    def epoch(x, y, rng, batch_size=1):
        own_digits.extend(own["mnist.epoch"](x, y, rng, batch_size))
        return x, y

    def begin(*rng):
        """Take what the script creates, a model or a list of weights, note its values, and put the given ones."""
        seen.append(own[creator](*rng))
        own_weights.extend(read())
        if library == "torch":
            seen[0].load_state_dict({name: module.torch.from_numpy(np.ascontiguousarray(array))
                                     for name, array in zip(seen[0].state_dict(), weights)})
        elif library in ("keras", "mxnet_keras"):
            seen[0].set_weights(weights)
        elif library == "gluon":
            for parameter, array in zip(seen[0].collect_params().values(), weights):
                parameter.set_data(module.nd.array(array))
        elif library == "module":
            names = [name for name in seen[0].symbol.list_arguments() if name not in ("data", "softmax_label")]
            seen[0].set_params({name: module.mx.nd.array(array) for name, array in zip(names, weights)}, {})
        elif library == "jax":
            seen[0] = [module.jnp.asarray(array) for array in weights]
        else:
            for w, array in zip(seen[0], weights):
                {"numpy": lambda: np.copyto(w, array), "theano": lambda: w.set_value(np.ascontiguousarray(array)),
                 "tensorflow": lambda: w.assign(array)}[library]()
        if not module.__name__.startswith("extras.parallel."):  # which spread their weights over several processes
            first = slice(module.BATCH_SIZE)
            losses.append(cross_entropy(logits(library, module, x[first].reshape(-1, *shapes[0]), seen[0]), y[first]))
        return seen[0]

    def read():
        if library == "torch":
            return [np.array(array.cpu()) for array in seen[0].state_dict().values()]
        if library in ("keras", "mxnet_keras"):
            return [np.array(w) for w in seen[0].get_weights()]
        if library == "gluon":
            return [p.list_data()[0].asnumpy() for p in seen[0].collect_params().values()]
        if library == "module":
            return [w.asnumpy() for w in seen[0].get_params()[0].values()]
        return [np.array(w.get_value() if library == "theano" else w) for w in seen[0]]

    def accuracy(x, y, weights):  # JAX's weights are not changed but replaced: the last are those it is asked about
        seen[0] = weights
        return own["accuracy"](x, y, weights)

    # As the module was before the first replacement
    own = module.__dict__.setdefault("own", {**vars(module), "mnist.epoch": module.mnist.epoch})
    module.mnist.load_data, module.mnist.epoch = load_data, epoch
    creator = "build_model" if hasattr(module, "build_model") else "init_weights"
    setattr(module, creator, begin)
    if library == "jax":
        module.accuracy = accuracy
    module.train(epochs=1, seed=1)
    return read(), own_weights, own_digits, losses


def main(script, way, folder):
    module, script = importlib.import_module(script), script.rpartition(".")[2]
    (x, y), batch, rate = digits(), module.BATCH_SIZE, CALM * module.LEARNING_RATE
    with np.load(way) as arrays:
        x, y = x[arrays["order"]], y[arrays["order"]]
        weights = in_layout(script, [arrays[f"weights{i}"] for i in range(len(arrays.files) - 1)])
    module.LEARNING_RATE = BIG_RATE / 0.625  # the second of two steps has so much of it, the first nothing
    after, *_ = train(script, module, weights, *(np.concatenate([a[:batch]] * 2) for a in (x, y)))
    module.LEARNING_RATE = rate
    end, own, (own_x, own_y), losses = train(script, module, weights, x, y)
    gradients = [(before.astype(np.float64) - a) / BIG_RATE for before, a in zip(weights, after)]
    np.savez(Path(folder) / f"{os.getpid()}.npz", x=own_x, y=own_y, loss=losses, **{
        f"{kind}{i}": array for kind, arrays in (("gradient", gradients), ("end", end), ("own", own))
        for i, array in enumerate(arrays)})


if __name__ == "__main__":
    main(*sys.argv[1:])
    if sys.argv[1] == "extras.parallel.conv_torch":
        script = sys.modules["extras.parallel.conv_torch"]
        script.gc.collect()
        script.torch.distributed.destroy_process_group()  # the script's own last lines
