"""Every layer family: removal, growth, saving, cloning, on a small model."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt.surgery.graph.channel_graph import ChannelGraph

L = layers
RNG = np.random.default_rng(7)


def image(*shape):
    return RNG.normal(size=(4, *shape)).astype("float32")


def dense():
    x = L.Input((5,))
    y = L.Dense(8, activation="gelu")(x)
    y = L.Dense(6, activation="sigmoid", use_bias=False)(y)
    return keras.Model(x, L.Dense(3)(y)), image(5)


def einsum():
    x = L.Input((4, 6))
    y = L.EinsumDense("abc,cd->abd", (None, 8), bias_axes="d")(x)
    y = L.EinsumDense("...x,xhd->...hd", (2, 5), bias_axes="hd")(y)
    y = L.EinsumDense("abhd,hdo->abo", (None, 6), bias_axes="o")(y)
    y = L.Reshape((4, 6))(y)
    y = L.EinsumDense("ab...,bc->ac...", 3, bias_axes="c")(y)
    y = L.Flatten()(y)
    return keras.Model(x, L.Dense(2)(y)), image(4, 6)


def einsum_heads():
    """A kernel for each head: the head's axis is on the way."""
    x = L.Input((4, 6))
    y = L.EinsumDense("btd,dhk->bthk", (4, 3, 4))(x)
    y = L.EinsumDense("bthk,hkm->bthm", (4, 3, 5), bias_axes="hm")(y)
    y = L.EinsumDense("bthm,hmo->bto", (4, 2))(y)
    return keras.Model(x, y), image(4, 6)


def embedding():
    x = L.Input((5,), dtype="int32")
    y = L.Embedding(11, 8)(x)
    y = L.GlobalAveragePooling1D()(y)
    return keras.Model(x, L.Dense(2)(y)), RNG.integers(0, 11, (4, 5))


def conv1d():
    x = L.Input((9, 3))
    y = L.Conv1D(8, 3, activation="relu", padding="causal")(x)
    y = L.MaxPooling1D()(y)
    y = L.ZeroPadding1D()(y)
    y = L.Conv1DTranspose(6, 3, strides=2)(y)
    y = L.Cropping1D()(y)
    y = L.UpSampling1D()(y)
    y = L.SeparableConv1D(6, 3)(y)
    y = L.DepthwiseConv1D(3)(y)
    y = L.GlobalMaxPooling1D()(y)
    return keras.Model(x, L.Dense(2)(y)), image(9, 3)


def conv2d():
    x = L.Input((9, 9, 3))
    y = L.Conv2D(8, 3, activation="relu", padding="same")(x)
    y = L.BatchNormalization(momentum=0.9)(y)
    y = L.AveragePooling2D(2)(y)
    y = L.ZeroPadding2D()(y)
    y = L.Conv2DTranspose(6, 3, strides=2)(y)
    y = L.Cropping2D()(y)
    y = L.UpSampling2D()(y)
    y = L.Dropout(0.3)(y)
    y = L.SeparableConv2D(6, 3)(y)
    y = L.LeakyReLU()(y)
    y = L.DepthwiseConv2D(3)(y)
    y = L.SpatialDropout2D(0.3)(y)
    y = L.Conv2D(4, 3, dilation_rate=2)(y)
    y = L.GlobalAveragePooling2D()(y)
    return keras.Model(x, L.Dense(2)(y)), image(9, 9, 3)


def conv3d():
    x = L.Input((5, 5, 5, 2))
    y = L.Conv3D(6, 3, activation="elu", padding="same")(x)
    y = L.MaxPooling3D()(y)
    y = L.ZeroPadding3D()(y)
    y = L.Conv3DTranspose(4, 3)(y)
    y = L.Cropping3D()(y)
    y = L.UpSampling3D()(y)
    y = L.GlobalAveragePooling3D()(y)
    return keras.Model(x, L.Dense(2)(y)), image(5, 5, 5, 2)


