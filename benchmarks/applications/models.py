"""The models, their smallest inputs, and weights that let channels matter."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers as L

from keras_netopt.graph.layers import walk_layers

CLASSES = 10
SAMPLES = 16
SIZES = {"Inception": 75, "Xception": 71}
SMALLEST = 32


def names() -> list[str]:
    """Every constructor of `keras.applications`, then models of our own."""
    found = [
        name
        for name in dir(keras.applications)
        if name[0].isupper() and callable(getattr(keras.applications, name))
    ]
    return [*found, *OWN]


def build(name: str) -> keras.Model:
    """Builds a model with logits for its smallest input."""
    if name in OWN:
        return OWN[name]()
    size = input_size(name)
    model: keras.Model = getattr(keras.applications, name)(
        weights=None,
        input_shape=(size, size, 3),
        classes=CLASSES,
        classifier_activation=None,
    )
    return model


def input_size(name: str) -> int:
    """The smallest input that a model of `keras.applications` takes."""
    sizes = [size for start, size in SIZES.items() if name.startswith(start)]
    return sizes[0] if sizes else SMALLEST


def samples(model: keras.Model) -> np.ndarray:
    """Images between 0 and 255, or tokens."""
    rng = np.random.default_rng(0)
    (tensor,) = model.inputs
    shape = (SAMPLES, *tensor.shape[1:])
    if "int" in tensor.dtype:
        return rng.integers(1, TOKENS, shape)
    return rng.uniform(0, 255, shape).astype("float32")


def predict(model: keras.Model, x: np.ndarray) -> list[np.ndarray]:
    """The flat outputs in inference mode."""
    outputs = keras.tree.flatten(model(x, training=False))
    return [np.array(keras.ops.convert_to_numpy(y)) for y in outputs]


def randomize(model: keras.Model) -> None:
    """Draws weights that keep the scale of what passes.

    The initializers of old architectures let the signal of a deep model fade
    away, and a layer scale of 1e-6 hides its branch: what is removed then
    would not show in the outputs.
    """
    rng = np.random.default_rng(1)
    for weight in model.trainable_variables:
        shape = tuple(weight.shape)
        if weight.name == "gamma" and "scale" in weight.path:
            value = np.full(shape, 0.3)
        elif weight.name in ("gamma", "scale"):
            value = rng.uniform(0.8, 1.2, shape)
        elif len(shape) < 2:
            value = 0.05 * rng.standard_normal(shape)
        else:
            depthwise = "depthwise" in weight.path or shape[-1] == 1
            fan = np.prod(shape[:-2] if depthwise else shape[:-1])
            value = rng.standard_normal(shape, "float32")
            value *= np.float32(np.sqrt(2.0 / fan))
        weight.assign(value.astype("float32"))


def calibrate(model: keras.Model, x: np.ndarray) -> None:
    """Takes statistics from data and scales the outputs to 1 at most.

    The head's bias is scaled as its kernel is: in a deep network without
    normalization (VGG) it would otherwise outweigh what depends on the input.
    """
    norms = [
        layer
        for layer in walk_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momentum = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.03
    model(x, training=True)
    for layer, old in zip(norms, momentum, strict=True):
        layer.momentum = old
        spread = keras.ops.convert_to_numpy(layer.moving_variance)
        # Nearly constant channels would magnify rounding errors.
        floor = np.maximum(spread, np.median(spread))
        layer.moving_variance.assign(floor)
    largest = max(np.abs(y).max() for y in predict(model, x))
    head = [layer for layer in model.layers if hasattr(layer, "kernel")][-1]
    for weight in head.weights:
        weight.assign(weight / largest)


TOKENS = 64
STEPS = 32


def _transformer() -> keras.Model:
    x = L.Input((STEPS,), dtype="int32")
    y = L.Embedding(TOKENS, 64)(x)
    for _ in range(2):
        z = L.LayerNormalization()(y)
        z = L.MultiHeadAttention(4, 16)(z, z, use_causal_mask=True)
        y = L.Add()([y, z])
        z = L.LayerNormalization()(y)
        z = L.Dense(64)(L.Dense(256, activation="gelu")(z))
        y = L.Add()([y, z])
    y = L.LayerNormalization()(y)
    return keras.Model(x, L.Dense(TOKENS)(y), name="transformer")


def _tagger() -> keras.Model:
    x = L.Input((STEPS,), dtype="int32")
    y = L.Embedding(TOKENS, 32)(x)
    y = L.Bidirectional(L.LSTM(32, return_sequences=True))(y)
    y = L.GRU(32, return_sequences=True)(y)
    y = L.TimeDistributed(L.Dense(32, activation="relu"))(y)
    return keras.Model(x, L.Dense(CLASSES)(y), name="tagger")


def _block(y: Any, width: int) -> Any:
    y = L.Conv2D(width, 3, padding="same", use_bias=False)(y)
    y = L.BatchNormalization(momentum=0.9)(y)
    return L.ReLU()(y)


def _u_net() -> keras.Model:
    x = L.Input((64, 64, 3))
    y, skips = x, []
    for width in (16, 32, 64):
        y = _block(y, width)
        skips.append(y)
        y = L.MaxPooling2D()(y)
    y = _block(y, 128)
    for width, skip in zip((64, 32, 16), skips[::-1], strict=True):
        y = L.Conv2DTranspose(width, 2, strides=2)(y)
        y = _block(L.Concatenate()([y, skip]), width)
    return keras.Model(x, L.Conv2D(2, 1)(y), name="u_net")


def _detector() -> keras.Model:
    x = L.Input((64, 64, 3))
    y, levels = x, []
    for width in (16, 32, 64):
        y = L.MaxPooling2D()(_block(y, width))
        levels.append(y)
    p3 = L.Conv2D(32, 1)(levels[2])
    p2 = L.Add()([L.Conv2D(32, 1)(levels[1]), L.UpSampling2D()(p3)])
    tower = keras.Sequential(
        [L.Input((None, None, 32)), *_tower(32), *_tower(32)], name="tower"
    )
    classes, boxes = L.Conv2D(CLASSES, 1), L.Conv2D(4, 1)
    maps = [tower(p2), tower(p3)]
    scores = [L.Reshape((-1, CLASSES))(classes(m)) for m in maps]
    places = [L.Reshape((-1, 4))(boxes(m)) for m in maps]
    outputs = [L.Concatenate(axis=1)(scores), L.Concatenate(axis=1)(places)]
    return keras.Model(x, outputs, name="detector")


def _tower(width: int) -> list[keras.Layer]:
    return [L.SeparableConv2D(width, 3, padding="same"), L.ReLU()]


OWN: dict[str, Callable[[], keras.Model]] = {
    "transformer": _transformer,
    "tagger": _tagger,
    "u_net": _u_net,
    "detector": _detector,
}
