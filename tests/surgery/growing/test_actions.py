"""Actions are plain data; what they do is tested with the operations."""

import json

import keras
import pytest

from keras_netopt.surgery.growing.actions import Deepen, Widen
from keras_netopt.surgery.growing.target_width import target_width


@pytest.mark.parametrize(
    ("arguments", "width"),
    [
        ({"to": 12}, 12),
        ({"factor": 2}, 20),
        ({"factor": 1.25}, 13),
        ({"factor": 1.01}, 11),
        ({"add": 3}, 13),
        ({"to": 12, "round_to": 8}, 16),
        ({"add": 6, "round_to": 8}, 16),
    ],
)
def test_target_width(arguments, width):
    whole = {"to": None, "factor": None, "add": None, **arguments}
    assert target_width(10, **whole) == width


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({}, ValueError, "`to`, `factor` and `add`: exactly one must"),
        ({"to": 4, "add": 2}, ValueError, "exactly one must be"),
        ({"factor": 1.0}, ValueError, "`factor` must be above 1"),
        ({"factor": 0.5}, ValueError, "`factor` must be above 1"),
        ({"factor": "2"}, TypeError, "`factor` must be a number"),
        ({"to": 0}, ValueError, "`to` must be an integer of at least 1"),
        ({"add": -1}, ValueError, "`add` must be an integer of at least 1"),
        ({"to": 2.5}, TypeError, "`to` must be an integer"),
        ({"to": 2, "round_to": 0}, ValueError, "`round_to` must be an integer"),
    ],
)
def test_widen_refuses(arguments, error, text):
    with pytest.raises(error, match=text):
        Widen("h", **arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"layer": 3}, TypeError, "`layer` must be a layer or its name"),
        ({"copies": 0}, ValueError, "`copies` must be an integer of at least"),
        ({"init": "zero"}, ValueError, "`init` must be one of"),
        ({"block": 3}, TypeError, "`block` must be a function"),
    ],
)
def test_deepen_refuses(arguments, error, text):
    with pytest.raises(error, match=text):
        Deepen(**{"layer": "h", **arguments})


@keras.saving.register_keras_serializable("test_actions")
def make_block(tensor):
    return keras.layers.Dense(tensor.shape[-1])(tensor)


@pytest.mark.parametrize(
    "action",
    [
        Widen("h", factor=1.5, round_to=8),
        Widen("block/h", to=4),
        Deepen("h", copies=2, init="identity"),
        Deepen("h", block=make_block),
    ],
)
def test_config_round_trip(action):
    config = keras.saving.serialize_keras_object(action)
    config = json.loads(json.dumps(config))
    assert keras.saving.deserialize_keras_object(config) == action


def test_a_layer_object_is_saved_by_its_name():
    layer = keras.layers.Dense(3, name="h")
    action = Widen(layer, add=1)
    assert action.layer is layer
    assert action.get_config()["layer"] == "h"


def test_which_actions_preserve_the_outputs():
    widen = Widen("h", add=1)
    assert widen.preserves_outputs("zero") and not widen.preserves_outputs(
        "random"
    )
    kept = [
        init
        for init in ("residual_zero", "identity", "copy", "gaussian")
        if Deepen("h", init=init).preserves_outputs("random")
    ]
    assert kept == ["residual_zero", "identity"]
