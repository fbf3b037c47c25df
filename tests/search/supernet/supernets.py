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


def nested():
    inputs = keras.Input((6,))
    return keras.Model(inputs, supernet()(inputs))


def nested_with_shared_weights():
    """The weights of the outer model are an input of the inner one."""
    x, weights = keras.Input((6,)), keras.Input(batch_shape=(4,))
    cell = keras.Model(
        [x, weights], Choice(candidates(), name="e")([x, weights])
    )
    outer = keras.Input((6,))
    decision = ArchitectureWeights(4, name="w")(outer)
    return keras.Model(outer, cell([cell([outer, decision]), decision]))


def first_and_last():
    choices = [Choice(candidates(), name=name) for name in ("a", "b")]
    return keras.Sequential([keras.Input((6,)), *choices])


def in_other_layers():
    """A choice inside a choice, and inside a wrapper."""
    inner = keras.Sequential([Choice(candidates(), name="inner")], name="seq")
    choice = Choice([inner, Choice(candidates(), name="direct")], name="outer")
    inputs = keras.Input((6,))
    x = layers.RepeatVector(3)(choice(inputs))
    wrapped = layers.TimeDistributed(Choice(candidates(), name="wrapped"))
    return keras.Model(inputs, wrapped(x))


@keras.saving.register_keras_serializable("tests")
class Holder(keras.Model):
    """A subclassed model that takes its layers from the config."""

    def __init__(self, choice, **kwargs):
        super().__init__(**kwargs)
        self.choice = choice
        self.head = layers.Dense(2)

    def call(self, x):
        return self.head(self.choice(x))

    def get_config(self):
        choice = keras.saving.serialize_keras_object(self.choice)
        return {**super().get_config(), "choice": choice}

    @classmethod
    def from_config(cls, config):
        choice = keras.saving.deserialize_keras_object(config.pop("choice"))
        return cls(choice, **config)


def subclassed():
    model = Holder(Choice(candidates(), name="c"))
    model(data()[0])
    return model


NETS = [
    supernet,
    lambda: supernet(shared=True),
    nested,
    nested_with_shared_weights,
    first_and_last,
    in_other_layers,
    subclassed,
]
