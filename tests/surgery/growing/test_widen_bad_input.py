"""Fallbacks and refusals of `widen`."""

import keras
import numpy as np
import pytest
from keras import layers
from surgery.growing.widen_nets import build, dense_net, residual_net

from keras_netopt.surgery.growing.widen import widen


def test_paired_falls_back_to_zero_under_dropout():
    x = inputs = keras.Input((6,))
    x = layers.Dense(5, activation="relu", name="target")(x)
    x = layers.Dropout(0.3, name="drop")(x)
    model = keras.Model(inputs, layers.Dense(3)(x))
    report = widen(model, "target", add=2, new_units="paired")
    assert report.notes == (
        "new_units='zero' is used instead of 'paired': Dropout 'drop' is "
        "between the layers",
    )
    assert report.edit["new_units"] == "zero"
    report = widen(model, "target", add=2, new_units="net2net")
    assert "in training on average only" in report.notes[0]


def test_dropout_elsewhere_does_not_matter():
    x = inputs = keras.Input((6,))
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(5, activation="relu", name="target")(x)
    x = layers.Dense(4)(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Dropout(0.2)(x)))
    assert not widen(model, "target", add=2, new_units="paired").notes


def test_dropout_inside_a_layer_also_counts():
    x = inputs = keras.Input((5, 6))
    x = layers.MultiHeadAttention(2, 4, dropout=0.1, name="target")(x, x)
    model = keras.Model(inputs, layers.Dense(3)(x))
    report = widen(model, "target", add=2, new_units="paired")
    assert "MultiHeadAttention 'target' has dropout" in report.notes[0]


def test_paired_falls_back_to_zero_in_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = build(dense_net)
    finally:
        keras.config.set_dtype_policy("float32")
    report = widen(model, "target", add=2, new_units="paired")
    assert "'target' computes in float16" in report.notes[0]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"layer": "targt"}, ValueError, "no layer 'targt'.*nearest.*'target'"),
        ({"layer": "out"}, ValueError, "may grow; .*'out' reaches the"),
        ({"layer": "act"}, ValueError, "'act' makes no units of its own"),
        ({"to": 5}, ValueError, "`to` must be above 5, the number"),
        ({"to": 3}, ValueError, "`to` must be above 5, the number"),
        ({"to": 8, "add": 2}, ValueError, "exactly one must"),
        ({"factor": 1.0}, ValueError, "`factor` must be above 1"),
        ({"factor": 0.5}, ValueError, "`factor` must be above 1"),
        ({"add": 1, "new_units": "even"}, ValueError, "`new_units` must be"),
        (
            {"add": 1, "new_units": "gradmax"},
            ValueError,
            "`calibration_data` must hold",
        ),
        ({"add": 1, "seed": "a"}, TypeError, "`seed` must be an integer"),
        ({"add": 1, "round_to": 0}, ValueError, "`round_to` must be an int"),
        (
            {"add": 1, "calibration_data": 3},
            TypeError,
            "`calibration_data` must be a tuple",
        ),
        ({"add": 1, "kind": "heads"}, ValueError, "no units of the kind"),
    ],
)
def test_invalid_widening_is_refused_and_nothing_changes(
    arguments, error, text
):
    x = inputs = keras.Input((6,))
    x = layers.Dense(5, name="target")(x)
    x = layers.Activation("relu", name="act")(x)
    model = keras.Model(inputs, layers.Dense(3, name="out")(x))
    weights = model.get_weights()
    whole = {"layer": "target", **arguments}
    if "layer" in arguments:
        whole["add"] = 1
    with pytest.raises(error, match=text):
        widen(model, **whole)
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_protected_layer_is_refused_with_the_reason():
    x = inputs = keras.Input((6,))
    x = layers.Dense(5, name="target")(x)
    x = layers.Softmax(name="mix")(x)
    model = keras.Model(inputs, layers.Dense(3)(x))
    with pytest.raises(ValueError, match="units of 'target' .*'mix'"):
        widen(model, "target", add=1)


def test_groups_of_a_convolution_are_refused():
    x = inputs = keras.Input((6, 6, 4))
    x = layers.Conv2D(4, 1)(x)
    x = layers.Conv2D(8, 3, groups=2, name="target")(x)
    model = keras.Model(inputs, layers.Conv2D(3, 2)(x))
    with pytest.raises(ValueError, match="units of 'target' .*group of the"):
        widen(model, "target", factor=2)


def test_adafactor_accepts_copies_but_no_zero_outgoing_weights():
    model = dense_net()
    model.compile(keras.optimizers.Adafactor(), "mse")
    for arguments in ({}, {"dry_run": True}):
        with pytest.raises(ValueError, match="Adafactor"):
            widen(model, "target", add=2, **arguments)
    widen(model, "target", add=2, new_units="net2net")
    assert model.get_layer("target").units == 7


def test_ftrl_is_refused():
    model = dense_net()
    model.compile(keras.optimizers.Ftrl(), "mse")
    with pytest.raises(ValueError, match="Ftrl"):
        widen(model, "target", add=2, new_units="net2net")


def test_a_dry_run_changes_nothing_and_reports_the_same():
    model = build(residual_net)
    weights = model.get_weights()
    dry = widen(model, "target", add=3, dry_run=True)
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert dry.dry_run
    report = widen(model, "target", add=3)
    for name in ("widths", "before", "after", "notes", "edit"):
        assert getattr(dry, name) == getattr(report, name)
