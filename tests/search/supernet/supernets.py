"""Small supernets for the tests."""

import keras
import numpy as np
from keras import layers

from keras_netopt.layers import ArchitectureWeights, Choice

OPTIONS = ("block", "dense", "skip", "none")


def to_numpy(tensor):
    tensor = keras.ops.stop_gradient(tensor)
    return np.array(keras.ops.convert_to_numpy(tensor))


def candidates():
    """A block with state, a plain layer, the identity and a cut edge."""
    block = [
        layers.Dense(6, activation="relu"),
        layers.BatchNormalization(momentum=0.5),
        layers.Dropout(0.3, seed=1),
    ]
    return [
        keras.Sequential(block, name="block"),
        layers.Dense(6, activation="tanh", name="dense"),
        layers.Identity(name="skip"),
        layers.Rescaling(0.0),
    ]


def supernet(*, shared=False, **arguments):
    """Two choices between three dense layers."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    x = layers.Dense(6, name="first")(inputs)
    if shared:
        weights = ArchitectureWeights(4, name="cell", **arguments)(inputs)
        x = Choice(candidates(), name="edge1")([x, weights])
        x = Choice(candidates(), name="edge2")([x, weights])
    else:
        x = Choice(candidates(), name="edge1", **arguments)(x)
        x = Choice(candidates(), name="edge2", **arguments)(x)
    return keras.Model(inputs, layers.Dense(3, name="last")(x))


def data(samples=32):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((samples, 6)).astype("float32")
    return x, (np.arange(samples) % 3).astype("int32")
