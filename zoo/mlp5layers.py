"""Five hidden layers of 512, linear as in the report they come from, then with ReLU: python -m zoo.mlp5layers

Beside mlp2layers.py: linear, five layers can do no more than two, or than one.
"""
from zoo.training import run  # first, because it silences TensorFlow's greetings
from keras import Sequential, layers, optimizers

EPOCHS, BATCH_SIZE, PARAMETERS = 5, 64, 1_457_674


def build_model(activation="linear"):
    model = Sequential([layers.Input((784,))])
    for dropout in 0, 0, 0, 0.2, 0.2:
        model.add(layers.Dense(512, activation))  # (batch, 784), then (batch, 512) -> (batch, 512)
        model.add(layers.Dropout(dropout))
    model.add(layers.Dense(10, "softmax"))        # -> (batch, 10)
    return model


def train(epochs=EPOCHS, seed=0, activation="linear"):
    return run(f"mlp5layers-{activation}", lambda: build_model(activation), optimizers.SGD(0.01), epochs, BATCH_SIZE,
               validation_size=0, seed=seed)


if __name__ == "__main__":
    train(activation="linear")
    train(activation="relu")
