"""The hash of an architecture."""

import keras
from keras import layers

from keras_netopt.search.architecture_hash import hash_architecture


def network(
    kernel=3, activation="relu", name=None, swap=False, nested=False, dtype=None
):
    """The name of a layer, a nested model and an operation without a layer."""
    inputs = keras.Input((8, 8, 3))
    conv = layers.Conv2D(
        4, kernel, padding="same", activation=activation, name=name, dtype=dtype
    )
    parts = [conv(inputs), layers.Conv2D(4, 1)(inputs)]
    x = layers.Subtract()(parts[::-1] if swap else parts)
    if nested:
        inner = keras.Input((8, 8, 4))
        x = keras.Model(inner, layers.ReLU()(inner))(x)
    return keras.Model(inputs, keras.ops.mean(x, axis=(1, 2)))


def test_names_and_weights_do_not_count():
    plain = hash_architecture(network())
    for options in ({}, {"name": "stem"}, {"name": "relu"}):
        assert hash_architecture(network(**options)) == plain, options
    nested = [hash_architecture(network(nested=True)) for _ in range(2)]
    assert nested[0] == nested[1] != plain


def test_what_changes_the_latency_counts():
    every = [
        {},
        {"kernel": 5},
        {"activation": "tanh"},
        {"swap": True},
        {"nested": True},
        {"dtype": "mixed_float16"},
    ]
    hashes = {hash_architecture(network(**options)) for options in every}
    assert len(hashes) == len(every)
    # A layer that is called as an activation hides no activation.
    named = network(name="tanh", activation="tanh")
    assert hash_architecture(named) not in {
        hash_architecture(network(name="relu", activation="relu"))
    }


def test_a_subclassed_model_has_no_hash():
    class Own(keras.Model):
        pass

    assert hash_architecture(Own()) is None
