"""Layers as users write them, without a handler, and models around them."""

import keras
import numpy as np
from keras import layers as L
from keras import ops


@keras.saving.register_keras_serializable("netopt_tests")
class FeedForward(L.Layer):
    """Two Dense layers with normalization, dropout and a residual sum."""

    def __init__(self, hidden, **kwargs):
        super().__init__(**kwargs)
        self.hidden = hidden
        self.norm = L.LayerNormalization(name="norm")
        self.first = L.Dense(hidden, activation="relu", name="first")
        self.drop = L.Dropout(0.2, name="drop")

    def build(self, shape):
        self.last = L.Dense(shape[-1], name="last")
        self.norm.build(shape)
        self.first.build(shape)
        self.last.build((*shape[:-1], self.hidden))

    def call(self, x, training=None):
        y = self.drop(self.first(self.norm(x)), training=training)
        return x + self.last(y)

    def get_config(self):
        return {**super().get_config(), "hidden": self.hidden}


class Attention(L.Layer):
    """Attention of Dense layers that reads its head count in `call`."""

    def __init__(self, heads, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads

    def build(self, shape):
        self.size = shape[-1] // self.heads
        names = ("query", "key", "value", "output_dense")
        made = [L.Dense(shape[-1], name=name) for name in names]
        self.q, self.k, self.v, self.o = made
        for layer in made:
            layer.build(shape)

    def call(self, x):
        batch, steps = ops.shape(x)[:2]
        shape = (batch, steps, self.heads, self.size)
        q, k, v = (
            ops.transpose(ops.reshape(layer(x), shape), (0, 2, 1, 3))
            for layer in (self.q, self.k, self.v)
        )
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2)))
        y = ops.matmul(ops.softmax(scores / self.size**0.5), v)
        y = ops.reshape(
            ops.transpose(y, (0, 2, 1, 3)),
            (batch, steps, self.heads * self.size),
        )
        return x + self.o(y)

    def get_config(self):
        return {**super().get_config(), "heads": self.heads}


class RawWeights(L.Layer):
    """A feed-forward block of raw weights with a scale for each unit."""

    def __init__(self, hidden, **kwargs):
        super().__init__(**kwargs)
        self.hidden = hidden

    def build(self, shape):
        self.w1 = self.add_weight(shape=(shape[-1], self.hidden), name="w1")
        self.scale = self.add_weight(
            shape=(self.hidden,), name="scale", initializer="ones"
        )
        self.w2 = self.add_weight(shape=(self.hidden, shape[-1]), name="w2")

    def call(self, x):
        y = ops.relu(ops.matmul(x, self.w1)) * ops.cast(self.scale, x.dtype)
        return ops.matmul(y, self.w2)


class Experts(L.Layer):
    """All experts are one weight; each token has a share of each."""

    def __init__(self, hidden, experts=3, **kwargs):
        super().__init__(**kwargs)
        self.experts, self.hidden = experts, hidden

    def build(self, shape):
        sizes = (self.experts, shape[-1], self.hidden)
        self.gate = self.add_weight(shape=(shape[-1], sizes[0]), name="gate")
        self.w1 = self.add_weight(shape=sizes, name="w1")
        self.w2 = self.add_weight(
            shape=(sizes[0], sizes[2], sizes[1]), name="w2"
        )

    def call(self, x):
        shares = ops.softmax(ops.matmul(x, self.gate))
        y = ops.silu(ops.einsum("btd,edh->bteh", x, self.w1))
        y = ops.einsum("bteh,ehd->bted", y, self.w2)
        return ops.einsum("bte,bted->btd", shares, y)


