"""Sets the ranges of a quantized model."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from keras_netopt.tf_keras_bridge.replaced_function import replaced_function

START = 6.0  # tfmot's ranges begin at [-6, 6] ...
MOMENTUM = 0.999  # ... and move by this momentum per step.


def calibrate_ranges(batches: Iterable[Any], run: Callable[[Any], Any]) -> None:
    """Sets each activation range to the mean of those of some batches.

    The model computes as in inference: weights and statistics stay as they
    are.

    Args:
        batches: Inputs of the model.
        run: Calls a model of `quantize_twin` in inference on a batch.
    """
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.quantization.keras import (
        quant_ops,
    )

    moving = quant_ops.MovingAvgQuantize
    counts: dict[int, int] = {}

    def set_mean(
        inputs: Any, min_var: Any, max_var: Any, **options: Any
    ) -> Any:
        key = id(min_var)
        counts[key] = count = counts.get(key, 0) + 1
        for variable, reduce, bound in (
            (min_var, tf.reduce_min, tf.minimum),
            (max_var, tf.reduce_max, tf.maximum),
        ):
            value = bound(reduce(inputs), 0.0)
            variable.assign_add((value - variable) / count)
        options.pop("ema_decay", None)
        return moving(
            inputs, min_var, max_var, **options | {"is_training": False}
        )

    last = _always(quant_ops.LastValueQuantize)
    everything = _always(quant_ops.AllValuesQuantize)
    with (
        replaced_function(quant_ops, "MovingAvgQuantize", set_mean),
        replaced_function(quant_ops, "LastValueQuantize", last),
        replaced_function(quant_ops, "AllValuesQuantize", everything),
    ):
        for batch in batches:
            run(batch)


def refresh_weight_ranges(run: Callable[[], Any]) -> None:
    """Sets the ranges of all kernels to those of their values of now.

    tfmot sets them before each update, so that the kernels of the last update
    exceed them, and are clipped.

    Args:
        run: Calls a model of `quantize_twin` in inference.
    """
    from tensorflow_model_optimization.python.core.quantization.keras import (
        quant_ops,
    )

    last = _always(quant_ops.LastValueQuantize)
    with replaced_function(quant_ops, "LastValueQuantize", last):
        run()


def _always(function: Any) -> Any:
    """Returns a quantizer that moves its range in inference, too."""

    def call(*args: Any, **options: Any) -> Any:
        return function(*args, **options | {"is_training": True})

    return call


def remaining_start(steps: int) -> float:
    """Returns the share of tfmot's start values in ranges after some steps.

    Example:

    >>> round(remaining_start(500), 2)
    0.61
    """
    return float(np.power(MOMENTUM, steps))