def depth_multiplier():
    x = L.Input((6, 6, 3))
    y = L.Conv2D(6, 3)(x)
    y = L.DepthwiseConv2D(3, depth_multiplier=2)(y)
    y = L.BatchNormalization()(y)
    y = L.Conv2D(4, 1)(y)
    y = L.SeparableConv2D(5, 2, depth_multiplier=3)(y)
    y = L.Flatten()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def grouped():
    """Whole groups; two outputs a group; a depthwise one; one group left."""
    x = L.Input((6, 6, 3))
    y = L.Conv2D(8, 3)(x)
    y = L.Conv2D(12, 3, groups=4, padding="same")(y)
    y = L.BatchNormalization()(y)
    y = L.Conv2D(6, 1)(y)
    y = L.Conv2D(12, 3, groups=6, padding="same")(y)
    y = L.Conv2D(4, 1)(y)
    y = L.Conv2D(4, 3, groups=4)(y)
    y = L.Conv2D(4, 1)(y)
    y = L.Conv2D(4, 1, groups=2)(y)
    y = L.Flatten()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def groups_as_depthwise():
    x = L.Input((6, 6, 3))
    y = L.Conv2D(6, 3)(x)
    y = L.Conv2D(6, 3, groups=6, padding="same")(y)
    y = L.Conv2D(4, 1)(y)
    y = L.Flatten()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def instance_norm():
    x = L.Input((6, 6, 3))
    y = L.Conv2D(6, 3)(x)
    y = L.GroupNormalization(-1)(y)
    y = L.Conv2D(6, 1)(y)
    y = L.GlobalMaxPooling2D()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def group_norm():
    x = L.Input((6, 6, 3))
    y = L.Conv2D(12, 3)(x)
    y = L.GroupNormalization(4)(y)
    y = L.Activation("silu")(y)
    y = L.Conv2D(6, 1)(y)
    y = L.GroupNormalization(2)(y)
    y = L.GlobalMaxPooling2D()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def norms():
    """Normed units stay; the hidden ones beside them are cut."""
    x = L.Input((6, 5))
    y = L.Dense(8)(x)
    y = L.LayerNormalization()(y)
    y = L.Dense(8, activation="relu")(y)
    y = L.Dense(6)(y)
    y = L.RMSNormalization()(y)
    y = L.Dense(6, activation="relu")(y)
    y = L.Dense(4)(y)
    y = L.GroupNormalization(1)(y)
    y = L.Flatten()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 5)


def prelu():
    x = L.Input((6, 6, 3))
    y = L.Conv2D(6, 3)(x)
    y = L.PReLU(shared_axes=[1, 2])(y)
    y = L.Conv2D(6, 3)(y)
    y = L.PReLU()(y)
    y = L.Flatten()(y)
    y = L.Dense(6)(y)
    y = L.PReLU()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def merges():
    x = L.Input((6, 6, 3))
    a, b, c = (L.Conv2D(6, 1, name=n)(x) for n in "abc")
    y = L.Add()([L.Multiply()([a, b]), c])
    d, e = (L.Conv2D(4, 1, name=n)(y) for n in "de")
    y = L.Concatenate()([L.Subtract()([d, e]), y, x])
    f, g = (L.Conv2D(4, 1, name=n)(y) for n in "fg")
    y = L.Concatenate(axis=1)([L.Maximum()([f, g]), f])
    y = L.Average()([y, L.Minimum()([y, y])])
    y = L.GlobalAveragePooling2D()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def squeeze_excite():
    """A gate by channels, and one that is broadcast over channels."""
    x = L.Input((6, 6, 3))
    y = L.Conv2D(8, 3)(x)
    s = L.GlobalAveragePooling2D()(y)
    s = L.Reshape((1, 1, 8))(s)
    s = L.Conv2D(4, 1, activation="relu")(s)
    s = L.Conv2D(8, 1, activation="sigmoid")(s)
    y = L.Multiply()([y, s])
    y = L.Multiply()([y, L.Conv2D(1, 1, activation="sigmoid")(y)])
    y = L.GlobalAveragePooling2D(keepdims=True)(y)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(6, 6, 3)


