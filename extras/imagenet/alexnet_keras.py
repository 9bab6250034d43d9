# /// script
# requires-python = ">=3.11"
# dependencies = ["filelock", "h5py", "jax", "joblib", "keras", "numpy", "requests", "simplejpeg"]
# ///
"""AlexNet in Keras: python -m extras.imagenet.alexnet_keras [RECORDS], on all GPUs, or on JAX_NUM_CPU_DEVICES."""
import os
import sys
from time import perf_counter

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "1")  # if more, they need threads, or wait for each other for ever
os.environ.setdefault("NPROC", str(max(os.cpu_count(), 2 * int(os.environ["JAX_NUM_CPU_DEVICES"]))))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
from keras import distribution, layers, ops

from compare import checkpoint
from extras.imagenet import records

EPOCHS, BATCH_SIZE, LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 5, 32, 0.01, 0.9, 5e-4
CHECKPOINT = "alexnet_keras.weights.h5"  # in the current folder, after every epoch


# Weights
# Every layer makes its own as the model is built: the kernel by the initializer it is given, the biases as zeros.
HE = {"activation": "relu", "kernel_initializer": "he_normal"}


# Model
@keras.saving.register_keras_serializable()  # so that keras.saving.load_model finds it
def normalize(x):  # each channel by the squares of the five around it
    squares = ops.pad(ops.square(x), [(0, 0), (0, 0), (0, 0), (2, 2)])
    return x / (2 + 1e-4 * sum(squares[..., i:i + x.shape[-1]] for i in range(5))) ** 0.75


def build_model(classes):
    return keras.Sequential([
        keras.Input((224, 224, 3)),
        layers.Rescaling(1 / 127.5, -1),                                    # uint8 -> from -1 to 1
        layers.ZeroPadding2D(2), layers.Conv2D(96, 11, 4, **HE),            # -> (batch, 55, 55, 96)
        layers.Lambda(normalize), layers.MaxPooling2D(3, 2),                # -> (batch, 27, 27, 96)
        layers.Conv2D(256, 5, padding="same", **HE),                        # -> (batch, 27, 27, 256)
        layers.Lambda(normalize), layers.MaxPooling2D(3, 2),                # -> (batch, 13, 13, 256)
        layers.Conv2D(384, 3, padding="same", **HE),                        # -> (batch, 13, 13, 384)
        layers.Conv2D(384, 3, padding="same", **HE),
        layers.Conv2D(256, 3, padding="same", **HE),
        layers.MaxPooling2D(3, 2), layers.Flatten(),                        # -> (batch, 6, 6, 256) -> (batch, 9216)
        layers.Dense(4096, **HE), layers.Dropout(0.5),                      # -> (batch, 4096)
        layers.Dense(4096, **HE), layers.Dropout(0.5),
        layers.Dense(classes, kernel_initializer="he_normal")])             # -> (batch, classes)


def accuracies(validation, model):
    """Return the shares of pictures whose class is the first guess, and among the first five."""
    steps = -(-len(validation) // BATCH_SIZE)
    found = model.evaluate(filled(validation.batches(BATCH_SIZE)), steps=steps, verbose=0, return_dict=True)
    return found["top_1"], found["top_5"]


def filled(batches):  # with pictures that do not count: the same shape for all, and as many for each device
    for x, y in batches:
        rest = BATCH_SIZE - len(y)
        yield np.pad(x, [(0, rest), (0, 0), (0, 0), (0, 0)]), np.pad(y, (0, rest)), np.arange(BATCH_SIZE) < len(y)


# Step
@keras.saving.register_keras_serializable()  # so that keras.saving.load_model finds the class
class WarmUp(keras.optimizers.schedules.PolynomialDecay):
    # The learning rate rises over the first fifth of the steps, then falls to zero: the lower of two straight lines.
    # PolynomialDecay falls from 1.25 * LEARNING_RATE; the rise is 4 times as steep, so they cross after one fifth.
    def __call__(self, step):
        rise = 4 * self.initial_learning_rate * step / self.decay_steps
        return keras.ops.minimum(rise, super().__call__(step))


def compile_model(model, steps):
    model.compile(
        keras.optimizers.SGD(WarmUp(1.25 * LEARNING_RATE, max(steps, 1), end_learning_rate=0), MOMENTUM,
                             weight_decay=WEIGHT_DECAY),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[keras.metrics.SparseTopKCategoricalAccuracy(1, name="top_1"),
                          keras.metrics.SparseTopKCategoricalAccuracy(min(5, model.output_shape[-1]), name="top_5")])


# Training
def train(folder="records", epochs=EPOCHS, seed=0):
    devices = len(distribution.list_devices())
    if BATCH_SIZE % devices:
        sys.exit(f"A batch of {BATCH_SIZE} cannot be split evenly among {devices} devices.")
    if devices > 1:
        distribution.set_distribution(distribution.DataParallel(auto_shard_dataset=False))
    training, validation = records.load(folder, BATCH_SIZE)
    keras.utils.set_random_seed(seed)
    model = build_model(len(training.classes))
    steps = len(training) // BATCH_SIZE
    compile_model(model, epochs * steps)
    run = f"{training.describe()}, {epochs=} {seed=} {BATCH_SIZE=} {LEARNING_RATE=} {MOMENTUM=} {WEIGHT_DECAY=}"
    done = checkpoint.load_keras(CHECKPOINT, run, model)
    if done == epochs:
        sys.exit(f"{CHECKPOINT} has all {epochs} epochs. Move it away to begin anew.")
    for epoch in range(done + 1, epochs + 1):
        for i, layer in enumerate(model.layers):
            if isinstance(layer, layers.Dropout):  # the same numbers, whether it was interrupted or not
                layer.seed_generator.state.assign([seed + i, epoch])
        start = perf_counter()
        batches = training.batches(BATCH_SIZE, [seed, epoch])
        history = model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=int(sys.stdout.isatty())).history
        seconds = perf_counter() - start
        loss, = history["loss"]
        top_1, top_5 = accuracies(validation, model)
        print(f"epoch {epoch:2}  loss {loss:.3f}  validation top-1 {top_1:.2%} top-5 {top_5:.2%}  {seconds:.1f} s  "
              f"{steps * BATCH_SIZE / seconds:.0f} images per s", flush=True)
        checkpoint.save_keras(CHECKPOINT, run, epoch, model)
    return top_1


if __name__ == "__main__":
    train(*sys.argv[1:2])
