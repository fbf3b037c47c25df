"""Tests for quantization.quantize: which kernels, and refusals."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.callbacks import Quantization
from keras_netopt.quantization import quantize, report
from keras_netopt.training import NoEffectWarning


def image_model():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depth")(x)
    x = layers.SeparableConv2D(4, 3, padding="same", name="separable")(x)
    x = layers.Conv2DTranspose(5, 2, name="up")(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


def text_model():
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(11, 8, name="table")(inputs)
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.GroupQueryAttention(4, 4, 2, name="grouped")(x, x)
    x = layers.EinsumDense("abc,cd->abd", (None, 8), name="einsum")(x)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    inner = keras.Sequential([keras.Input((6, 6)), layers.GRU(4)], name="inner")
    return keras.Model(inputs, layers.Dense(2)(inner(x)))


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.one = layers.Conv1D(4, 2)
        self.two = layers.SimpleRNN(3)

    def call(self, x):
        return self.two(self.one(x))


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
def test_all_kernels_of_a_model_are_rounded(bits):
    own = Own()
    own(np.zeros((1, 5, 2), "float32"))
    counts = {image_model(): 5, text_model(): 17, own: 3}
    for model, count in counts.items():
        rows = quantize(model, bits).rows
        assert len(rows) == count, [row.key for row in rows]
        wrong = [r.key for r in rows if r.bits is None or r.bits > bits]
        assert not wrong
        assert all(0 < r.saturated <= 1 for r in rows if r.zeros < 1)
        assert str(report(model)) == str(quantize(model, bits, grid="max"))


def test_an_embedding_has_a_scale_per_row():
    model = keras.Sequential([keras.Input((3,)), layers.Embedding(50, 16)])
    model.layers[0].embeddings.assign_add(
        np.eye(50, 16, dtype="float32") * 1000
    )
    assert quantize(model, 8).rows[0].channels == 50


def test_layers_that_cannot_be_quantized_are_refused_by_name():
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8, name="a"), layers.Dense(2)]
    )
    before = model.get_weights()
    model.layers[0].enable_lora(2)
    with pytest.raises(ValueError, match="Layer `a` has LoRA weights"):
        quantize(model)
    np.testing.assert_array_equal(model.layers[1].get_weights()[0], before[2])
    assert quantize(model, exclude="^a/").rows[-1].bits == 8
    quantized = keras.Sequential([keras.Input((8,)), layers.Dense(8, name="b")])
    quantized.layers[0].quantize("int8")
    with pytest.raises(ValueError, match="Layer `b` was quantized by Keras"):
        quantize(quantized)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_kernels_must_be_finite(value):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    model.layers[0].kernel.assign(np.full((2, 2), value))
    with pytest.raises(ValueError, match="must be finite"):
        quantize(model)
    with pytest.raises(ValueError, match="must be finite"):
        model.fit(
            np.ones((4, 2)), np.ones((4, 2)), 2, callbacks=[Quantization()]
        )


@pytest.mark.parametrize(
    "arguments",
    [
        {"bits": 5},
        {"bits": 16},
        {"bits": True},
        {"bits": 4.0},
        {"bits": 4, "grid": "twn"},
        {"grid": "best"},
        {"clusters": 1},
        {"clusters": 257},
        {"clusters": 8, "bits": 4},
        {"clusters": 8, "grid": "mse"},
        {"begin": 2.0},
    ],
    ids=str,
)
def test_wrong_arguments_are_refused_at_construction(arguments):
    with pytest.raises((TypeError, ValueError), match="Received: "):
        Quantization(**arguments)


def test_small_kernels_stay_float_with_the_reason():
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(20, name="a"), layers.Dense(1)]
    )
    row = quantize(model, clusters=30).rows[1]
    assert row.reason == "fewer weights than clusters=30"


def test_nothing_to_quantize_is_a_warning():
    model = keras.Sequential([keras.Input((2,)), layers.BatchNormalization()])
    with pytest.warns(NoEffectWarning, match="selected no kernel"):
        quantize(model)


def test_two_callbacks_must_not_share_kernels():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    both = [Quantization(4), Quantization(8)]
    with pytest.raises(ValueError, match="same kernels"):
        model.fit(np.ones((4, 2)), np.ones((4, 2)), verbose=0, callbacks=both)
