"""Cuts to given widths, which keep the channels that matter."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.surgery.cutting.cut_to_widths import LayerWidth, WidthCutter


def build():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(12, 3, padding="same", name="first")(inputs)
    x = layers.BatchNormalization(momentum=0.9)(x)
    y = layers.DepthwiseConv2D(3, padding="same")(layers.ReLU()(x))
    x = layers.Add()([x, layers.Conv2D(12, 1, name="second")(y)])
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(10, activation="relu", name="hidden")(x)
    return keras.Model(inputs, layers.Dense(3, name="out")(x))


def test_the_first_convolution_has_a_width_and_the_output_none():
    found = WidthCutter(4).list_widths(build())
    assert found == [LayerWidth("first", 12, 4), LayerWidth("hidden", 10, 4)]


def test_layers_get_the_widths_given_and_coupled_ones_follow():
    model = build()
    report = WidthCutter(4).cut(model, {"first": 8})
    assert model.get_layer("first").filters == 8
    assert model.get_layer("second").filters == 8
    assert model.get_layer("hidden").units == 10
    assert {row.layer for row in report.widths} >= {"first", "second"}
    WidthCutter(4).cut(model, {"first": 1, "hidden": 99})
    assert model.get_layer("first").filters == 4, "the floor is kept"
    assert model.get_layer("hidden").units == 10


def test_units_that_do_nothing_go_first():
    """Then the outputs stay."""
    model = build()
    kernel, bias = model.get_layer("hidden").get_weights()
    kernel[:, [1, 4, 7]] = 0
    model.get_layer("hidden").set_weights([kernel, bias])
    out, own = model.get_layer("out").get_weights()
    out[[1, 4, 7]] = 0
    model.get_layer("out").set_weights([out, own])
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype("float32")
    before = keras.ops.convert_to_numpy(model(x))
    WidthCutter(4).cut(model, {"hidden": 7})
    after = keras.ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_costs_are_counted_without_a_cut():
    model = build()
    cutter = WidthCutter(4)
    whole = cutter.count(model, {})
    assert whole["params"] == model.count_params()
    counted = cutter.count(model, {"first": 8, "hidden": 5})
    cutter.cut(model, {"first": 8, "hidden": 5})
    assert counted["params"] == model.count_params()
    assert counted["macs"] < whole["macs"]


class OfLayers(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.one = layers.Dense(12, activation="relu")
        self.two = layers.Dense(3)

    def build(self, shape):
        self.one.build(shape)
        self.two.build((None, 12))
        self.built = True

    def call(self, x):
        return self.two(self.one(x))


def test_a_copy_whose_layers_have_new_names_is_cut():
    model = OfLayers()
    model.build((None, 4))
    cutter = WidthCutter(4)
    (width,) = cutter.list_widths(model)
    copy = keras.models.clone_model(model)
    assert copy.one.name != model.one.name
    cutter.cut(copy, {width.name: 6})
    assert (copy.one.units, model.one.units) == (6, 12)


@pytest.mark.no_backend
def test_a_model_without_removable_units_has_no_widths():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    assert WidthCutter(4).list_widths(model) == []
