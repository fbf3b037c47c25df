"""A classifier around a backbone, random weights and data."""

from typing import Any

import keras
import numpy as np
from keras import layers as L

from keras_netopt.graph.layers import walk_layers

CLASSES = 3
SAMPLES = 8
STEPS = 10
SOUND = {"encoder_features": 20, "encoder_input_values": 2815}
VOCABULARY = 64


def classifier(
    backbone: keras.Model, *, free: bool, seed: int
) -> tuple[Any, ...]:
    """Puts a head on a backbone and draws weights and data.

    Args:
        backbone: Functional model; dict or single input and output.
        free: Whether free lengths stay free.
        seed: Of weights and data.

    Returns:
        Model, inputs and labels.
    """
    inputs = keras.tree.map_structure(
        lambda x: L.Input(_shape(x, free), dtype=x.dtype, name=x.name),
        backbone.input,
    )
    features = [_pool(y) for y in _features(backbone(inputs))]
    y = L.Concatenate()(features) if len(features) > 1 else features[0]
    model = keras.Model(inputs, L.Dense(CLASSES, name="head")(y))
    rng = np.random.default_rng(seed)
    x = keras.tree.map_structure(lambda x: _data(x, rng), backbone.input)
    randomize(model, rng)
    _calibrate(model, x)
    return model, x, rng.integers(0, CLASSES, SAMPLES)


def _shape(tensor: Any, free: bool) -> tuple[int | None, ...]:
    size = None if free else SOUND.get(tensor.name, STEPS)
    return tuple(size if n is None else n for n in tensor.shape[1:])


def _features(outputs: Any) -> list[Any]:
    """The outputs that a task of keras_hub reads."""
    if isinstance(outputs, dict):
        for name in ("pooled_output", "decoder_sequence_output"):
            if name in outputs:
                return [outputs[name]]
    return list(keras.tree.flatten(outputs))


def _pool(tensor: Any) -> Any:
    if tensor.shape[-1] is None:
        # Similarities to the other samples of the batch (CLIP).
        tensor = keras.ops.expand_dims(tensor, -1)
    rank = len(tensor.shape)
    if rank == 4:
        return L.GlobalAveragePooling2D()(tensor)
    return L.GlobalAveragePooling1D()(tensor) if rank == 3 else tensor


def _data(tensor: Any, rng: np.random.Generator) -> np.ndarray:
    shape = (SAMPLES, *_shape(tensor, free=False))
    if "mask" in tensor.name:
        return np.ones(shape, tensor.dtype)
    if "segment" in tensor.name:
        return rng.integers(0, 2, shape).astype("int32")
    if "int" in tensor.dtype:
        return rng.integers(1, VOCABULARY, shape).astype("int32")
    return rng.normal(size=shape).astype("float32")


def randomize(model: keras.Model, rng: np.random.Generator) -> None:
    """Draws weights with which every unit shows in the outputs.

    The initializers of most families keep the branches of a block so small
    that a wrong cut would be lost in the rounding.
    """
    for weight in model.trainable_variables:
        shape = tuple(weight.shape)
        if weight.name in ("gamma", "scale", "weight"):
            value = rng.uniform(0.8, 1.2, shape)
        elif len(shape) < 2:
            value = 0.1 * rng.standard_normal(shape)
        else:
            scale = np.sqrt(2.0 / _fan_in(weight))
            value = scale * rng.standard_normal(shape)
        weight.assign(value.astype("float32"))


def _fan_in(weight: Any) -> float:
    shape = tuple(weight.shape)
    if "embedding" in weight.path:
        return 2.0
    if "attention_output" in weight.path and len(shape) == 3:
        return float(shape[0] * shape[1])
    if "depthwise" in weight.path:
        return float(np.prod(shape[:2]))
    if len(shape) == 3:
        # Experts are stacked in front; heads stand at the end.
        return float(max(shape[:2]))
    return float(np.prod(shape[:-1]))


def _calibrate(model: keras.Model, x: Any) -> None:
    """Takes statistics from the data and brings the outputs to 1 at most."""
    norms = [
        layer
        for layer in walk_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.built
    ]
    momentum = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.03
    if norms:
        model(x, training=True)
    for layer, old in zip(norms, momentum, strict=True):
        layer.momentum = old
        spread = keras.ops.convert_to_numpy(layer.moving_variance)
        floor = np.maximum(spread, np.median(spread))
        layer.moving_variance.assign(floor)
    y = keras.ops.convert_to_numpy(model(x, training=False))
    head = model.get_layer("head")
    scale = 1.0 / max(float(np.std(y, axis=0).mean()), 1e-6)
    for weight in head.weights:
        weight.assign(weight * scale)
    mean = scale * keras.ops.convert_to_numpy(y).mean(axis=0)
    head.bias.assign(head.bias - mean)
