"""Shows that the networks are the same in both libraries: python -m extras.imagenet.same [NETWORK ...]

PyTorch's weights are put into Keras. Both see the same pictures in training mode, without dropout, whose numbers would
differ; then their logits are compared, and the gradient of the cross-entropy by each parameter: the norm of the
difference over the norm, the largest over the parameters.
"""
import importlib
import os
import re
import sys

import numpy as np

os.environ["KERAS_BACKEND"] = "jax"
import jax
import keras
import torch
from keras.src.backend.common import dtypes

# In float64: in float32 the last bit decides on which side of its ReLU some unit of ten million is, and in Inception's
# 69 layers that alone changes a gradient by a hundredth.
jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"  # else Keras on JAX still takes its means in float32
PARAMETERS = {"alexnet": 62_378_344, "inception": 11_194_984}  # at 1,000 classes
LIMIT = 1e-9  # of the norm of the difference over the norm; float64 is good for sixteen digits


def layout(array, shape):
    """Return a parameter of PyTorch, or its gradient, in Keras's layout: channels last, outputs last."""
    array = array.detach().cpu().numpy()
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    if array.ndim == 2 and shape[0] == 256 * 6 * 6:  # the flattened pictures: (channels, 6, 6) -> (6, 6, channels)
        array = array.reshape(-1, 256, 6, 6).transpose(0, 2, 3, 1).reshape(-1, shape[0])
    return array.T


def pairs(in_torch, in_keras):
    """Yield the parameters that are the same: a parameter of the model in PyTorch, a variable of that in Keras."""
    for one, other in ((torch.nn.Conv2d, keras.layers.Conv2D), (torch.nn.BatchNorm2d, keras.layers.BatchNormalization),
                       (torch.nn.Linear, keras.layers.Dense)):
        theirs = [layer for layer in in_keras.layers if isinstance(layer, other)]
        theirs.sort(key=lambda layer: int((re.search(r"_(\d+)$", layer.name) or [0, 0])[1]))  # as they were made
        ours = [layer for layer in in_torch.modules() if isinstance(layer, one)]
        for a, b in zip(ours, theirs, strict=True):
            yield from zip(a.parameters(), b.trainable_variables, strict=True)


def difference(a, b):
    return float(np.linalg.norm(a - b) / np.linalg.norm(a))


def compare(network, classes=1000, batch=4, seed=0):
    """Return the numbers of parameters in PyTorch and Keras, and the differences of logits and of gradients.

    The latter is the largest over the parameters.
    """
    keras.utils.set_random_seed(seed)
    torch.manual_seed(seed)
    script = importlib.import_module(f"extras.imagenet.{network}_torch")
    script.DEVICE = torch.device("cpu")  # Apple's GPU has no float64
    a = script.build_model(classes).double().train()
    b = importlib.import_module(f"extras.imagenet.{network}_keras").build_model(classes)
    for layer in [*a.modules(), *b.layers]:
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0
        elif isinstance(layer, keras.layers.Dropout):
            layer.rate = 0
    parameters = list(pairs(a, b))
    for ours, theirs in parameters:
        theirs.assign(layout(ours, theirs.shape))

    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (batch, 224, 224, 3), np.uint8)
    y = rng.integers(0, classes, batch)
    logits = a(script.scaled(x.astype(float)))
    torch.nn.functional.cross_entropy(logits, torch.from_numpy(y).to(logits.device)).backward()

    def loss(weights):
        logits, _ = b.stateless_call(weights, [v.value for v in b.non_trainable_variables], x, training=True)
        return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)), logits

    gradients, found = jax.grad(loss, has_aux=True)([v.value for v in b.trainable_variables])
    gradients = dict(zip((v.path for v in b.trainable_variables), gradients))
    return (sum(p.numel() for p in a.parameters()), sum(int(np.prod(v.shape)) for v in b.trainable_variables),
            difference(logits.detach().cpu().numpy(), np.array(found)),
            max(difference(layout(ours.grad, theirs.shape), np.array(gradients[theirs.path]))
                for ours, theirs in parameters))


if __name__ == "__main__":
    print(f"{'':11}{'parameters: PyTorch':>21}{'Keras':>14}{'logits':>10}{'gradients':>12}")
    for network in sys.argv[1:] or PARAMETERS:
        ours, theirs, logits, gradients = compare(network)
        print(f"{network:11}{ours:21,}{theirs:14,}{logits:10.1e}{gradients:12.1e}", flush=True)
        if ours != PARAMETERS[network] or ours != theirs or max(logits, gradients) > LIMIT:
            sys.exit(f"Not the same: {PARAMETERS[network]:,} parameters are asked for, and at most {LIMIT:.0e}.")
    print(f"None differs by more than {LIMIT:.0e}.")
