"""Counts of models whose calls are unusual or cannot all be traced."""

import keras
import numpy as np
import pytest

from keras_netopt import surgery
from keras_netopt.cost import summarize

layers = keras.layers


def test_arguments_that_keras_drops_are_dropped():
    inputs = keras.Input((16,))
    x = layers.Dense(16, name="hidden")(inputs)
    x = layers.Identity()(x, training=False)
    x = layers.Activation("relu")(x, training=True)
    inner = keras.Sequential([keras.Input((16,)), layers.Dense(16)])
    x = inner(layers.Reshape((16,))(x, training=False), training=False)
    model = keras.Model(inputs, layers.Dense(2)(x))
    assert summarize(model).macs == 16 * 16 * 2 + 16 * 2
    surgery.prune_channels(model, 0.5)
    assert summarize(model).macs == 16 * 8 + 8 * 8 + 8 * 2
    assert model(np.ones((2, 16), "float32")).shape == (2, 2)


@pytest.mark.parametrize(
    ("shape", "build", "macs"),
    [
        ((20,), lambda x: keras.ops.reshape(x, (4, 20)), 20 * 2),
        ((2, 10), lambda x: keras.ops.reshape(x, (6, 20)), 20 * 2),
    ],
)
def test_a_batch_size_in_the_code_is_found(shape, build, macs):
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layers.Dense(2)(build(inputs)))
    report = summarize(model)
    assert (report.macs, report.unknown) == (macs, ())


def test_a_fixed_batch_axis_counts_one_sample():
    inputs = keras.Input(batch_shape=(32, 10))
    assert summarize(keras.Model(inputs, layers.Dense(2)(inputs))).macs == 20


@pytest.mark.parametrize("shape", [None, (None, 8), {"a": (None, 8)}])
def test_a_dict_of_one_input(shape):
    inputs = keras.Input((8,), name="a")
    model = keras.Model({"a": inputs}, layers.Dense(2)(inputs))
    assert summarize(model, input_shape=shape).macs == 16


class Picky(layers.Layer):
    """A layer of a user that must know the length of its input."""

    def __init__(self):
        super().__init__()
        self.inside = layers.Dense(4, name="inside")

    def build(self, shape):
        self.inside.build(shape)

    def compute_output_spec(self, x):
        if self.built and self.must_know and x.shape[1] is None:
            raise TypeError("no length")
        return keras.KerasTensor((*x.shape[:-1], 4), dtype=x.dtype)

    must_know = False

    def call(self, x):
        if self.must_know and x.shape[1] is None:
            raise TypeError("no length")
        return self.inside(x)


def test_calls_that_cannot_be_traced_are_unknown(monkeypatch):
    inputs = keras.Input((None, 8))
    x = Picky()(layers.Dense(8, name="before")(inputs))
    x = layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, layers.Dense(3, name="after")(x))
    monkeypatch.setattr(Picky, "must_know", True)
    report = summarize(model)
    assert report.macs == 12 and ">= 12" in str(report)
    notes = {row.kind: row.note for row in report.unknown}
    assert "TypeError" in notes["Picky"]
    assert report.params == model.count_params()
    assert summarize(model, input_shape=(None, 5, 8)).macs == 5 * 96 + 12


@pytest.mark.backend("tensorflow")
def test_sparse_inputs_are_counted():
    inputs = keras.Input((8,), sparse=True)
    assert (
        summarize(keras.Model(inputs, layers.Dense(2)(inputs * 2))).macs == 16
    )


def test_a_constant_layer_costs_nothing():
    class Positions(layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=(5, 8))

        def call(self, x):
            return keras.ops.broadcast_to(self.table, keras.ops.shape(x))

    inputs = keras.Input((5, 8))
    x = inputs + Positions()(inputs)
    report = summarize(keras.Model(inputs, layers.Dense(2)(x)))
    assert (report.macs, report.unknown) == (80, ())


class OnConstants(layers.Layer):
    """Looks its inputs up in a table that layers compute from constants."""

    def __init__(self):
        super().__init__()
        self.table = keras.Sequential([layers.Dense(16), layers.Dense(8)])
        self.out = layers.Dense(3)
        self.features = np.ones((12, 5), "float32")

    def call(self, indices):
        table = self.table(keras.ops.convert_to_tensor(self.features))
        return self.out(keras.ops.take(table, indices, axis=0))


def test_layers_that_are_called_on_constants_are_counted():
    inputs = keras.Input((7,), dtype="int32")
    layer = OnConstants()
    model = keras.Model(inputs, layer(inputs))
    table = 12 * (5 * 16 + 16 * 8)
    report = summarize(model)
    assert (report.macs, report.unknown) == (table + 7 * 8 * 3, ())
    assert [row.calls for row in report.layers if row.params] == [1, 1, 1]


class Heads(layers.Layer):
    """Reshapes what an `EinsumDense` with a free axis in its config makes."""

    def __init__(self):
        super().__init__()
        self.made = layers.EinsumDense("btd,dhk->bthk", (None, 2, 4))

    def call(self, x):
        y = self.made(x)
        size = keras.ops.shape(y)
        halves = keras.ops.stack(keras.ops.split(x, 2, axis=-1), axis=-1)
        y = keras.ops.reshape(halves, (*size[:2], 8)) + keras.ops.reshape(
            y, (*size[:2], 8)
        )
        return keras.ops.matmul(y, keras.ops.swapaxes(y, 1, 2))


def test_axes_that_the_config_of_a_layer_leaves_free_have_the_size_of_inputs():
    inputs = keras.Input((None, 8))
    model = keras.Model(inputs, Heads()(inputs))
    assert summarize(model).unknown
    report = summarize(model, input_shape=(None, 6, 8))
    assert (report.macs, report.unknown) == (6 * 8 * 8 + 6 * 6 * 8, ())
