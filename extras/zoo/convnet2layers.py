"""Two convolutions of 3x3 and one pool, trained by Adam: python -m extras.zoo.convnet2layers"""
from extras.zoo.training import no_arguments, run  # first: it sets the log level before TensorFlow is imported
from keras import Sequential, layers, optimizers

EPOCHS, BATCH_SIZE, PARAMETERS = 5, 64, 1_199_882


def build_model():
    return Sequential([
        layers.Input((28, 28, 1)),
        layers.Conv2D(32, 3, activation="relu"),  # (batch, 28, 28, 1) -> (batch, 26, 26, 32)
        layers.Conv2D(64, 3, activation="relu"),  # -> (batch, 24, 24, 64)
        layers.MaxPooling2D(2),                   # -> (batch, 12, 12, 64)
        layers.Dropout(0.0),
        layers.Flatten(),                         # -> (batch, 9216)
        layers.Dense(128, "relu"),                # -> (batch, 128)
        layers.Dropout(0.2),
        layers.Dense(10, "softmax")])             # -> (batch, 10)


def train(epochs=EPOCHS, seed=0):
    return run("convnet2layers", build_model, optimizers.Adam(0.001), epochs, BATCH_SIZE, validation_size=0, seed=seed)


if __name__ == "__main__":
    no_arguments(__doc__)
    train()
