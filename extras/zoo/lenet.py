"""A larger, later variant of LeNet, with tanh: python -m extras.zoo.lenet

This is the network that MXNet's examples call LeNet: 20 - 50 - 500 - 10 with max-pooling. Caffe's has the same sizes.
LeNet-5 itself has 6 - 16 - 120 - 84 - 10, pooling layers with trainable weights, and RBF (radial basis function) units
as outputs (LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition).
"""
from extras.zoo.training import no_arguments, run  # first: it sets the log level before TensorFlow is imported
from keras import Sequential, layers, optimizers

EPOCHS, BATCH_SIZE, LEARNING_RATE, PARAMETERS = 10, 64, 0.1, 431_080


def build_model():
    return Sequential([
        layers.Input((28, 28, 1)),
        layers.Conv2D(20, 5, activation="tanh"),  # (batch, 28, 28, 1) -> (batch, 24, 24, 20)
        layers.MaxPooling2D(2),                   # -> (batch, 12, 12, 20)
        layers.Conv2D(50, 5, activation="tanh"),  # -> (batch, 8, 8, 50)
        layers.MaxPooling2D(2),                   # -> (batch, 4, 4, 50)
        layers.Flatten(),                         # -> (batch, 800)
        layers.Dense(500, "tanh"),                # -> (batch, 500)
        layers.Dense(10, "softmax")])             # -> (batch, 10)


def train(epochs=EPOCHS, seed=0):
    def optimizer(steps):
        return optimizers.SGD(optimizers.schedules.CosineDecay(LEARNING_RATE, steps))

    return run("lenet", build_model, optimizer, epochs, BATCH_SIZE, seed=seed)


if __name__ == "__main__":
    no_arguments(__doc__)
    train()