def reshapes():
    """A generator, tokens, and axes in another order."""
    x = L.Input((5,))
    y = L.Dense(3 * 3 * 8)(x)
    y = L.Reshape((3, 3, 8))(y)
    y = L.Conv2D(6, 2, padding="same")(y)
    y = L.Reshape((-1, 6))(y)
    y = L.Dense(6, activation="relu")(y)
    y = L.Permute((2, 1))(y)
    y = L.Dense(5)(y)
    y = L.Reshape((30,))(y)
    return keras.Model(x, L.Dense(2)(y)), image(5)


def free_shapes():
    x = L.Input((None, None, 3))
    y = L.Conv2D(6, 3)(x)
    y = L.Reshape((-1, 6))(y)
    y = L.Dense(4, activation="relu")(y)
    y = L.GlobalAveragePooling1D()(y)
    y = L.RepeatVector(3)(y)
    y = L.Dense(4)(y)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(6, 6, 3)


def recurrent():
    x = L.Input((5, 3))
    y = L.LSTM(6, return_sequences=True)(x)
    y = L.GRU(6, return_sequences=True)(y)
    y = L.GRU(4, reset_after=False, return_sequences=True)(y)
    y = L.SimpleRNN(4, use_bias=False, go_backwards=True)(y)
    return keras.Model(x, L.Dense(2)(y)), image(5, 3)


def states():
    """An encoder hands its states to a decoder."""
    x = L.Input((5, 3))
    y, h, c = L.LSTM(6, return_sequences=True, return_state=True)(x)
    z = L.LSTM(6, return_sequences=True)(x, initial_state=[h, c])
    y = L.Concatenate()([y, z])
    z, s = L.GRU(4, return_state=True)(y)
    return keras.Model(x, L.Dense(2)(L.Concatenate()([z, s]))), image(5, 3)


def bidirectional():
    x = L.Input((5, 3))
    y = L.Bidirectional(L.GRU(4, return_sequences=True))(x)
    y = L.Bidirectional(
        L.LSTM(4, return_sequences=True),
        backward_layer=L.GRU(4, return_sequences=True, go_backwards=True),
    )(y)
    y = L.Bidirectional(L.GRU(6, return_sequences=True), merge_mode="sum")(y)
    a, b = L.Bidirectional(L.SimpleRNN(4), merge_mode=None)(y)
    y, *h = L.Bidirectional(L.LSTM(4, return_state=True))(y)
    y = L.Concatenate()([a, y, b, *h])
    return keras.Model(x, L.Dense(2)(y)), image(5, 3)


def time_distributed():
    x = L.Input((3, 6, 6, 2))
    y = L.TimeDistributed(L.Conv2D(6, 3, activation="relu"))(x)
    y = L.TimeDistributed(L.BatchNormalization())(y)
    inner = keras.Sequential(
        [L.Input((4, 4, 6)), L.Conv2D(4, 3), L.Flatten(), L.Dense(5)]
    )
    y = L.TimeDistributed(inner)(y)
    y = L.GRU(4)(y)
    return keras.Model(x, L.Dense(2)(y)), image(3, 6, 6, 2)


def attention():
    x = L.Input((5, 8))
    y = L.Dense(8)(x)
    z = L.MultiHeadAttention(4, 2, value_dim=6, dropout=0.1)(y, y)
    y = L.Add()([y, z])
    z = L.MultiHeadAttention(2, 4, output_shape=6, use_bias=False)(y, x, y)
    z = L.MultiHeadAttention(2, 4, use_gate=True)(z, z, use_causal_mask=True)
    z, s = L.MultiHeadAttention(2, 4)(z, z, return_attention_scores=True)
    y = L.Flatten()(L.Concatenate()([y, z]))
    s = L.GlobalAveragePooling2D(data_format="channels_first")(s)
    return keras.Model(x, L.Dense(2)(L.Concatenate()([y, s]))), image(5, 8)


def attention_over_images():
    x = L.Input((3, 4, 6))
    y = L.Dense(6)(x)
    y = L.MultiHeadAttention(2, 4, attention_axes=(1, 2))(y, y)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(3, 4, 6)


