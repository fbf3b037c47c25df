"""Parents of a few units, and what is compared of them."""

import keras
import numpy as np
from keras import layers

from keras_netopt import search

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 6)).astype("float32")
Y = X[:, :1] - X[:, 1:2]
DATA = (X, Y)
IMAGES = RNG.normal(size=(4, 6, 6, 1)).astype("float32")


@keras.saving.register_keras_serializable("tests_morphism")
class OwnStep(keras.Model):
    """A Functional subclass with a `train_step` of its own."""

    def train_step(self, *arguments):
        return super().train_step(*arguments)


class Scaled(layers.Layer):
    """A layer of a user, not registered with Keras."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        return x * self.scale


def compiled(model, optimizer=None, **options):
    model.compile(
        optimizer or keras.optimizers.SGD(0.05, momentum=0.9),
        "mse",
        metrics=["mae"],
        run_eagerly=True,
        **options,
    )
    return model


def build_mlp(cls=keras.Model, extra=()):
    keras.utils.set_random_seed(1)
    x = inputs = keras.Input((6,))
    x = layers.Dense(8, activation="relu", name="one")(x)
    for layer in extra:
        x = layer(x)
    x = layers.Dense(6, activation="relu", name="two")(x)
    return compiled(cls(inputs, layers.Dense(1, name="out")(x)))


def build_sequential():
    keras.utils.set_random_seed(1)
    return compiled(
        keras.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(8, activation="relu", name="one"),
                layers.Dense(1, name="out"),
            ]
        )
    )


def build_cnn():
    keras.utils.set_random_seed(1)
    x = inputs = keras.Input((6, 6, 1))
    for name in ("conv0", "conv1"):
        x = layers.Conv2D(6, 3, padding="same", use_bias=False, name=name)(x)
        x = layers.BatchNormalization(name=f"norm_{name}")(x)
        x = layers.ReLU(name=f"relu_{name}")(x)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(1, name="out")(x)
    return compiled(keras.Model(inputs, outputs), keras.optimizers.Adam(0.01))


def state(model):
    """Copies of the weights and of the optimizer's state."""
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(one)) for one in variables]


def same(first, second):
    return len(first) == len(second) and all(
        np.array_equal(one, other)
        for one, other in zip(first, second, strict=True)
    )


def make(parent, folder, **options):
    """A search of two children, without controls."""
    settings = {
        "max_trials": 2,
        "population_size": 1,
        "sample_size": 1,
        "controls": 0,
    }
    return search.Morphism(
        parent,
        "val_loss",
        directory=folder,
        min_channels=2,
        **{**settings, **options},
    )


def run(tuner, **options):
    """Trains each network for two steps."""
    settings = {"batch_size": 32, "epochs": 2, "verbose": 0}
    tuner.search(*DATA, **{**settings, "validation_data": DATA, **options})
    return tuner
