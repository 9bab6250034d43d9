# /// script
# requires-python = ">=3.11"
# dependencies = ["filelock", "h5py", "jax", "joblib", "keras", "numpy", "requests", "simplejpeg"]
# ///
"""Inception with batch normalization in Keras: python -m extras.imagenet.inception_keras [RECORDS], on all GPUs."""
import os
import sys
from time import perf_counter

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "1")  # if more, they need threads, or wait for each other for ever
os.environ.setdefault("NPROC", str(max(os.cpu_count(), 2 * int(os.environ["JAX_NUM_CPU_DEVICES"]))))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
from keras import distribution, layers

from compare import checkpoint
from extras.imagenet import records

EPOCHS, BATCH_SIZE, LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 5, 32, 0.05, 0.9, 1e-4
CHECKPOINT = "inception_keras.weights.h5"  # in the current folder, after every epoch


# Weights
# Every layer makes its own as the model is built: the kernel by the initializer it is given, the biases as zeros.


# Model
MODULES = [  # the 1x1; before the 3x3 and in it; before the double 3x3 and in it; the pooling and the 1x1 after it
    (64, (64, 64), (64, 96), "average", 32),     # 3a: (batch, 28, 28, 192) -> (batch, 28, 28, 256)
    (64, (64, 96), (64, 96), "average", 64),     # 3b: -> (batch, 28, 28, 320)
    (0, (128, 160), (64, 96), "stride 2", 0),    # 3c: -> (batch, 14, 14, 576)
    (224, (64, 96), (96, 128), "average", 128),  # 4a
    (192, (96, 128), (96, 128), "average", 128),
    (160, (128, 160), (128, 160), "average", 96),
    (96, (128, 192), (160, 192), "average", 96),
    (0, (128, 192), (192, 256), "stride 2", 0),  # 4e: -> (batch, 7, 7, 1024)
    (352, (192, 320), (160, 224), "average", 128),
    (352, (192, 320), (192, 224), "max", 128)]


def conv(x, outputs, size=1, stride=1):
    if stride == 2:
        x = layers.ZeroPadding2D(size // 2)(x)  # on both sides; "same" would be on one
    x = layers.Conv2D(outputs, size, stride, "same" if stride == 1 else "valid", use_bias=False,
                      kernel_initializer="he_normal")(x)  # the normalisation has a bias
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def inception(x, one, three, double, pooling, after):
    stride = 2 if pooling == "stride 2" else 1
    branches = [conv(conv(x, three[0]), three[1], 3, stride),
                conv(conv(conv(x, double[0]), double[1], 3), double[1], 3, stride)]
    if stride == 2:
        branches.append(layers.MaxPooling2D(3, 2, "same")(x))
    else:
        pool = layers.MaxPooling2D if pooling == "max" else layers.AveragePooling2D
        branches += [conv(x, one), conv(pool(3, 1, "same")(x), after)]
    return layers.Concatenate()(branches)


def build_model(classes):
    pictures = keras.Input((224, 224, 3))
    x = layers.Rescaling(1 / 127.5, -1)(pictures)                              # uint8 -> from -1 to 1
    x = layers.MaxPooling2D(3, 2, "same")(conv(x, 64, 7, 2))                   # -> (batch, 56, 56, 64)
    x = layers.MaxPooling2D(3, 2, "same")(conv(conv(x, 64), 192, 3))           # -> (batch, 28, 28, 192)
    for module in MODULES:
        x = inception(x, *module)
    x = layers.GlobalAveragePooling2D()(x)                                     # -> (batch, 1024)
    x = layers.Dense(classes, kernel_initializer="he_normal")(x)               # -> (batch, classes)
    return keras.Model(pictures, x)


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
