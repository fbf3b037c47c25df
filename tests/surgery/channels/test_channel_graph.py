"""The channel graph: groups, paths, reasons and the printed report."""

import re
import sys

import keras
import numpy as np
import pytest
from keras import layers as L

from keras_netopt.surgery import Handler, register
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.channels.connected_components import (
    connected_components,
)


def residual():
    x = L.Input((6, 6, 3))
    y = L.Conv2D(4, 3, padding="same", name="stem")(x)
    z = L.BatchNormalization(name="norm")(y)
    z = L.Conv2D(5, 3, padding="same", name="inner")(z)
    z = L.Conv2D(4, 3, padding="same", name="outer")(z)
    y = L.Add(name="add")([y, z])
    y = L.GlobalAveragePooling2D(name="pool")(y)
    return keras.Model(x, L.Dense(2, name="head")(y), name="net")


def whole(message):
    return f"^{re.escape(message)}$"


def test_connected_components_follow_chains_of_pairs():
    pairs = [(np.array([5, 1]), np.array([4, 0])), ([4], [1])]
    assert connected_components(7, pairs).tolist() == [0, 0, 1, 2, 0, 0, 3]
    assert connected_components(3, []).tolist() == [0, 1, 2]


def test_addition_couples_its_producers():
    graph = ChannelGraph(residual())
    assert graph.units("stem").tolist() == graph.units("outer").tolist()
    layers = graph.layer_group("outer")
    assert [one.name for one in layers.layers] == ["stem", "outer"]
    assert layers.groups.tolist() == graph.units("stem").tolist()
    assert layers.free.tolist() == layers.groups.tolist()
    assert (layers.reason, layers.normalized_by, layers.not_replicable) == (
        None,
        None,
        None,
    )


def test_layer_groups_are_in_model_order_with_each_producer_once():
    graph = ChannelGraph(residual())
    names = [[one.name for one in s.layers] for s in graph.layer_groups()]
    assert names == [["stem", "outer"], ["inner"], ["head"]]
    assert sum(len(s.groups) for s in graph.layer_groups()) == 4 + 5 + 2


def test_each_axis_is_coupled_once():
    model = residual()
    graph = ChannelGraph(model)
    keys = [(b.variable.path, b.axis) for b in graph.coupled_axes]
    assert len(set(keys)) == len(keys)
    axes = sum(len(weight.shape) for weight in model.weights)
    spatial = 3 * 2  # Two axes of each of the three kernels.
    assert len(keys) == axes - spatial
    roles = {
        (b.layer.name, b.variable.name, b.axis): b for b in graph.coupled_axes
    }
    assert roles["stem", "kernel", 3].role == "out"
    assert roles["inner", "kernel", 2].role == "in"
    assert roles["norm", "moving_variance", 0].role == "pass"
    assert roles["norm", "moving_variance", 0].new_value == "ones"
    assert roles["stem", "bias", 0].new_value == "zeros"


def test_explain_prints_each_coupled_axis_and_the_reasons():
    graph = ChannelGraph(residual())
    assert str(graph.explain("head")) == "\n".join(
        [
            "head: 2 units, 2 groups",
            "layer   variable   axis   role",
            "head    kernel        1   out",
            "head    bias          0   out",
            "protected: reaches the output 'head' of the model",
        ]
    )
    group = graph.explain("outer")
    assert ("norm", "gamma", 0, "pass") in group.rows
    assert ("head", "kernel", 0, "in") in group.rows
    assert group.notes == ()


def test_explain_lists_layers_behind_a_concatenation():
    x = L.Input((3,))
    y = [L.Dense(4, name="one")(x), L.Dense(5, name="two")(x)]
    z = L.Dense(2, name="head")(L.Concatenate()(y))
    graph = ChannelGraph(keras.Model(x, z))
    for name in ("one", "two"):
        assert ("head", "kernel", 0, "in") in graph.explain(name).rows


