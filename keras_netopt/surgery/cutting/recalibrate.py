"""Batch normalization after a cut: statistics of the smaller model."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.training import randomness
from keras_netopt.training.batches import iterate_batches
from keras_netopt.training.layers import walk_layers

Norm = keras.layers.BatchNormalization


def recalibrate(model: keras.Model, data: Any) -> int:
    """Measures the moving averages of batch normalization anew.

    After a cut the layers behind it see other numbers than the averages tell.
    The new ones are the mean over the batches of `data`; weights, other
    variables and random seeds stay as they are, and so do frozen layers.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> norm = keras.layers.BatchNormalization()
    >>> model = keras.Sequential([keras.Input((1,)), norm])
    >>> recalibrate(model, np.array([[1.0], [3.0]]))
    1
    >>> np.array(norm.moving_mean).tolist()
    [2.0]

    Args:
        model: A built model.
        data: Inputs, `(x, y)` arrays or an iterable of batches.

    Returns:
        The number of layers that were measured.

    Raises:
        TypeError: If `data` is of a kind that cannot be read.
        ValueError: If it holds no sample.
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
            _add(sums, _statistics(model, layers, x))
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
    """The statistics of one batch; what the model assigns is not kept."""
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


def _add(sums: dict[int, Any], found: dict[int, np.ndarray]) -> None:
    for key, value in found.items():
        sums[key] = sums.get(key, 0.0) + value