class TiedRotary(L.Layer):
    """Attention of raw weights that turns halves and norms each head.

    Two heads of queries share one head of keys and values.
    """

    def __init__(self, heads, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads

    def build(self, shape):
        width, size = shape[-1], 4
        for name, count in (("query", 2 * self.heads), ("key", self.heads)):
            weight = self.add_weight(shape=(width, count, size), name=name)
            setattr(self, name, weight)
        self.scale = self.add_weight(shape=(size,), name="scale")
        self.made = self.add_weight(
            shape=(2 * self.heads, size, width), name="made"
        )

    def turn(self, y):
        y = ops.cast(y, "float32")
        y = y * ops.rsqrt(ops.mean(ops.square(y), axis=-1, keepdims=True))
        y = y * (1.0 + self.scale)
        angles = ops.arange(ops.shape(y)[1], dtype="float32")[:, None, None]
        left, right = ops.split(y, 2, axis=-1)
        turned = ops.concatenate([-right, left], axis=-1)
        return y * ops.cos(angles) + turned * ops.sin(angles)

    def call(self, x):
        q = self.turn(ops.einsum("btd,dhk->bthk", x, self.query))
        v = ops.einsum("btd,dhk->bthk", x, self.key)
        k, v = (ops.repeat(y, 2, axis=2) for y in (self.turn(v), v))
        q, k = (ops.moveaxis(y, 1, 2) for y in (q, k))
        scores = ops.softmax(ops.matmul(q, ops.swapaxes(k, -1, -2)) * 0.5)
        y = ops.einsum("bhts,bshk->bthk", scores, v)
        return ops.tensordot(y, self.made, axes=((2, 3), (0, 1)))


class Remembering(FeedForward):
    """Stores its input."""

    def call(self, x, training=None):
        self.seen = x
        return super().call(x, training=training)


class Counting(FeedForward):
    """Counts its calls in a variable."""

    def build(self, shape):
        super().build(shape)
        self.calls = self.add_weight(
            shape=(), name="calls", initializer="zeros", trainable=False
        )

    def call(self, x, training=None):
        self.calls.assign_add(1.0)
        return super().call(x, training=training)


class Repeating(FeedForward):
    """Runs its body three times."""

    def call(self, x, training=None):
        for _ in range(3):
            x = super().call(x, training=training)
        return x


class Outer(L.Layer):
    """A user's layer inside a user's layer, called with a keyword."""

    def __init__(self, hidden, **kwargs):
        super().__init__(**kwargs)
        self.inside = FeedForward(hidden, name="inside")

    def build(self, shape):
        self.inside.build(shape)

    def call(self, x):
        return self.inside(x=x) + 1.0


class Conditional(FeedForward):
    """Looks at the values of its input."""

    def compute_output_spec(self, x, training=None):
        return keras.KerasTensor(x.shape, dtype=x.dtype)

    def call(self, x, training=None):
        if ops.max(x) > 100:
            return x
        return super().call(x, training=training)


class ThroughNumPy(FeedForward):
    """Converts its input to NumPy."""

    def compute_output_spec(self, x, training=None):
        return keras.KerasTensor(x.shape, dtype=x.dtype)

    def call(self, x, training=None):
        return ops.convert_to_tensor(ops.convert_to_numpy(x)) + self.last(
            self.first(x)
        )


class ScaleInList(FeedForward):
    """Reads a weight from a list."""

    def build(self, shape):
        super().build(shape)
        self.scales = [
            self.add_weight(
                shape=(self.hidden,), name="scale", initializer="ones"
            )
        ]

    def call(self, x, training=None):
        return x + self.last(self.first(x) * self.scales[0])


class Constant(FeedForward):
    """Holds the width in its code."""

    def call(self, x, training=None):
        return x + self.last(self.first(x) * ops.arange(12, dtype="float32"))


class HiddenSize(FeedForward):
    """Divides by a size that it computed when it was built."""

    def build(self, shape):
        super().build(shape)
        self.divisor = {"by": float(self.hidden)}

    def call(self, x, training=None):
        y = self.first(x)
        return x + self.last(y) * (ops.shape(y)[-1] / self.divisor["by"])


def around(layer, shape=(5, 8)):
    """A model with a layer between two others, and random weights."""
    inputs = keras.Input(shape)
    x = L.Dense(shape[-1], name="before")(inputs)
    x = L.GlobalAveragePooling1D()(layer(x))
    model = keras.Model(inputs, L.Dense(2, name="after")(x))
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.1, 0.5, variable.shape))
    return model


def data(shape=(5, 8), count=4):
    """Random inputs."""
    return np.random.default_rng(1).normal(size=(count, *shape)).astype("f")


class Network(keras.Model):
    """A subclassed residual network."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.first = L.Conv2D(width, 3, padding="same", name="first")
        self.norm = L.BatchNormalization(name="norm")
        self.second = L.Conv2D(width, 3, padding="same", name="second")
        self.pool = L.GlobalAveragePooling2D()
        self.dense = L.Dense(32, activation="relu", name="dense")
        self.out = L.Dense(3, name="out")

    def call(self, x, training=None):
        x = ops.relu(self.norm(self.first(x), training=training))
        return self.out(self.dense(self.pool(x + self.second(x))))


class FixedReshape(L.Layer):
    """A feed-forward block next to attention that holds its width."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attention = Attention(4, name="attention")
        self.block = FeedForward(12, name="block")

    def build(self, shape):
        self.attention.build(shape)
        self.attention.o.bias.assign(np.ones(shape[-1]))
        self.block.build(shape)
        # `call` of the attention reads the heads from here.
        self.attention.heads = np.int64(self.attention.heads)

    def call(self, x):
        return self.block(self.attention(x))


class Mixed(L.Layer):
    """A feed-forward block behind a layer that cannot be traced."""

    def compute_output_spec(self, x):
        return (
            keras.KerasTensor(x.shape, dtype=x.dtype),
            keras.KerasTensor((2, 3), dtype="float32"),
        )

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.closed = Conditional(10, name="closed")
        self.block = FeedForward(12, name="block")

    def build(self, shape):
        self.closed.build(shape)
        self.block.build(shape)

    def call(self, x):
        return self.block(self.closed(x)), ops.zeros((2, 3))


class TrainingWeight(FeedForward):
    """Multiplies by a weight for each unit in training only."""

    def build(self, shape):
        super().build(shape)
        self.noise = self.add_weight(
            shape=(self.hidden,), name="noise", initializer="ones"
        )

    def call(self, x, training=None):
        y = self.first(x)
        return x + self.last(y * self.noise if training else y)
