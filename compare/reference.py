"""Both networks and their gradients in float64, written for nothing but to be right.

It shares no code with the scripts, and no formula with conv_numpy.py: convolutions are sums over the five rows of the
kernel, the pool keeps the index of the pixel it chose. Weights are stored as (in, out) and (height, width, in, out),
images as (batch, height, width, channels).
"""
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


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


DOUBT = 1e-5  # how near is too near, in root mean squares of the layer; a float32 sum of a few hundred is off by 1e-7


def convolve(x, w):
    """Correlate (batch, h, w, c) with a (5, 5, c, out) kernel at every place where it fits."""
    h, spans = x.shape[1] - 4, sliding_window_view(x, 5, axis=2)  # (batch, h, w - 4, c, 5): five pixels of a row
    return sum(np.tensordot(spans[:, i:i + h], w[i], axes=([3, 4], [1, 0])) for i in range(5))


def kernel_gradient(x, d_out):
    """Return the gradient of `w`, given that of convolve(x, w)."""
    h, spans = x.shape[1] - 4, sliding_window_view(x, 5, axis=2)
    sums = [np.tensordot(spans[:, i:i + h], d_out, axes=([0, 1, 2], [0, 1, 2])) for i in range(5)]
    return np.swapaxes(sums, 1, 2)  # (5, c, 5, out) -> (5, 5, c, out)


def input_gradient(w, d_out):
    """Return the gradient of `x`, given that of convolve(x, w): each pixel's from all places that saw it."""
    batch, h, v, _ = d_out.shape
    d_x = np.zeros((batch, h + 4, v + 4, w.shape[2]))
    for i in range(5):
        for j in range(5):
            d_x[:, i:i + h, j:j + v] += d_out @ w[i, j].T
    return d_x


def forward(p, x):
    """Return the layers before their ReLUs, the hidden one last, and the input of that.

    A ConvNet has two more: its first convolution, and of its second the four pixels among which each place of the pool
    chooses, (batch, 10, 10, 16, 4).
    """
    layers = []
    if len(p) == 8:
        conv1 = convolve(x.reshape(-1, 28, 28, 1), p[0]) + p[1]
        conv2 = convolve(np.maximum(conv1, 0), p[2]) + p[3]
        quads = conv2.reshape(-1, 10, 2, 10, 2, 16).transpose(0, 1, 3, 5, 2, 4).reshape(-1, 10, 10, 16, 4)
        layers = [conv1, quads]
        x = np.maximum(quads.max(axis=-1), 0).reshape(-1, 1600)
    return [*layers, x @ p[-4] + p[-3]], x


def loss_and_gradients(parameters, x, y):
    """Return the mean cross-entropy of images (batch, 784) with labels (batch,), and its gradients."""
    p, x = [np.asarray(array, np.float64) for array in parameters], x.astype(np.float64)
    (*convolutions, hidden), dense_input = forward(p, x)
    logits = np.maximum(hidden, 0) @ p[-2] + p[-1]
    log_sums = np.logaddexp.reduce(logits, axis=1, keepdims=True)
    rows = np.arange(len(y))
    loss = (log_sums[:, 0] - logits[rows, y]).mean()
    d_logits = np.exp(logits - log_sums)
    d_logits[rows, y] -= 1
    d_logits /= len(y)
    d_hidden = np.where(hidden > 0, d_logits @ p[-2].T, 0)
    gradients = [dense_input.T @ d_hidden, d_hidden.sum(axis=0),
                 np.maximum(hidden, 0).T @ d_logits, d_logits.sum(axis=0)]
    if convolutions:
        conv1, quads = convolutions
        chosen = quads.argmax(axis=-1)[..., None]  # of equals the first
        d_pooled = np.where(dense_input > 0, d_hidden @ p[-4].T, 0).reshape(chosen.shape)
        d_quads = np.zeros_like(quads)
        np.put_along_axis(d_quads, chosen, d_pooled, axis=-1)
        d_conv2 = d_quads.reshape(-1, 10, 10, 16, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(-1, 20, 20, 16)
        d_conv1 = np.where(conv1 > 0, input_gradient(p[2], d_conv2), 0)
        gradients = [kernel_gradient(x.reshape(-1, 28, 28, 1), d_conv1), d_conv1.sum(axis=(0, 1, 2)),
                     kernel_gradient(np.maximum(conv1, 0), d_conv2), d_conv2.sum(axis=(0, 1, 2)), *gradients]
    return loss, gradients


def decided(parameters, x):
    """Return for each image whether its gradient is beyond doubt in float32.

    It is in doubt where a unit is near the kink of its ReLU, or a pool's largest pixel near its next: there the last
    bit decides, the gradient jumps, and after some steps of a ConvNet two trainings have nothing in common but their
    accuracy. Pixels that are exactly equal do no harm, because they see the same.
    """
    layers, _ = forward([np.asarray(array, np.float64) for array in parameters], x.astype(np.float64))
    least = np.full(len(x), np.inf)
    for layer in layers:
        distances = np.abs(layer)
        if layer.ndim == 5:
            next_largest, largest = np.moveaxis(np.sort(layer, axis=-1)[..., -2:], -1, 0)
            ahead = largest - next_largest
            ahead[(largest < 0) | (ahead < 1e-12)] = np.inf
            distances = np.minimum(np.abs(largest), ahead)
        least = np.minimum(least, distances.reshape(len(x), -1).min(axis=1) / np.sqrt((layer**2).mean()))
    return least > DOUBT


def next_batch(parameters, x, batch_size, start=0):
    """Return the indices of the next digits that are decided, and where to go on; behind the last comes the first."""
    batch = np.array([], int)
    while len(batch) < batch_size:
        candidates = np.arange(start, start + 16) % len(x)
        batch = np.append(batch, candidates[decided(parameters, x[candidates])])[:batch_size]
        start += 16
    return batch, start


def train(parameters, x, y, rate, batch_size, steps):
    """Go through one epoch of SGD, each batch the next digits that are decided.

    The rate rises linearly from zero over the first fifth of the steps, then falls linearly to zero.

    Returns:
        The parameters at the end, and the indices of the digits of all batches, one after the other.
    """
    p, order, start = [np.asarray(array, np.float64) for array in parameters], [], 0
    for step in range(steps):
        batch, start = next_batch(p, x, batch_size, start)
        order.extend(batch)
        _, gradients = loss_and_gradients(p, x[batch], y[batch])
        done = step / steps
        p = [array - rate * min(done / 0.2, (1 - done) / 0.8) * gradient for array, gradient in zip(p, gradients)]
    return p, np.array(order)
