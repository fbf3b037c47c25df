"""Small models of ops of `keras.ops`: attention, experts, rotations."""

import keras
import numpy as np
from keras import layers as L
from keras import ops
from surgery.handlers.image_families import image


def einsum_attention():
    """Heads and values are axes of their own."""
    x = L.Input((5, 6))
    q, k, v = (
        L.EinsumDense("btd,dhk->bthk", (5, 4, 6), bias_axes="hk")(x)
        for _ in range(3)
    )
    scores = ops.softmax(ops.einsum("bthk,bshk->bhts", q, k) / 2.0)
    y = ops.einsum("bhts,bshk->bthk", scores, v)
    y = L.EinsumDense("bthk,hkm->btm", (5, 6))(y)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(5, 6)


def grouped_queries():
    """Two query heads share each of two heads of keys and values."""
    x = L.Input((5, 6))
    q, k, v = (
        L.EinsumDense("...d,dhk->...hk", (heads, 4))(x) for heads in (4, 2, 2)
    )
    k, v = (ops.repeat(one, 2, axis=2) for one in (k, v))
    q, k, v = (ops.moveaxis(one, 2, 1) for one in (q, k, v))
    bias = np.triu(np.full((1, 1, 5, 5), -1e9, "float32"), 1)
    scores = ops.matmul(q, ops.swapaxes(k, -1, -2)) + bias
    y = ops.matmul(L.Softmax()(scores, mask=bias[0, 0] == 0), v)
    y = L.EinsumDense("bhtk,hkm->btm", (5, 6))(y)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(5, 6)


def fused_attention():
    """The op of Keras, with keys that queries share where it can."""
    x = L.Input((5, 6))
    shared = 1 if keras.backend.backend() != "jax" else 2
    q, k, v = (
        L.EinsumDense("btd,dhk->bthk", (5, heads, 4))(x)
        for heads in (4, 4 // shared, 4 // shared)
    )
    y = ops.dot_product_attention(q, k, v, is_causal=True)
    y = L.EinsumDense("bthk,hkm->btm", (5, 6))(y)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(5, 6)


def rotary():
    """Halves of each head are turned by constants for each position."""
    x = L.Input((5, 6))
    q, k, v = (L.EinsumDense("btd,dhk->bthk", (5, 4, 6))(x) for _ in range(3))
    angles = np.arange(5.0)[:, None, None] * np.arange(1.0, 4)
    turn = np.tile(angles, 2).astype("float32")

    def rotate(y):
        left, right = ops.split(y, 2, axis=-1)
        stacked = ops.stack([ops.negative(right), left], axis=-2)
        stacked = ops.concatenate(ops.unstack(stacked, axis=-2), axis=-1)
        return y * np.cos(turn) + stacked * np.sin(turn)

    scores = ops.einsum("bthk,bshk->bhts", rotate(q), rotate(k))
    y = ops.einsum("bhts,bshk->bthk", ops.softmax(scores), v)
    y = L.EinsumDense("bthk,hkm->btm", (5, 6))(y)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(5, 6)


@keras.saving.register_keras_serializable()
def gelu_of_ops(y):
    return 0.5 * y * (1.0 + ops.tanh(0.8 * (y + 0.04 * ops.power(y, 3))))


@keras.saving.register_keras_serializable()
def squared_relu(y):
    return ops.square(ops.relu(y))


def feed_forward():
    """Gates; an activation that is a function of ops; a constant scale."""
    x = L.Input((5, 6))
    y = L.Dense(12, activation=gelu_of_ops)(x) * L.Dense(12)(x)
    y = y * np.arange(1.0, 6, dtype="float32").reshape(1, 5, 1)
    y = L.Dense(8, activation=squared_relu)(y)
    y = ops.clip(y, -3.0, 3.0)
    y = ops.where(np.eye(5, 1, dtype=bool), y, ops.cast(y, "float32") * 2.0)
    y = L.Activation(gelu_of_ops)(y)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(5, 6)


def experts():
    """Each token goes through all experts; their sum has fixed gates."""
    x = L.Input((5, 6))
    gates = ops.softmax(L.Dense(3)(x))
    y = L.EinsumDense("btd,edh->bteh", (5, 3, 8), activation="silu")(x)
    y = L.EinsumDense("bteh,ehd->bted", (5, 3, 6))(y)
    y = ops.einsum("bte,bted->btd", gates, y)
    y = ops.einsum("...td,ts->...ds", y, np.eye(5, 2, dtype="float32"))
    y = ops.moveaxis(y, (2, 1), (1, 2))
    return keras.Model(x, L.Dense(2)(L.Flatten()(L.Dense(4)(y)))), image(5, 6)


def axes():
    """Axes that are repeated, turned, taken and broadcast."""
    x = L.Input((4, 5))
    y = L.Dense(6)(x)
    y = ops.flip(ops.roll(y, 1, axis=1), axis=1)
    y = ops.take(y, np.array([0, 2, 2]), axis=1)
    y = ops.take_along_axis(y, np.array([[[1], [0], [1]]]), axis=1)
    y = ops.tile(y, (1, 2, 1))
    y = ops.cumsum(y, axis=1) - ops.logsumexp(y, axis=1, keepdims=True)
    y = ops.transpose(ops.top_k(ops.transpose(y, (0, 2, 1)), 4)[0], (0, 2, 1))
    s = ops.mean(y, axis=1, keepdims=True)
    s = ops.broadcast_to(L.Dense(6)(s), (4, 4, 6))
    y = ops.concatenate([y + s, ops.tile(s, 2)], axis=-1)
    y = L.Dense(8)(ops.slice(y, (0, 1, 0), (4, 3, 18)))
    y = y[:, None, ::2][:, 0]
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(4, 5)


def every_second():
    """Pairs of neighbours, and halves at a position that is written out."""
    x = L.Input((5, 6))
    y = L.Dense(8)(x)
    y = ops.stack([y[..., ::2] * 2.0, y[..., 1::2]], axis=1)
    first, second = ops.split(L.Dense(12)(y[:, 0] - y[:, 1]), [6], axis=-1)
    y = ops.flip(ops.glu(L.Dense(8)(first * second), axis=-1), axis=-1)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(5, 6)


def split_heads(y, heads):
    """Makes an axis of heads of the last axis and moves it to the front."""
    return ops.transpose(
        ops.reshape(y, (-1, 5, heads, y.shape[-1] // heads)), (0, 2, 1, 3)
    )


def heads_of_dense():
    """Dense layers whose units are the entries of four heads."""
    x = L.Input((5, 6))
    q, k, v = (split_heads(L.Dense(12)(x), 4) for _ in range(3))
    scores = ops.softmax(ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))))
    y = ops.transpose(ops.matmul(scores, v), (0, 2, 1, 3))
    y = L.Dense(6)(L.Reshape((5, 12))(y))
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(5, 6)


