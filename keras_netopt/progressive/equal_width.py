"""Wider columns: every width of a model times one factor."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.call_flat import call_flat
from keras_netopt.graph.model_graph import as_graph

# Keys of layer configs that hold a number of channels, features or heads.
WIDTHS = ("units", "filters", "output_dim", "num_heads")
STEPS = 8
CLOSE = 1.02


def scale_widths(model: keras.Model, factor: float) -> keras.Model:
    """Returns a model of the same layers with scaled widths and new weights.

    Units, filters, embedding features and attention heads are multiplied by
    the factor and rounded, at least 1, also in wrapped layers; nested models
    are opened. Everything else follows.

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(10)])
    >>> scale_widths(model, 1.5).output_shape
    (None, 15)

    Args:
        model: A Functional or Sequential model.
        factor: Factor of the widths, above 0.
    """
    inputs = keras.tree.map_structure(
        lambda one: keras.Input(batch_shape=one.shape, dtype=one.dtype),
        as_graph(model).input,
    )
    scaled: dict[int, Any] = {}

    def scale(operation: Any) -> Any:
        if not isinstance(operation, keras.Layer):
            return operation
        if id(operation) not in scaled:
            config = _scale_config(operation.get_config(), factor)
            scaled[id(operation)] = type(operation).from_config(config)
            scaled[id(operation)].trainable = True
        return scaled[id(operation)]

    return keras.Model(inputs, call_flat(model, inputs, replace=scale))


def find_factor(
    build: Callable[[float], keras.Model], parameters: int
) -> float:
    """Finds a factor with just as many parameters, or slightly more.

    Args:
        build: Returns the model of a factor.
        parameters: Number of parameters, at least those of factor 1.

    Returns:
        The smallest factor found with at least `parameters`, which is at most
        2 % more where whole numbers of units allow it.

    Raises:
        ValueError: If the widths hardly change the number of parameters.
    """
    factor, count = 1.0, build(1.0).count_params()
    best, exponent = (1.0 if count >= parameters else None), 1.7
    for _ in range(STEPS):
        if parameters <= count <= CLOSE * parameters:
            break
        # Aims into the middle of what is close enough.
        aim = (1 + CLOSE) / 2 * parameters / count
        step = float(np.clip(aim ** (1 / exponent), 0.1, 10.0))
        before = count
        factor, count = factor * step, build(factor * step).count_params()
        if count != before:
            found = math.log(count / before) / math.log(step)
            exponent = float(np.clip(found, 0.5, 2.5))
        if count >= parameters and (best is None or factor < best):
            best = factor
    if best is None:
        raise ValueError(
            "Its layers have too few `units` or `filters` to reach "
            f"{parameters:,} parameters"
        )
    return best


def _scale_config(config: Any, factor: float) -> Any:
    if isinstance(config, dict):
        return {
            key: max(1, round(value * factor))
            if key in WIDTHS and type(value) is int
            else _scale_config(value, factor)
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [_scale_config(value, factor) for value in config]
    return config