def stateful():
    x = L.Input(batch_shape=(4, 5, 3))
    y = L.GRU(6, stateful=True, return_sequences=True)(x)
    y = L.RNN(L.LSTMCell(4), stateful=True)(y)
    return keras.Model(x, L.Dense(2)(y)), image(5, 3)


def channels_first():
    x = L.Input((3, 6, 6))
    first = {"data_format": "channels_first"}
    y = L.Conv2D(6, 3, padding="same", **first)(x)
    y = L.BatchNormalization(axis=1)(y)
    y = L.MaxPooling2D(**first)(y)
    z = L.GlobalAveragePooling2D(**first)(y)
    y = L.PReLU(shared_axes=[2, 3])(y)
    y = L.UpSampling2D(**first)(y)
    y = L.Conv2DTranspose(4, 2, **first)(L.ZeroPadding2D(**first)(y))
    w = L.Flatten(**first)(y)
    y = L.Flatten()(y)
    return keras.Model(x, L.Dense(2)(L.Concatenate()([z, w, y]))), image(
        3, 6, 6
    )


def nested():
    inner = keras.Sequential(
        [L.Input((6, 6, 6)), L.Conv2D(6, 3, padding="same"), L.ReLU()]
    )
    a = L.Input((6, 6, 6))
    b = L.Input((6, 6, 6))
    two = keras.Model([a, b], [L.Add()([a, b]), L.Conv2D(4, 1)(a)])
    x = L.Input((6, 6, 3))
    y = L.Conv2D(6, 1)(x)
    y = inner(y)
    z = L.Conv2D(6, 1)(y)
    z = inner(z)
    p, q = two([y, z])
    y = L.Concatenate()([p, q])
    y = L.GlobalAveragePooling2D()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def shared():
    x = L.Input((6, 6, 3))
    conv = L.Conv2D(6, 3, padding="same")
    y = L.Conv2D(6, 1)(x)
    y = conv(y)
    y = L.BatchNormalization()(y)
    y = conv(y)
    y = L.GlobalAveragePooling2D()(y)
    fc = L.Dense(4)
    y = L.Concatenate()([fc(y), fc(L.Dense(6)(y))])
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def many_ends():
    a, b = L.Input((6, 6, 3), name="a"), L.Input((4,), name="b")
    y = L.Conv2D(6, 3, activation="relu")(a)
    y = L.GlobalAveragePooling2D()(y)
    z = L.Dense(6, activation="relu")(b)
    y = L.Concatenate()([y, z])
    y = L.Dense(8, activation="relu")(y)
    model = keras.Model(
        {"a": a, "b": b}, {"one": L.Dense(2)(y), "two": L.Dense(3)(z)}
    )
    return model, {"a": image(6, 6, 3), "b": image(4)}


def operations():
    x = L.Input((6, 6, 3))
    y = ops.relu(L.Conv2D(6, 3)(x)) * 2.0 + 1.0
    y = ops.reshape(y, (-1, 16, 6))
    y = ops.transpose(ops.transpose(y, (0, 2, 1)), (0, 2, 1))
    s = ops.mean(y, axis=1, keepdims=True)
    y = ops.concatenate([y - s, L.Dense(4)(y)], axis=-1)
    y = (
        ops.sum(y, axis=1)
        + y[:, 0]
        + ops.squeeze(ops.max(ops.expand_dims(y, -1), axis=1), axis=-1)
    )
    return keras.Model(x, L.Dense(2)(y)), image(6, 6, 3)


def split_gate():
    """A gate and what it lets pass are halves of one layer."""
    x = L.Input((6, 5))
    y = L.Dense(12)(x)
    gate, value = ops.split(y, 2, axis=-1)
    y = ops.pad(ops.sigmoid(gate) * value, [[0, 0], [1, 1], [0, 0]])
    first, second = ops.split(y, [3], axis=1)
    y = L.GlobalAveragePooling1D()(first) + second[:, 1]
    return keras.Model(x, L.Dense(2)(y)), image(6, 5)


def spread():
    """Flattened with the channels before the positions."""
    x = L.Input((6, 5))
    y = L.Permute((2, 1))(L.Dense(6, activation="relu")(x))
    return keras.Model(x, L.Dense(2)(L.Flatten(name="flat")(y))), image(6, 5)


