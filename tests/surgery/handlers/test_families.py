"""Every layer family: removal, growth, saving, cloning, on a small model."""

import keras
import numpy as np
import pytest
from keras import layers
from surgery.handlers.image_families import (
    channels_first,
    conv2d,
    conv3d,
    depth_multiplier,
    group_norm,
    grouped,
    groups_as_depthwise,
    image,
    instance_norm,
    many_ends,
    merges,
    nested,
    operations,
    prelu,
    sequential,
    shared,
    squeeze_excite,
)
from surgery.handlers.sequence_families import (
    attention,
    attention_over_images,
    bidirectional,
    compared,
    conv1d,
    conv_recurrent,
    conv_recurrent_ranks,
    dense,
    einsum,
    einsum_heads,
    embedding,
    free_shapes,
    grouped_attention,
    norms,
    recurrent,
    reshapes,
    split_gate,
    spread,
    stateful,
    states,
    tied,
    time_distributed,
)

from keras_netopt import surgery
from keras_netopt.surgery.channels.channel_graph import ChannelGraph

L = layers

EXACT = [
    *(dense, einsum, einsum_heads, embedding, conv1d, conv2d, conv3d),
    *(depth_multiplier, grouped, groups_as_depthwise, instance_norm),
    *(group_norm, norms, prelu, merges, squeeze_excite, reshapes),
    *(free_shapes, recurrent, states, bidirectional, time_distributed),
    *(conv_recurrent, conv_recurrent_ranks),
    *(attention, attention_over_images, stateful, nested, shared),
    *(grouped_attention, compared),
    *(many_ends, operations, split_gate, spread, sequential),
]
if keras.backend.backend() != "tensorflow":  # It needs a GPU there.
    EXACT.append(channels_first)
RIGID = [depth_multiplier, grouped, group_norm, channels_first, spread]


@pytest.mark.parametrize("family", EXACT, ids=lambda f: f.__name__)
def test_units_are_removed_copied_and_put_back_exactly(
    family, check_removal, check_growth, check_undone
):
    model, data = family()
    check_undone(model, data, 0)
    is_rigid = family in RIGID
    check_removal(model, data, is_rebuilt=is_rigid)
    if not is_rigid:
        check_growth(model, data)
        check_undone(model, data, 2)


def test_units_of_tied_embeddings_are_removed(check_removal):
    check_removal(*tied())


def test_whole_groups_of_a_normalization_are_removed(check_removal):
    check_removal(*group_norm(), is_rebuilt=True)


def test_filters_of_a_depthwise_convolution_go_with_their_channel():
    x = L.Input((4, 4, 3))
    y = L.Conv2D(3, 1, name="first")(x)
    y = L.DepthwiseConv2D(2, depth_multiplier=2)(y)
    model = keras.Model(x, L.Conv2D(2, 1, name="last")(y))
    last = model.get_layer("last")
    last.set_weights([np.arange(12.0).reshape(1, 1, 6, 2), np.zeros(2)])
    surgery.remove(model, {"first": [0]})
    rows = last.get_weights()[0].reshape(-1, 2)
    assert rows.tolist() == np.arange(12.0).reshape(6, 2)[2:].tolist()


@pytest.mark.parametrize(("axes", "width"), [("d", 1), ("de", 3)])
def test_a_bias_is_cut_along_its_own_axes(axes, width):
    x = L.Input((4, 6))
    layer = L.EinsumDense("abc,cde->abde", (None, 2, 4), bias_axes=axes)
    model = keras.Model(x, L.Dense(2)(layer(x)))
    surgery.remove(model, {layer.name: [0]})
    assert (layer.kernel.shape, layer.bias.shape) == ((6, 2, 3), (2, width))
    assert model(image(4, 6)).shape == (4, 4, 2, 2)


def test_normalized_units_grow_by_an_equal_multiple(check_growth):
    check_growth(*norms(), multiple=True)


@pytest.mark.parametrize("kind", ["", "key_size", "value_size"])
def test_one_kind_of_attention_units(kind, check_removal):
    """Dropout keeps JAX from its kernel, which wants both sizes equal."""
    x = L.Input((5, 8))
    layer = L.MultiHeadAttention(4, 6, dropout=0.1, name="att")
    y = layer(L.Dense(8)(x), x)
    model = keras.Model(x, L.Dense(2)(L.Flatten()(y)))
    groups = ChannelGraph(model).units("att", kind)[1::2]
    check_removal(model, image(5, 8), groups=groups)
    sizes = {"": (2, 6, 6), "key_size": (4, 3, 6), "value_size": (4, 6, 3)}
    assert (layer.num_heads, layer.key_dim, layer.value_dim) == sizes[kind]


@pytest.mark.backend("jax")  # Its attention kernel needs equal sizes.
def test_jax_keeps_key_and_value_size_equal():
    x = L.Input((5, 8))
    y = L.MultiHeadAttention(4, 6, name="att")(x, x)
    graph = ChannelGraph(keras.Model(x, L.Dense(2)(y)))
    assert (
        graph.layer_group("att", "key_size").layers
        == graph.layer_group("att", "value_size").layers
    )


@pytest.mark.parametrize(
    ("family", "starts"),
    [
        (grouped, {"is a group of the convolution "}),
        (
            depth_multiplier,
            {"has 2 filters per channel in ", "has 3 filters per channel in "},
        ),
        (group_norm, {"is a group of "}),
        (spread, {"is interleaved by "}),
    ],
)
def test_groups_that_cannot_be_copied_have_a_reason(family, starts):
    model, _ = family()
    parts = [
        text.split("'") for text in ChannelGraph(model).not_replicable.values()
    ]
    assert {start for start, _, _ in parts} == starts
    names = {layer.name for layer in model.layers}
    assert {name for _, name, _ in parts} <= names
