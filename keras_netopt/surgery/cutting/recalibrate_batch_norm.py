"""Recomputes the averages of batch normalization after a cut."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.graph.layers import walk_layers
from keras_netopt.training import randomness
from keras_netopt.training.batches import iterate_batches

Norm = keras.layers.BatchNormalization


def recalibrate_batch_norm(model: keras.Model, data: Any) -> int:
    """Recomputes the moving averages of batch normalization.

    After a cut, the inputs of the layers differ from the stored averages. The
    new averages are the means over the batches of the calibration data
    (inputs, `(x, y)` or an iterable of batches); weights, other variables,
    random seeds and frozen layers do not change. Returns the number of
    recomputed layers.
    """
    layers = [
        layer
        for layer in walk_layers(model)
        if isinstance(layer, Norm) and layer.trainable
    ]
    if not layers:
        return 0
    sums: dict[int, Any] = {}
    count = 0
    state = randomness.capture_random_state(model)
    old = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.momentum = 0.0
        for x, _, _ in iterate_batches(data):
            for key, value in _statistics(model, layers, x).items():
                sums[key] = sums.get(key, 0.0) + value
            count += 1
    finally:
        for layer, momentum in zip(layers, old, strict=True):
            layer.momentum = momentum
        randomness.restore_random_state(model, state)
    for layer in layers:
        for variable in _averages(layer):
            variable.assign(sums[id(variable)] / count)
    return len(layers)


def _averages(layer: Any) -> tuple[Any, Any]:
    return layer.moving_mean, layer.moving_variance


def _statistics(
    model: keras.Model, layers: list[Any], x: Any
) -> dict[int, np.ndarray]:
    """Returns the statistics of one batch; the model does not change."""
    inputs = keras.tree.map_structure(ops.convert_to_tensor, x)
    with keras.StatelessScope() as scope:
        model(inputs, training=True)
    found = {}
    for layer in layers:
        for variable in _averages(layer):
            value = scope.get_current_value(variable)
            value = variable.value if value is None else value
            found[id(variable)] = np.asarray(ops.convert_to_numpy(value))
    return found