def sequential():
    model = keras.Sequential(
        [
            L.Input((6, 6, 3)),
            L.Rescaling(0.5),
            L.Conv2D(6, 3),
            keras.Sequential([L.Conv2D(6, 3, activation="relu"), L.Flatten()]),
            L.Dense(6, activation="tanh"),
            L.Dense(2),
        ]
    )
    return model, image(6, 6, 3)


EXACT = [
    *(dense, einsum, einsum_heads, embedding, conv1d, conv2d, conv3d),
    *(depth_multiplier, grouped, groups_as_depthwise, instance_norm),
    *(group_norm, norms, prelu, merges, squeeze_excite, reshapes),
    *(free_shapes, recurrent, states, bidirectional, time_distributed),
    *(attention, attention_over_images, stateful, nested, shared),
    *(many_ends, operations, split_gate, spread, sequential),
]
if keras.backend.backend() != "tensorflow":  # It needs a GPU there.
    EXACT.append(channels_first)
RIGID = [depth_multiplier, grouped, group_norm, channels_first, spread]
GROWING = [family for family in EXACT if family not in RIGID]


@pytest.mark.parametrize("family", EXACT, ids=lambda f: f.__name__)
def test_removal_equals_zeroed_channels(family, check_removal):
    check_removal(*family())


@pytest.mark.parametrize("family", GROWING, ids=lambda f: f.__name__)
def test_copies_with_shares_keep_the_function(family, check_growth):
    check_growth(*family())


def test_normed_units_grow_by_an_equal_multiple(check_growth):
    check_growth(*norms(), multiple=True)


@pytest.mark.parametrize("times", [0, 2], ids=["cut", "grown"])
@pytest.mark.parametrize("family", GROWING, ids=lambda f: f.__name__)
def test_what_is_undone_leaves_no_trace(family, times, check_undone):
    check_undone(*family(), times)


@pytest.mark.parametrize(
    "family", [grouped, depth_multiplier, group_norm, spread]
)
def test_rigid_cut_that_is_undone_leaves_no_trace(family, check_undone):
    check_undone(*family(), 0)


@pytest.mark.parametrize("kind", ["", "key_size", "value_size"])
def test_one_kind_of_attention_units(kind, check_removal):
    """Dropout keeps JAX from its kernel, which wants both sizes equal."""
    x = L.Input((5, 8))
    layer = L.MultiHeadAttention(4, 6, dropout=0.1, name="att")
    y = layer(L.Dense(8)(x), x)
    model = keras.Model(x, L.Dense(2)(L.Flatten()(y)))
    classes = ChannelGraph(model).units("att", kind)[1::2]
    check_removal(model, image(5, 8), classes=classes)
    sizes = {"": (2, 6, 6), "key_size": (4, 3, 6), "value_size": (4, 6, 3)}
    assert (layer.num_heads, layer.key_dim, layer.value_dim) == sizes[kind]


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="only the kernel of JAX asks it"
)
def test_jax_keeps_key_and_value_size_equal():
    x = L.Input((5, 8))
    y = L.MultiHeadAttention(4, 6, name="att")(x, x)
    graph = ChannelGraph(keras.Model(x, L.Dense(2)(y)))
    assert (
        graph.set_of("att", "key_size").layers
        == graph.set_of("att", "value_size").layers
    )


@pytest.mark.parametrize(
    ("family", "starts"),
    [
        (grouped, {"is a group of the convolution "}),
        (
            depth_multiplier,
            {"has 2 filters a channel in ", "has 3 filters a channel in "},
        ),
        (group_norm, {"is a group of "}),
        (spread, {"is spread out by "}),
    ],
)
def test_what_cannot_be_copied_says_why(family, starts):
    model, _ = family()
    parts = [text.split("'") for text in ChannelGraph(model).rigid.values()]
    assert {start for start, _, _ in parts} == starts
    names = {layer.name for layer in model.layers}
    assert {name for _, name, _ in parts} <= names
