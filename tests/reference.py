"""Both networks and their gradients in float64, written for the tests and for nothing but to be right.

It shares no code with the scripts, and no formula with conv_numpy.py: convolutions are sums over the 25 places of
the kernel, the pool keeps the index of the pixel it chose. Weights are stored as (in, out) and (height, width, in,
out), images as (batch, height, width, channels).
"""
import numpy as np


def he_normal(shapes, seed):
    """Return float32 weights of the given shapes, each with its biases.

    The biases are not zero: with zeros, the black background would sit exactly at the kink of the first ReLU, where
    the last bit of a float32 decides the way.
    """
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape).astype(np.float32) for shape in shapes]
    return [array for w in weights for array in (w, rng.uniform(0.05, 0.2, w.shape[-1]).astype(np.float32))]


PARAMETERS = {
    "mlp": he_normal([(784, 100), (100, 10)], seed=0),
    "conv": he_normal([(5, 5, 1, 8), (5, 5, 8, 16), (1600, 100), (100, 10)], seed=0),
}


def convolve(x, w):
    """Correlate (batch, h, w, c) with a (5, 5, c, out) kernel at every place where it fits."""
    h, v = x.shape[1] - 4, x.shape[2] - 4
    return sum(x[:, i:i + h, j:j + v] @ w[i, j] for i in range(5) for j in range(5))


def convolve_backward(x, w, d_out):
    """Return the gradients of `x` and `w`, given that of convolve(x, w)."""
    h, v = d_out.shape[1:3]
    d_x, d_w = np.zeros_like(x), np.zeros_like(w)
    for i in range(5):
        for j in range(5):
            d_x[:, i:i + h, j:j + v] += d_out @ w[i, j].T
            d_w[i, j] = np.tensordot(x[:, i:i + h, j:j + v], d_out, axes=([0, 1, 2], [0, 1, 2]))
    return d_x, d_w


def loss_and_gradients(parameters, x, y):
    """Return the mean cross-entropy of images (batch, 784) with labels (batch,), and its gradients."""
    p = [np.asarray(array, np.float64) for array in parameters]
    x, convolutional = x.astype(np.float64), len(p) == 8
    if convolutional:
        images = x.reshape(-1, 28, 28, 1)
        conv1 = np.maximum(convolve(images, p[0]) + p[1], 0)
        conv2 = np.maximum(convolve(conv1, p[2]) + p[3], 0)
        quads = conv2.reshape(-1, 10, 2, 10, 2, 16).transpose(0, 1, 3, 5, 2, 4).reshape(-1, 10, 10, 16, 4)
        chosen = quads.argmax(axis=-1)[..., None]  # of equals the first
        x = np.take_along_axis(quads, chosen, axis=-1).reshape(-1, 1600)
    w1, b1, w2, b2 = p[-4:]
    hidden = np.maximum(x @ w1 + b1, 0)
    logits = hidden @ w2 + b2
    log_sums = np.logaddexp.reduce(logits, axis=1, keepdims=True)
    rows = np.arange(len(y))
    loss = (log_sums[:, 0] - logits[rows, y]).mean()
    d_logits = np.exp(logits - log_sums)
    d_logits[rows, y] -= 1
    d_logits /= len(y)
    d_hidden = np.where(hidden > 0, d_logits @ w2.T, 0)
    gradients = [x.T @ d_hidden, d_hidden.sum(axis=0), hidden.T @ d_logits, d_logits.sum(axis=0)]
    if convolutional:
        d_quads = np.zeros_like(quads)
        np.put_along_axis(d_quads, chosen, (d_hidden @ w1.T).reshape(chosen.shape), axis=-1)
        d_conv2 = d_quads.reshape(-1, 10, 10, 16, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(conv2.shape)
        d_conv2 = np.where(conv2 > 0, d_conv2, 0)
        d_conv1, d_w2 = convolve_backward(conv1, p[2], d_conv2)
        d_conv1 = np.where(conv1 > 0, d_conv1, 0)
        _, d_w1 = convolve_backward(images, p[0], d_conv1)
        gradients = [d_w1, d_conv1.sum(axis=(0, 1, 2)), d_w2, d_conv2.sum(axis=(0, 1, 2)), *gradients]
    return loss, gradients


def train(parameters, x, y, rate, batch_size, stretches):
    """Return the parameters on the way through one epoch of SGD, without shuffling, the rate falling linearly to zero.

    The epoch has `stretches` parts of equal length; returned are the parameters at the start, after the first part,
    and so on to the end.
    """
    p = [np.asarray(array, np.float64) for array in parameters]
    steps, way = len(x) // batch_size, [p]
    for step in range(steps):
        batch = slice(step * batch_size, (step + 1) * batch_size)
        _, gradients = loss_and_gradients(p, x[batch], y[batch])
        p = [array - rate * (1 - step / steps) * gradient for array, gradient in zip(p, gradients)]
        if (step + 1) % (steps // stretches) == 0:
            way.append(p)
    return way
