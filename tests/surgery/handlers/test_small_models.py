"""Whole small models: cut in half, exact, and still trainable."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops
from surgery.conftest import EAGER

RNG = np.random.default_rng(3)
TOKENS = RNG.integers(0, 12, (4, 6))
IMAGES = RNG.normal(size=(4, 16, 16, 3)).astype("float32")


def transformer():
    """A block of attention and a feed-forward layer, pre-norm."""
    x = L.Input((6,), dtype="int32")
    places = ops.cumsum(ops.ones_like(x), axis=1) - 1
    y = L.Embedding(12, 8)(x) + L.Embedding(6, 8)(places)
    z = L.LayerNormalization()(y)
    z = L.MultiHeadAttention(4, 2, dropout=0.1)(z, z, use_causal_mask=True)
    y = L.Add()([y, z])
    z = L.LayerNormalization()(y)
    z = L.Dense(16, activation="gelu")(z)
    z = L.Dropout(0.1)(z)
    y = L.Add()([y, L.Dense(8)(z)])
    y = L.LayerNormalization()(y)
    return keras.Model(x, L.Dense(12)(y)), TOKENS


def gated_transformer():
    """RMS norms and a gated feed-forward layer."""
    x = L.Input((6,), dtype="int32")
    y = L.Embedding(12, 8)(x)
    z = L.RMSNormalization()(y)
    y = L.Add()([y, L.MultiHeadAttention(2, 4, use_gate=True)(z, z)])
    z = L.RMSNormalization()(y)
    gate = L.Dense(12, activation="silu", use_bias=False, name="gate")(z)
    up = L.Dense(12, use_bias=False, name="up")(z)
    y = L.Add()([y, L.Dense(8, use_bias=False)(gate * up)])
    return keras.Model(x, L.Dense(12)(L.RMSNormalization()(y))), TOKENS


def tagger():
    x = L.Input((6,), dtype="int32")
    y = L.Embedding(12, 8, mask_zero=True)(x)
    y = L.SpatialDropout1D(0.1)(y)
    y = L.Bidirectional(L.LSTM(6, return_sequences=True))(y)
    z = L.GRU(8, return_sequences=True)(y)
    y = L.Concatenate()([y, z])
    y = L.TimeDistributed(L.Dense(6, activation="relu"))(y)
    return keras.Model(x, L.Dense(5)(y)), TOKENS


def u_net():
    def block(y, width):
        y = L.Conv2D(width, 3, padding="same", use_bias=False)(y)
        y = L.BatchNormalization(momentum=0.9)(y)
        return L.ReLU()(y)

    x = L.Input((16, 16, 3))
    a = block(x, 4)
    b = block(L.MaxPooling2D()(a), 6)
    y = block(L.MaxPooling2D()(b), 8)
    y = L.Conv2DTranspose(6, 2, strides=2)(y)
    y = block(L.Concatenate()([y, b]), 6)
    y = L.UpSampling2D(interpolation="bilinear")(y)
    y = block(L.Concatenate()([y, a]), 4)
    return keras.Model(x, L.Conv2D(2, 1)(y)), IMAGES


def detector():
    """Two heads that are called on the maps of a pyramid of two levels."""
    x = L.Input((16, 16, 3))
    c1 = L.Conv2D(8, 3, 2, padding="same", activation="relu")(x)
    c2 = L.Conv2D(8, 3, 2, padding="same", activation="relu")(c1)
    p2 = L.Conv2D(6, 1, name="lateral2")(c2)
    p1 = L.Conv2D(6, 1, name="lateral1")(c1)
    p1 = L.Add()([p1, L.UpSampling2D()(p2)])
    tower = keras.Sequential(
        [
            L.Input((None, None, 6)),
            L.SeparableConv2D(6, 3, padding="same", activation="swish"),
            L.Conv2D(6, 3, padding="same", activation="swish"),
        ],
        name="tower",
    )
    classes, boxes = L.Conv2D(3, 1), L.Conv2D(4, 1)
    maps = [tower(p1), tower(p2)]
    scores = [L.Reshape((-1, 3))(classes(m)) for m in maps]
    places = [L.Reshape((-1, 4))(boxes(m)) for m in maps]
    outputs = {
        "scores": L.Concatenate(axis=1)(scores),
        "places": L.Concatenate(axis=1)(places),
    }
    return keras.Model(x, outputs), IMAGES


MODELS = [transformer, gated_transformer, tagger, u_net, detector]


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_half_is_removed_and_the_rest_trains_and_grows(
    make, check_removal, check_growth
):
    model, data = make()
    graph = check_removal(model, data, is_rebuilt=False)
    kept = [layers for layers in graph.layer_groups() if layers.reason]
    assert all(layers.reason.startswith("reaches the out") for layers in kept)
    assert len(kept) == len(model.outputs)
    targets = keras.tree.map_structure(
        lambda y: np.zeros(tuple(y.shape), "float32"), model(data)
    )
    model.compile("sgd", "mse", run_eagerly=EAGER)
    before = [np.array(v) for v in map(ops.convert_to_numpy, model.weights)]
    assert np.all(np.isfinite(model.train_on_batch(data, targets)))
    moved = [
        np.abs(ops.convert_to_numpy(v) - old).max()
        for v, old in zip(model.weights, before, strict=True)
        if v.trainable
    ]
    assert sum(step > 0 for step in moved) >= len(moved) - 3
    check_growth(model, data)


def test_residual_width_of_a_transformer_is_normalized(check_growth):
    model, data = transformer()
    graph = check_growth(model, data, multiple=True)
    normed = [layers for layers in graph.layer_groups() if layers.normalized_by]
    assert len(normed) == 1
    assert not normed[0].reason