def test_explain_lists_limits():
    x = L.Input((6, 6, 3))
    y = L.Conv2D(6, 3, name="a")(x)
    y = L.Conv2D(6, 3, groups=2, name="groups")(y)
    y = L.Conv2D(4, 1, name="b")(y)
    y = L.LayerNormalization(name="norm")(y)
    model = keras.Model(x, L.Dense(2)(L.Flatten()(y)))
    graph = ChannelGraph(model)
    assert graph.explain("a").notes == (
        "cannot be copied: is a group of the convolution 'groups'",
    )
    assert graph.explain("b").notes == (
        "removal changes the outputs: crosses LayerNormalization 'norm'",
    )
    assert (
        graph.layer_group("a").not_replicable
        and graph.layer_group("b").normalized_by
    )


def test_paths_lead_into_nested_models():
    inner = keras.Sequential(
        [L.Input((4,)), L.Dense(5, name="fc")], name="encoder"
    )
    x = L.Input((4,))
    y = L.Dense(4, name="fc")(x)
    model = keras.Model(x, L.Dense(2, name="head")(inner(y)))
    graph = ChannelGraph(model)
    fc = inner.get_layer("fc")
    assert graph.find("encoder/fc") is fc
    assert graph.path(fc) == "encoder/fc"
    assert graph.find(fc) is fc
    assert graph.find("fc") is model.get_layer("fc")
    assert graph.units("encoder/fc").tolist() == graph.units(fc).tolist()
    assert len(graph.units("fc")) == 4


def test_name_inside_one_nested_model_is_enough():
    inner = keras.Sequential([L.Input((4,)), L.Dense(5, name="deep")])
    x = L.Input((4,))
    graph = ChannelGraph(keras.Model(x, L.Dense(2)(inner(x))))
    assert graph.find("deep") is inner.get_layer("deep")


def test_name_in_two_nested_models_is_ambiguous():
    def encoder(name):
        layers = [L.Input((4,)), L.Dense(4, name="fc")]
        return keras.Sequential(layers, name=name)

    x = L.Input((4,))
    y = L.Dense(2)(encoder("b")(encoder("a")(x)))
    graph = ChannelGraph(keras.Model(x, y))
    message = "Several layers have the name 'fc': a/fc, b/fc. Received: "
    with pytest.raises(ValueError, match=whole(message + "layer='fc'")):
        graph.find("fc")


def test_unknown_name_lists_the_three_nearest():
    graph = ChannelGraph(residual())
    with pytest.raises(ValueError) as error:
        graph.find("outter")
    assert str(error.value).startswith(
        "There is no layer 'outter' in the model 'net'; the nearest names "
        "are 'outer', "
    )
    assert str(error.value).count("'") == 12


def test_layer_of_another_model_is_refused():
    graph = ChannelGraph(residual())
    other = L.Dense(2, name="alien")
    with pytest.raises(
        ValueError,
        match=r"^Layer 'alien' is not part of the model 'net'. Received: ",
    ):
        graph.find(other)


def test_layer_without_units_is_refused():
    graph = ChannelGraph(residual())
    message = (
        "BatchNormalization 'norm' makes no units of its own. "
        "Received: layer='norm'"
    )
    with pytest.raises(ValueError, match=whole(message)):
        graph.units("norm")


def test_wrapper_has_the_units_of_its_inner_layer():
    x = L.Input((5, 4))
    y = L.Bidirectional(L.GRU(3, return_sequences=True), name="both")(x)
    y = L.TimeDistributed(L.Dense(6), name="steps")(y)
    graph = ChannelGraph(keras.Model(x, L.Dense(2)(y)))
    assert len(graph.units("both")) == 3 and len(graph.units("steps")) == 6
    layers = [path.split("/")[0] for path, *_ in graph.explain("both").rows]
    assert set(layers) == {"both", "steps"}


