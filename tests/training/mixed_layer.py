"""A layer with an architecture variable, as small as can be."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("tests")
class MixedDense(keras.layers.Layer):
    """Mixes activations of one input by a softmax of `alpha`."""

    functions = (ops.relu, ops.tanh, lambda x: x)

    def build(self, shape):
        self.alpha = self.add_weight(
            shape=(3,), initializer="zeros", name="alpha"
        )

    def call(self, x):
        p = ops.softmax(self.alpha)
        return sum(p[i] * one(x) for i, one in enumerate(self.functions))


def build_mixed(optimizer, **options):
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="tanh"),
            MixedDense(name="mixed"),
            keras.layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **options)
    return model


def make_data(samples=40):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, 6)).astype("float32")
    return x, rng.integers(0, 3, samples)
