"""Two hidden layers of 512, linear as in the report they come from, then with ReLU: python -m extras.zoo.mlp2layers

Linear, two layers can do no more than one: a matrix times a matrix is a matrix.
"""
from extras.zoo.training import no_arguments, run  # first: it sets the log level before TensorFlow is imported
from keras import Sequential, layers, optimizers

EPOCHS, BATCH_SIZE, PARAMETERS = 5, 64, 669_706


def build_model(activation="linear"):
    return Sequential([
        layers.Input((784,)),
        layers.Dense(512, activation),  # (batch, 784) -> (batch, 512)
        layers.Dropout(0.0),
        layers.Dense(512, activation),  # -> (batch, 512)
        layers.Dropout(0.2),
        layers.Dense(10, "softmax")])   # -> (batch, 10)


def train(epochs=EPOCHS, seed=0, activation="linear"):
    return run(f"mlp2layers-{activation}", lambda: build_model(activation),
               optimizers.RMSprop(0.001, rho=0.9, epsilon=1e-7), epochs, BATCH_SIZE, validation_size=0, seed=seed)


if __name__ == "__main__":
    no_arguments(__doc__)
    train(activation="linear")
    train(activation="relu")
