"""A supernet of two choices and data whose answer is known."""

import keras
import numpy as np

import keras_netopt as netopt


def make_data(samples=48):
    """Classes that one tanh layer separates, and an identity does not."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, (samples, 4)).astype("float32")
    return x, (x[:, 0] * x[:, 1] > 0).astype("int32")


NAMES = ("first", "second")


def build_supernet(optimizer=None, seed=3, edges=2, **options):
    """Edges with a skip connection, a layer and nothing."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(8, name="stem")(inputs)
    for name in NAMES[:edges]:
        x = netopt.layers.Choice(
            [
                keras.layers.Identity(name="skip"),
                keras.layers.Dense(8, activation="tanh", name="dense"),
                keras.layers.Rescaling(0.0, name="zero"),
            ],
            name=name,
        )(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(x))
    model.compile(
        optimizer or keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        **options,
    )
    return model


def alphas(model):
    """The weights of the options, by choice."""
    layers = [one for one in model.layers if one.name in NAMES]
    found = [one.arch_alpha for one in layers]
    return np.array([keras.ops.convert_to_numpy(one) for one in found])


def variables(model):
    held = [*model.variables, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(one)) for one in held]


class Stop(Exception):
    """Ends a `fit` call as a crash would."""


class StopAt(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise Stop
