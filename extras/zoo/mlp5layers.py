"""Five hidden layers of 512, linear as in the report they come from, then with ReLU: python -m extras.zoo.mlp5layers

Beside mlp2layers.py: linear, five layers can do no more than two, or than one. With ReLU they can, but learn slowly
at the report's rate of 0.01 (95.7 % after five epochs); so the twin has He's initial weights, made for ReLU, and a
rate that falls from 0.1 to zero, chosen on the validation set.
"""
from extras.zoo.training import no_arguments, run  # first: it sets the log level before TensorFlow is imported
from keras import Sequential, layers, optimizers

EPOCHS, BATCH_SIZE, PARAMETERS = 5, 64, 1_457_674
LEARNING_RATE, RELU_LEARNING_RATE = 0.01, 0.1


def build_model(activation="linear"):
    weights = "glorot_uniform" if activation == "linear" else "he_normal"
    model = Sequential([layers.Input((784,))])
    for dropout in 0, 0, 0, 0.2, 0.2:
        model.add(layers.Dense(512, activation, kernel_initializer=weights))  # (batch, 784), then (batch, 512)
        model.add(layers.Dropout(dropout))                                    # -> (batch, 512)
    model.add(layers.Dense(10, "softmax"))                                    # -> (batch, 10)
    return model


def train(epochs=EPOCHS, seed=0, activation="linear"):
    def optimizer(steps):
        if activation == "linear":
            return optimizers.SGD(LEARNING_RATE)
        return optimizers.SGD(optimizers.schedules.PolynomialDecay(RELU_LEARNING_RATE, steps, end_learning_rate=0))

    return run(f"mlp5layers-{activation}", lambda: build_model(activation), optimizer, epochs, BATCH_SIZE,
               validation_size=0, seed=seed)


if __name__ == "__main__":
    no_arguments(__doc__)
    train(activation="linear")
    train(activation="relu")
