"""Three layers, 784-128-64-10, trained by plain SGD with a rate that falls to zero: python -m extras.zoo.mlp3"""
from extras.zoo.training import no_arguments, run  # first: it sets the log level before TensorFlow is imported
from keras import Sequential, layers, optimizers

EPOCHS, BATCH_SIZE, LEARNING_RATE, PARAMETERS = 10, 100, 0.5, 109_386


def build_model():
    return Sequential([
        layers.Input((784,)),
        layers.Dense(128, "relu"),     # (batch, 784) -> (batch, 128)
        layers.Dense(64, "relu"),      # -> (batch, 64)
        layers.Dense(10, "softmax")])  # -> (batch, 10)


def train(epochs=EPOCHS, seed=0):
    def optimizer(steps):
        return optimizers.SGD(optimizers.schedules.PolynomialDecay(LEARNING_RATE, steps, end_learning_rate=0))

    return run("mlp3", build_model, optimizer, epochs, BATCH_SIZE, seed=seed)


if __name__ == "__main__":
    no_arguments(__doc__)
    train()
