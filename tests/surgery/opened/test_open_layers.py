"""Layers without a handler are traced into, edited, or refused by name."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_netopt import surgery
from keras_netopt.surgery import ChannelGraph

from . import layers as own


def outputs(model, x):
    return ops.convert_to_numpy(model(x))


def masked(model, graph, groups, x):
    """Outputs with the weights that read some groups set to zero."""
    gone = np.isin(np.arange(graph.group_count), groups)
    weights = model.get_weights()
    places = {id(v): k for k, v in enumerate(model.weights)}
    zeroed = [w.copy() for w in weights]
    for axis in graph.coupled_axes:
        if axis.role == "in":
            array = zeroed[places[id(axis.variable)]]
            np.moveaxis(array, axis.axis, 0)[gone[graph.group_of[axis.ids]]] = 0
    model.set_weights(zeroed)
    found = outputs(model, x)
    model.set_weights(weights)
    return found


CUT = [
    (own.FeedForward(12, name="own"), "own/first"),
    (own.Attention(4, name="own"), "own/value"),
    (own.RawWeights(12, name="own"), ("own", "w1.1")),
    (own.Remembering(12, name="own"), "own/first"),
    (own.Counting(12, name="own"), "own/first"),
    (own.Repeating(12, name="own"), "own/first"),
    (own.Outer(12, name="own"), "own/inside/first"),
    (own.Experts(6, name="own"), ("own", "w1.2")),
    (own.TiedRotary(4, name="own"), ("own", "key.1")),
]


@pytest.mark.parametrize(
    ("layer", "place"), CUT, ids=[type(layer).__name__ for layer, _ in CUT]
)
def test_half_of_the_units_inside_are_removed_exactly(layer, place):
    model, x = own.around(layer), own.data()
    graph = ChannelGraph(model)
    name = place if isinstance(place, tuple) else (place, "")
    units = graph.units(*name)
    groups = np.unique(units)[: len(np.unique(units)) // 2]
    removed = [k for k, group in enumerate(units) if group in groups]
    before, expected = outputs(model, x), masked(model, graph, groups, x)
    sizes = model.count_params()

    key = ":".join(name) if name[1] else name[0]
    surgery.remove(model, {key: removed})

    assert np.abs(before - expected).max() > 0.05
    np.testing.assert_allclose(outputs(model, x), expected, atol=2e-6)
    assert model.count_params() < sizes


def reason(layer, name="own/first"):
    return ChannelGraph(own.around(layer)).layer_group(name).reason


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (own.Conditional(12, name="own"), "used as a boolean"),
        (own.ThroughNumPy(12, name="own"), "A KerasTensor is symbolic"),
    ],
)
def test_layer_that_needs_values_is_refused_with_the_reason(layer, words):
    model = own.around(layer)
    text = ChannelGraph(model).layer_group("before").reason
    kind = type(layer).__name__
    assert text.startswith(f"touches {kind} 'own', which cannot be traced: ")
    assert words in text
    with pytest.raises(ValueError, match="cannot be changed: it is inside"):
        surgery.remove(model, {"own/first": [0]})


def test_weight_that_is_read_from_a_list_protects_its_units():
    # The Multiply inside sees an array of 12 entries.
    text = reason(own.ScaleInList(12, name="own"))
    assert "constant of shape (12,)" in text


def test_constant_of_the_width_protects_its_units():
    text = reason(own.Constant(12, name="own"))
    assert "constant of shape (12,)" in text


def test_building_a_graph_changes_nothing():
    layer = own.Counting(12, name="own")
    model = own.around(own.Outer(12)), own.around(layer)
    before = [
        (one, {k: v for k, v in vars(one).items() if k[0] != "_"})
        for part in model
        for one in part._flatten_layers()
    ]
    weights = [w for part in model for w in part.get_weights()]
    keras.layers.Dense(1)  # Its name has no number.
    auto = keras.layers.Dense(1).name

    for part in model:
        ChannelGraph(part)

    for one, old in before:
        new = {k: v for k, v in vars(one).items() if k[0] != "_"}
        assert new.keys() == old.keys()
        assert all(new[k] is old[k] for k in old)
        assert len(one._inbound_nodes) <= 1 or one is layer
    after = [w for part in model for w in part.get_weights()]
    assert all(
        np.array_equal(a, b) for a, b in zip(weights, after, strict=True)
    )
    number = int(auto.rpartition("_")[2])
    assert keras.layers.Dense(1).name == f"dense_{number + 1}"


def test_edit_that_the_code_of_a_layer_does_not_follow_is_undone():
    layer = own.HiddenSize(12, name="own")
    model, x = own.around(layer), own.data()
    y, weights = outputs(model, x), model.get_weights()
    attributes = {k: v for k, v in vars(layer).items() if k[0] != "_"}

    with pytest.raises(ValueError, match="it returns other outputs") as error:
        surgery.remove(model, {"own/first": [0, 1, 2]})

    assert "HiddenSize 'own'" in str(error.value)
    assert "surgery.register" in str(error.value)
    assert np.array_equal(outputs(model, x), y)
    for old, new in zip(weights, model.get_weights(), strict=True):
        assert np.array_equal(old, new)
    assert attributes == {k: v for k, v in vars(layer).items() if k[0] != "_"}
    assert layer.first.units == 12


@pytest.mark.parametrize("scale", [0.0, 1e-6])
def test_zeros_at_the_end_of_a_branch_hide_no_difference(scale):
    layer = own.HiddenSize(12, name="own")
    model = own.around(layer)
    for variable in layer.last.variables:
        variable.assign(variable * scale)
    weights = model.get_weights()
    with pytest.raises(ValueError, match="it returns other outputs"):
        surgery.remove(model, {"own/first": [0, 1, 2]})
    for old, new in zip(weights, model.get_weights(), strict=True):
        assert np.array_equal(old, new)


def test_a_gain_that_starts_at_zero_hides_no_difference():
    class Gain(own.HiddenSize):
        def build(self, shape):
            super().build(shape)
            self.gain = self.add_weight(name="gain", initializer="zeros")

        def call(self, x, training=None):
            return x + self.gain * super().call(x)

    layer = Gain(12, name="own")
    model = own.around(layer)
    layer.gain.assign(0.0)
    with pytest.raises(ValueError, match="it returns other outputs"):
        surgery.remove(model, {"own/first": [0, 1, 2]})
    assert layer.first.units == 12


def test_config_follows_an_attribute_that_call_does_not_read():
    model = own.around(own.FeedForward(12, name="own"))
    surgery.remove(model, {"own/first": [0, 1, 2]})
    assert model.get_layer("own").get_config()["hidden"] == 9


@pytest.mark.parametrize(
    ("layer", "place"), CUT, ids=[type(layer).__name__ for layer, _ in CUT]
)
def test_units_inside_are_widened(layer, place):
    shares_heads = isinstance(layer, (own.Attention, own.TiedRotary))
    layer = type(layer)(4 if shares_heads else 6, name="own")
    model, x = own.around(layer), own.data()
    y, size = outputs(model, x), model.count_params()
    name = place if isinstance(place, str) else place[0]
    kind = "" if isinstance(place, str) else place[1]
    if shares_heads:
        with pytest.raises(ValueError, match="is (interleaved|repeated) by"):
            surgery.widen(model, name, factor=2, kind=kind)
        return
    surgery.widen(model, name, to=9, kind=kind)
    assert model.count_params() > size
    np.testing.assert_allclose(outputs(model, x), y, atol=2e-6)


def test_subclassed_model_is_cut_widened_and_trained():
    model, x = own.Network(24), own.data((8, 8, 3))
    y = outputs(model, x)
    model.compile("sgd", "mse")
    surgery.widen(model, "dense", to=40)
    np.testing.assert_allclose(outputs(model, x), y, atol=2e-6)

    graph = ChannelGraph(model)
    groups = graph.units("first")[:8]
    expected = masked(model, graph, groups, x)
    surgery.remove(model, {"first": range(8)})

    assert np.abs(expected - y).max() > 0.01
    np.testing.assert_allclose(outputs(model, x), expected, atol=2e-6)
    kernel = model.first.kernel
    before = ops.convert_to_numpy(kernel)
    model.fit(x, np.ones((4, 3)), verbose=0)
    assert kernel.shape[-1] == 16
    assert np.abs(ops.convert_to_numpy(kernel) - before).max() > 0


def test_subclassed_model_has_no_place_for_a_block():
    model = own.Network(24)
    outputs(model, own.data((8, 8, 3)))
    with pytest.raises(ValueError, match="is subclassed: its code calls"):
        surgery.deepen(model, "dense")


def test_subclassed_model_that_cannot_be_traced_is_told_what_works():
    class Branching(own.Network):
        def call(self, x):
            return x if ops.max(x) > 100 else super().call(x)

        def build(self, shape):
            self.first.build(shape)
            self.second.build((*shape[:-1], 24))
            self.norm.build((*shape[:-1], 24))
            self.dense.build((None, 24))
            self.out.build((None, 32))

    model = Branching(24)
    outputs(model, own.data((8, 8, 3)))
    with pytest.raises(ValueError, match="cannot be traced") as error:
        ChannelGraph(model)
    assert "`Mine(inputs, outputs)`" in str(error.value)


def test_pruning_leaves_what_the_code_of_a_layer_does_not_follow():
    layer = own.FixedReshape(name="own")
    model, x = own.around(layer), own.data()
    report = surgery.prune_channels(model, 0.5, min_channels=1)
    assert layer.block.first.units == 6
    assert layer.attention.v.units == 8
    text = dict(report.skipped)["own/attention/value"]
    assert text.startswith("its code does not follow the cut: ")
    assert np.isfinite(outputs(model, x)).all()


def test_what_surrounds_a_layer_that_cannot_be_traced_is_cut():
    layer = own.Mixed(name="own")
    inputs = keras.Input((5, 8))
    y = keras.layers.GlobalAveragePooling1D()(layer(inputs)[0])
    model = keras.Model(inputs, keras.layers.Dense(2)(y))
    report = surgery.prune_channels(model, 0.5, min_channels=1)
    assert layer.block.first.units == 6
    assert layer.closed.first.units == 10
    reasons = dict(report.skipped)
    text = next(v for k, v in reasons.items() if "closed/first" in k)
    assert "closed" in text or "known" in text
    assert outputs(model, own.data()).shape == (4, 2)


def test_weight_that_only_training_uses_refuses_a_cut():
    layer = own.TrainingWeight(12, name="own")
    model = own.around(layer)
    with pytest.raises(ValueError, match="own.*in training, ") as error:
        surgery.remove(model, {"own/first": [0, 1]})
    assert "surgery.register" in str(error.value)
    assert layer.first.units == 12
    model(own.data(), training=True)
