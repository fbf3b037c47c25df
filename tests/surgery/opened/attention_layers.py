"""Layers with attention as libraries write them, without a handler."""

import keras
from keras import layers as L
from keras import ops

from .layers import Attention


class BiasedAttention(Attention):
    """Adds a bias of zeros for each head, and a mask, to the scores."""

    def call(self, x):
        batch, steps = ops.shape(x)[:2]
        shape = (batch, steps, self.heads, self.size)
        q, k, v = (
            ops.reshape(one(x), shape) for one in (self.q, self.k, self.v)
        )
        mask = ops.cast(ops.sum(x, axis=-1) > -100, x.dtype)[:, None, None]
        bias = ops.zeros((1, self.heads, steps, steps)) + (1 - mask) * -1e9
        scores = ops.einsum("bthd,bshd->bhts", q, k) + bias
        y = ops.einsum("bhts,bshd->bthd", ops.softmax(scores), v)
        y = ops.reshape(y, (batch, steps, self.heads * self.size))
        return x + self.o(y)


class OneHeadSize(L.Layer):
    """Reads one size for the queries, keys and values of its heads."""

    def __init__(self, heads, **kwargs):
        super().__init__(**kwargs)
        self.heads, self.size = heads, 3

    def build(self, shape):
        self.q, self.k, self.v = (
            L.EinsumDense("btd,dhk->bthk", (None, self.heads, 3), name=name)
            for name in ("query", "key", "value")
        )
        self.o = L.Dense(shape[-1], name="output_dense")
        for one in (self.q, self.k, self.v):
            one.build(shape)
        self.o.build((*shape[:-1], self.heads * 3))

    def call(self, x):
        q, k, v = self.q(x), self.k(x), self.v(x)
        scores = ops.softmax(ops.einsum("bthd,bshd->bhts", q, k))
        y = ops.einsum("bhts,bshd->bthd", scores, v)
        shape = (*ops.shape(x)[:2], self.heads * self.size)
        return x + self.o(ops.reshape(y, shape))


class Positions(L.Layer):
    """Adds tables of positions: raw weights, and an embedding of a table."""

    def build(self, shape):
        self.table = self.add_weight(shape=(1, *shape[1:]), name="table")
        self.numbers = self.add_weight(
            shape=(1, shape[1]),
            dtype="int32",
            trainable=False,
            initializer=lambda shape, dtype: ops.reshape(
                ops.arange(shape[1], dtype=dtype), shape
            ),
            name="numbers",
        )
        self.embedding = L.Embedding(shape[1], shape[2], name="embedding")
        self.embedding.build((1, shape[1]))
        self.attention = L.MultiHeadAttention(4, 2, name="attention")
        self.attention.build(shape, shape)

    def call(self, x):
        x = x + self.table + self.embedding(self.numbers)
        return x + self.attention(x, x)


class EmptyExtra(Attention):
    """Returns an empty constant beside its output, as an unused option."""

    def call(self, x):
        y = super().call(x)
        return y, ops.zeros((0, ops.shape(x)[1], self.heads))

    def compute_output_spec(self, x):
        extra = (0, x.shape[1], self.heads)
        return keras.KerasTensor(x.shape), keras.KerasTensor(extra)