def test_unknown_kind_lists_the_known_kinds():
    x = L.Input((5, 8))
    y = L.MultiHeadAttention(4, 2, output_shape=6, name="att")(x, x)
    graph = ChannelGraph(keras.Model(x, L.Dense(2)(y)))
    assert len(graph.units("att")) == 4
    assert len(graph.units("att", "value_size")) == 2
    assert len(graph.units("att", "key_size")) == 2
    assert len(graph.units("att", "output")) == 6
    message = (
        "MultiHeadAttention 'att' makes no units of the kind 'size'; its "
        "kinds are ['key_size', 'value_size', 'output']. "
        "Received: layer='att'"
    )
    with pytest.raises(ValueError, match=whole(message)):
        graph.units("att", "size")


def test_unbuilt_subclassed_model_names_its_parts():
    class Own(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            part = [L.Input((4,)), L.Dense(2)]
            self.encoder = keras.Sequential(part, name="encoder")

    message = (
        "The model 'own' is not built, so its channels are unknown. Call it "
        "on data, or call `model.build(input_shape)`, or edit its parts: "
        "'encoder'. Received: model=Own"
    )
    with pytest.raises(ValueError, match=whole(message)):
        ChannelGraph(Own(name="own"))


def test_model_whose_build_made_no_weights_is_refused():
    class Own(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = L.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Own(name="own")
    with pytest.warns(UserWarning, match="does not have a `build"):
        model.build((None, 3))
    message = (
        "The model 'own' is not built, so its channels are unknown. "
        "`model.build` made no weights: call a new instance on data. "
        "Received: model=Own"
    )
    with pytest.raises(ValueError, match=whole(message)):
        ChannelGraph(model)


def test_layer_of_layers_names_those_that_make_units():
    inputs = keras.Input((3,))
    inner = keras.Sequential([L.Input((3,)), L.Dense(4, name="in")], name="a")
    graph = ChannelGraph(keras.Model(inputs, L.Dense(2)(inner(inputs))))
    message = (
        "Sequential 'a' makes no units of its own; name a layer inside it: "
        "['a/in']. Received: layer='a'"
    )
    with pytest.raises(ValueError, match=whole(message)):
        graph.units("a")


def test_unbuilt_model_is_refused():
    model = keras.Sequential([L.Dense(2)], name="late")
    message = (
        "The model 'late' is not built, so its channels are unknown. Call it "
        "on data, or call `model.build(input_shape)`. "
        "Received: model=Sequential"
    )
    with pytest.raises(ValueError, match=whole(message)):
        ChannelGraph(model)
    model.build((None, 3))
    assert len(ChannelGraph(model).units(model.layers[0])) == 2


def test_other_objects_than_models_are_refused():
    message = "Argument `model` must be a `keras.Model`. Received: model=3"
    with pytest.raises(TypeError, match=whole(message)):
        ChannelGraph(3)


def test_subclass_of_a_functional_model_has_a_graph():
    class Named(keras.Model):
        pass

    x = L.Input((3,))
    y = L.Dense(4, name="hidden")(x)
    model = Named(x, L.Dense(2)(y))
    assert ChannelGraph(model).layer_group("hidden").reason is None


def test_weights_of_two_layers_couple_their_units():
    one = L.Dense(4, name="one")

    class Tied(L.Dense):
        def build(self, input_shape):
            self._kernel, self.bias = one._kernel, None
            self.built = True

    x = L.Input((4,))
    y = [one(x), Tied(4, name="two")(x)]
    model = keras.Model(x, L.Dense(2)(L.Concatenate()(y)))
    graph = ChannelGraph(model)
    assert graph.units("one").tolist() == graph.units("two").tolist()


def test_layer_with_an_unsupported_call_is_protected():
    """One call can be followed, the other not: the layer keeps its width."""
    x = L.Input((6, 6, 3))
    y = L.Conv2D(6, 3, padding="same", name="first")(x)
    conv = L.Conv2D(6, 3, padding="same", name="conv")
    turned = L.Permute((1, 3, 2))(y)
    y = L.GlobalAveragePooling2D()(conv(y))
    z = L.GlobalAveragePooling2D()(conv(L.Permute((1, 3, 2))(turned)))
    mixed = L.GlobalAveragePooling2D()(conv(turned))
    model = keras.Model(x, L.Dense(2)(L.Concatenate()([y, z, mixed])))
    graph = ChannelGraph(model)
    reason = (
        "touches Conv2D 'conv', which works on axis 3 of a tensor whose "
        "channels are on axis 2"
    )
    first = graph.layer_group("first")
    assert first.reason == reason
    assert set(graph.units("conv")) <= set(graph.protected)


class Gain(L.Layer):
    def build(self, input_shape):
        self.gain = self.add_weight(shape=(input_shape[-1],), name="gain")

    def call(self, inputs):
        return inputs * self.gain


class GainHandler(Handler):
    def trace(self, graph, layer, node):
        (tensor,) = node.input_tensors
        ids = graph.channels(tensor, -1)
        graph.couple_axis(layer, layer.gain, 0, ids, "pass", new_value="ones")
        graph.set_channels(node.outputs[0], -1, ids)

    def update_attributes(self, layer, node):
        layer.synced = layer.gain.shape


@pytest.fixture
def registry():
    from keras_netopt.surgery import handler_registry

    before = dict(handler_registry._LAYERS)
    yield
    handler_registry._LAYERS.clear()
    handler_registry._LAYERS.update(before)


def with_gain(layer):
    x = L.Input((4,))
    y = layer(L.Dense(6, name="hidden")(x))
    return keras.Model(x, L.Dense(2)(y))


class Differing(L.Layer):
    def call(self, inputs):
        return keras.ops.diff(inputs)


class DifferingGain(Gain):
    def call(self, inputs):
        return keras.ops.diff(super().call(inputs))


def test_unknown_op_in_a_layer_protects_its_inputs_and_outputs():
    graph = ChannelGraph(with_gain(Differing(name="own")))
    reason = graph.layer_group("hidden").reason
    assert reason.startswith("touches Diff 'diff")
    assert reason.endswith("' in Differing 'own', which has no handler")


def test_layer_without_a_handler_is_traced_into():
    graph = ChannelGraph(with_gain(Gain(name="own")))
    assert graph.layer_group("hidden").reason is None
    assert ("own", "gain", 0, "pass") in graph.explain("hidden").rows


def test_registered_layer_is_traced(registry):
    assert register(Gain, GainHandler) is GainHandler
    graph = ChannelGraph(with_gain(Gain(name="own")))
    assert graph.layer_group("hidden").reason is None
    assert ("own", "gain", 0, "pass") in graph.explain("hidden").rows


def test_register_is_also_a_decorator(registry):
    @register(Gain)
    class Decorated(GainHandler):
        pass

    assert Decorated.__name__ == "Decorated"
    assert ChannelGraph(with_gain(Gain())).layer_group("hidden").reason is None


def test_subclass_that_overrides_call_is_traced_instead(registry):
    class Renamed(Gain):
        pass

    register(Gain, GainHandler)
    assert (
        ChannelGraph(with_gain(Renamed())).layer_group("hidden").reason is None
    )
    reason = (
        ChannelGraph(with_gain(DifferingGain(name="own")))
        .layer_group("hidden")
        .reason
    )
    assert reason.endswith("' in DifferingGain 'own', which has no handler")


def test_register_checks_its_arguments(registry):
    message = "Argument `layer_class` must be a class. Received: "
    with pytest.raises(TypeError, match=whole(f"{message}layer_class='x'")):
        register("x", GainHandler)
    message = "Argument `handler` must have the method `trace`. Received: "
    with pytest.raises(TypeError, match=whole(f"{message}handler=3")):
        register(Gain, 3)


def test_the_work_grows_linearly_with_the_depth():
    def calls(depth):
        x = y = L.Input((2, 2, 8))
        for _ in range(depth):
            z = L.ReLU()(L.Dense(8)(y))
            y = L.Add()([y, z])
        model, count = keras.Model(x, L.Dense(2)(y)), 0

        def profile(frame, event, argument):
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(profile)
        try:
            ChannelGraph(model).layer_groups()
        finally:
            sys.setprofile(None)
        return count

    assert calls(40) < 5 * calls(10)