def fused_heads():
    """Queries, keys and values of one layer, unstacked or indexed."""
    x = L.Input((5, 6))
    y = ops.reshape(L.Dense(3 * 4 * 2)(x), (-1, 5, 3, 4, 2))
    q, k, v = ops.unstack(ops.transpose(y, (2, 0, 3, 1, 4)), 3)
    scores = ops.softmax(ops.einsum("bhtd,bhsd->bhts", q, k))
    y = ops.reshape(ops.swapaxes(ops.matmul(scores, v), 1, 2), (-1, 5, 8))
    y = L.Dense(6)(y)
    z = ops.transpose(L.Reshape((5, 3, 4, 2))(L.Dense(24)(y)), (2, 0, 1, 3, 4))
    z = ops.dot_product_attention(z[0], z[1], z[2])
    y = L.Dense(6)(ops.reshape(z, (-1, 5, 8)))
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(5, 6)


def grouped_heads():
    """Two groups of keys and values, each with three heads of queries."""
    x = L.Input((5, 6))
    q = ops.reshape(L.Dense(2 * 3 * 2)(x), (-1, 5, 2, 3, 2))
    k, v = (ops.reshape(L.Dense(2 * 2)(x), (-1, 5, 2, 2)) for _ in range(2))
    scores = ops.softmax(ops.einsum("btkgh,bskh->bkgts", q, k))
    y = ops.einsum("bkgts,bskh->btkgh", scores, v)
    y = L.Dense(6)(L.Reshape((5, 12))(y))
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(5, 6)


def sequences_of_heads():
    """Heads that become a part of the batch are fixed; their entries go."""
    x = L.Input((5, 6))
    q, k, v = (
        ops.reshape(split_heads(L.Dense(12)(x), 2), (-1, 5, 6))
        for _ in range(3)
    )
    scores = ops.softmax(ops.matmul(q, ops.swapaxes(k, 1, 2)))
    y = ops.reshape(ops.matmul(scores, v), (-1, 2, 5, 6))
    y = ops.reshape(ops.swapaxes(y, 1, 2), (-1, 5, 12))
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(5, 6)


def shuffled():
    """Channels of two groups that change places, and statistics of groups."""
    x = L.Input((3, 4, 5))
    y = ops.reshape(L.Conv2D(8, 1)(x), (-1, 3, 4, 2, 4))
    y = ops.reshape(ops.swapaxes(y, 3, 4), (-1, 3, 4, 8))
    y = L.Conv2D(12, 1)(L.DepthwiseConv2D(2)(y))
    y = L.Reshape((2, 3, 4, 3))(y)
    y = y - ops.mean(y, axis=(1, 2, 4), keepdims=True)
    y = L.Conv2D(4, 1)(ops.reshape(y, (-1, 2, 3, 12)))
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(3, 4, 5)


def generator():
    """Positions that come from one Dense layer are not channels."""
    x = L.Input((5,))
    y = L.Reshape((2, 3, 4))(L.Dense(24)(x))
    y = L.UpSampling2D()(L.ZeroPadding2D()(y))
    y = L.Conv2D(4, 2)(L.BatchNormalization()(y))
    y = ops.reshape(L.Conv2D(8, 1)(y), (-1, 7, 9, 2, 2, 2))
    y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, 14, 18, 2))
    y = L.GlobalMaxPooling2D()(L.Conv2D(4, 1)(y))
    return keras.Model(x, L.Dense(2)(y)), image(5)


FAMILIES = [
    *(einsum_attention, grouped_queries, fused_attention, rotary),
    *(feed_forward, experts, axes, every_second),
]
RESHAPES = [
    *(heads_of_dense, fused_heads, grouped_heads, sequences_of_heads),
    *(shuffled, generator),
]
