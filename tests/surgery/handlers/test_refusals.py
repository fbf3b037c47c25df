"""Unsupported calls are protected, with the layer and the reason."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

from keras_netopt.surgery.channels.channel_graph import ChannelGraph


def behind(layer, width=6, shape=(4,)):
    """The reason why a Dense layer before this one must stay."""
    x = L.Input(shape)
    y = L.Dense(width, name="made")(x)
    y = layer(y)
    y = L.Dense(2, name="head")(L.Flatten()(y))
    return ChannelGraph(keras.Model(x, y)).layer_group("made").reason


def test_softmax_over_channels():
    reason = behind(L.Softmax(name="probs"))
    assert reason == "touches Softmax 'probs', which mixes channels"


def test_softmax_over_another_axis_is_free():
    assert behind(L.Softmax(axis=1), shape=(3, 4)) is None


def test_softmax_activation_layer():
    assert behind(L.Activation("softmax", name="act")) == (
        "touches Activation 'act', which has the activation 'softmax', which "
        "may mix channels"
    )


@pytest.mark.parametrize("activation", ["softmax", "log_softmax", "sparsemax"])
def test_activation_that_mixes_the_units_of_a_layer(activation):
    x = L.Input((4,))
    y = L.Dense(6, activation=activation, name="mixed")(x)
    graph = ChannelGraph(keras.Model(x, L.Dense(2)(y)))
    assert graph.layer_group("mixed").reason == (
        f"passes the activation '{activation}' of Dense 'mixed', which may "
        "mix channels"
    )


@pytest.mark.parametrize("units", [5, 6])
@pytest.mark.parametrize(
    "activation",
    [
        lambda z: z[..., ::-1],
        lambda z: z * np.arange(z.shape[-1], dtype="float32"),
    ],
    ids=["reversed", "constant of each unit"],
)
def test_unknown_activation(activation, units):
    """A function is traced with 5 entries, which may fit its constants."""
    x = L.Input((4,))
    y = L.Dense(units, activation=activation, name="mixed")(x)
    graph = ChannelGraph(keras.Model(x, L.Dense(2)(y)))
    assert graph.layer_group("mixed").reason == (
        "passes the activation '<lambda>' of Dense 'mixed', which may mix "
        "channels"
    )


@pytest.mark.parametrize(
    "activation", ["relu", "gelu", "swish", "mish", L.LeakyReLU(), None]
)
def test_elementwise_activation(activation):
    x = L.Input((4,))
    y = L.Dense(6, activation=activation, name="free")(x)
    graph = ChannelGraph(keras.Model(x, L.Dense(2)(y)))
    assert graph.layer_group("free").reason is None


def test_unit_normalization():
    assert behind(L.UnitNormalization(name="unit")) == (
        "touches UnitNormalization 'unit', which normalizes over channels"
    )


def test_lambda_layer():
    reason = behind(L.Lambda(lambda y: ops.sort(y), name="own"))
    assert reason.startswith("touches Sort 'sort")
    assert reason.endswith("' in Lambda 'own', which sorts channels")
    assert behind(L.Lambda(lambda y: y, name="own")) is None


def test_scales_for_each_channel():
    assert behind(L.Rescaling([1.0] * 6, name="scale")) == (
        "touches Rescaling 'scale', which has a constant for each channel"
    )
    assert behind(L.Rescaling(2.0)) is None


def test_masking():
    x = L.Input((3, 4))
    y = L.Masking(name="mask")(L.Dense(6, name="made")(x))
    graph = ChannelGraph(keras.Model(x, L.Dense(2)(L.GRU(3)(y))))
    assert graph.layer_group("made").reason == (
        "touches Masking 'mask', which compares all channels to find masked "
        "steps"
    )


def test_convolution_over_an_axis_of_channels():
    def turned(y):
        return L.Conv1D(3, 2, name="conv")(L.Permute((2, 1))(y))

    assert behind(turned, shape=(3, 4)) == (
        "touches Conv1D 'conv', which works on axis 2 of a tensor whose "
        "channels are on axis 1"
    )


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda y: ops.mean(y, axis=-1), "reduces over channels"),
        (lambda y: ops.sum(y), "reduces over channels"),
        (lambda y: y[:, 2:], "takes some of the channels"),
        (
            lambda y: ops.split(y, [2], axis=-1)[0],
            "splits channels at fixed positions",
        ),
        (lambda y: ops.pad(y, [[0, 0], [1, 1]]), "pads channels"),
        (lambda y: ops.softmax(y), "mixes channels"),
        (lambda y: ops.sort(y), "sorts channels"),
        (lambda y: ops.diff(y), "has no handler"),
    ],
)
def test_operations(function, reason):
    found = behind(lambda y: L.Flatten()(ops.expand_dims(function(y), -1)))
    assert found.endswith(f", which {reason}")


def test_merge_protects_a_broadcast_channel():
    x = L.Input((4,))
    y = L.Dense(6, name="made")(x)
    gate = L.Dense(1, name="gate")(x)
    model = keras.Model(x, L.Dense(2)(L.Multiply()([y, gate])))
    graph = ChannelGraph(model)
    assert graph.layer_group("made").reason is None
    reason = "is a single channel that is broadcast"
    assert graph.layer_group("gate").reason == reason


def test_merge_with_an_input_protects():
    x = L.Input((6,))
    y = L.Dense(6, name="made")(x)
    model = keras.Model(x, L.Dense(2)(L.Add()([x, y])))
    reason = "comes from an input of the model"
    assert ChannelGraph(model).layer_group("made").reason == reason


def test_tied_embeddings_are_cut_and_not_copied():
    x = L.Input((5,), dtype="int32")
    embed = L.ReversibleEmbedding(9, 8, name="tied")
    y = L.Dense(8, name="last")(embed(x))
    graph = ChannelGraph(keras.Model(x, embed(y, reverse=True)))
    group = graph.layer_group("last")
    assert group.reason is None
    assert group.not_replicable == (
        "is made and taken as input by 'embeddings'"
    )
    graph = ChannelGraph(keras.Model(x, L.Dense(2)(y)))
    assert graph.layer_group("tied").not_replicable is None


def test_lora_and_quantized_layers():
    model = keras.Sequential(
        [
            L.Input((4,)),
            L.Dense(8, name="lora"),
            L.Dense(8, name="plain"),
            L.Dense(8, name="int8"),
            L.Dense(2, name="head"),
        ]
    )
    model.get_layer("lora").enable_lora(2)
    model.get_layer("int8").quantize("int8")
    graph = ChannelGraph(model)
    with pytest.raises(
        ValueError,
        match=r"^Dense 'lora' cannot be changed: it has LoRA weights\. "
        r"Received: layer='lora'$",
    ):
        graph.units("lora")
    reason = "touches Dense 'int8', which is quantized"
    assert graph.layer_group("plain").reason == reason


def test_recurrent_layer_with_a_custom_cell():
    class Cell(L.SimpleRNNCell):
        pass

    x = L.Input((5, 4))
    y = L.Dense(6, name="made")(x)
    y = L.RNN(Cell(3), name="rnn")(y)
    graph = ChannelGraph(keras.Model(x, L.Dense(2)(y)))
    assert graph.layer_group("made").reason == (
        "touches RNN 'rnn', which has a cell of type Cell"
    )


def test_wrapper_around_an_unknown_layer():
    def wrapped(y):
        layer = L.Lambda(lambda z: ops.sort(z), name="own")
        return L.TimeDistributed(layer)(y)

    assert behind(wrapped, shape=(3, 4)).endswith(
        "in Lambda 'own', which sorts channels"
    )


def test_weight_shared_with_an_unknown_layer():
    class Projection(L.Layer):
        def __init__(self, embedding, **options):
            super().__init__(**options)
            self.embedding = embedding

        def call(self, inputs):
            table = ops.transpose(self.embedding.embeddings)
            return ops.matmul(inputs, table)

    x = L.Input((5,), dtype="int32")
    embed = L.Embedding(9, 6, name="embed")
    y = L.Dense(6, name="made")(embed(x))
    model = keras.Model(x, Projection(embed, name="tied")(y))
    graph = ChannelGraph(model)
    assert graph.layer_group("embed").reason == (
        "is in 'embeddings', which Projection 'tied' reads or writes outside "
        "of `keras.ops`"
    )


def test_mask_for_each_head():
    x = L.Input((5, 8))
    mask = L.Input((4, 5, 5), dtype="bool")
    y = L.Dense(8, name="made")(x)
    y = L.MultiHeadAttention(4, 2, name="att")(y, y, attention_mask=mask)
    graph = ChannelGraph(keras.Model([x, mask], L.Dense(2)(y)))
    assert graph.layer_group("made").reason == (
        "touches MultiHeadAttention 'att', which is called with a mask for "
        "each head"
    )


def test_head_that_a_softmax_follows_reaches_the_output():
    x = L.Input((4,))
    y = L.Dense(3, activation="softmax", name="head")(x)
    graph = ChannelGraph(keras.Model(x, y))
    reason = "reaches the output 'head' of the model"
    assert graph.layer_group("head").reason == reason


def test_variable_that_is_an_argument_of_an_op():
    x = L.Input((4,))
    made = L.Dense(6, name="made")
    y = L.Dense(2, name="last")(made(x))
    assert ChannelGraph(keras.Model(x, y)).layer_group("made").reason is None
    model = keras.Model(x, y + ops.mean(ops.matmul(x, made.kernel)))
    assert (
        ChannelGraph(model)
        .layer_group("made")
        .reason.startswith(
            "is in 'kernel', which is an argument of Matmul 'matmul"
        )
    )


def test_layers_before_the_first_channels():
    x = L.Input((1,))
    y = L.CategoryEncoding(4)(L.Discretization(bin_boundaries=[0.0, 1.0])(x))
    graph = ChannelGraph(keras.Model(x, L.Dense(2)(L.Dense(6)(y))))
    assert [len(group.free) for group in graph.layer_groups()] == [6, 0]
    reason = behind(L.Discretization(bin_boundaries=[0.0], name="bins"))
    assert reason == (
        "touches Discretization 'bins', which computes with the values of "
        "channels"
    )
