"""EarlyExit: returns its inputs; its head is not tracked."""

import keras
import numpy as np
import pytest

from keras_netopt.depth import add_exits
from keras_netopt.layers import EarlyExit


def net(**marker):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(5, activation="relu")(inputs)
    x = EarlyExit(name="easy", **marker)(x)
    return keras.Model(inputs, keras.layers.Dense(3)(x))


def test_the_inputs_are_returned_bit_for_bit(x):
    outputs = EarlyExit(keras.layers.Dense(3))(x, training=True)
    assert np.array_equal(keras.ops.convert_to_numpy(outputs), x)


def test_a_plain_fit_does_not_train_the_head(x):
    head = keras.layers.Dense(3)
    model = net(head=head)
    assert len(model.weights) == 4 and not head.built
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((16, 3)), verbose=0)  # No missing gradient.


def test_masks_are_propagated():
    layer = keras.layers.Embedding(5, 4, mask_zero=True)
    marked = EarlyExit()(layer(np.array([[1, 0]])))
    mask = keras.src.backend.get_keras_mask(marked)
    assert keras.ops.convert_to_numpy(mask).tolist() == [[True, False]]


def test_a_plain_file_stores_the_config_of_the_head(x, tmp_path):
    model = net(head=keras.layers.Dense(3, name="own"))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")

    marker = loaded.get_layer("easy")
    assert marker.netopt_exit_head.units == 3
    assert np.array_equal(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0)
    )
    assert add_exits(loaded).exit_names == ("easy", "final")


def test_two_sets_of_exits_share_the_head():
    model = net(head=keras.layers.Dense(3, name="own"))
    first, second = add_exits(model), add_exits(model)
    assert first.get_layer("own") is second.get_layer("own")


def test_a_head_must_be_a_layer():
    with pytest.raises(TypeError, match="`head` must be a Keras layer or None"):
        EarlyExit(head="dense")
