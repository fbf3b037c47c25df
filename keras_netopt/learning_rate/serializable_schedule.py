"""The base class and the functions of the learning rate schedules."""

import inspect
import math
from typing import Any

import keras
from keras import ops


class SerializableSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Base class; constructor arguments are attributes of the same name."""

    def get_config(self) -> dict[str, Any]:
        """Returns every constructor argument, JSON-safe."""
        names = inspect.signature(type(self)).parameters
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        names = inspect.signature(type(self)).parameters
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({shown})"


def as_float(step: Any) -> Any:
    """Returns a step as a float32 tensor.

    Args:
        step: Optimizer steps taken so far, a number or a tensor.
    """
    return ops.cast(step, "float32")


def interval_progress(step: Any, begin: float, length: float) -> Any:
    """Returns the completed fraction of an interval of steps, in [0, 1].

    Example:

    >>> [float(interval_progress(as_float(i), 10, 4)) for i in (0, 11, 20)]
    [0.0, 0.25, 1.0]
    >>> [float(interval_progress(as_float(i), 10, 0)) for i in (9, 10)]
    [0.0, 1.0]

    Args:
        step: A float32 tensor.
        begin: First step of the interval.
        length: Number of steps; an interval of length 0 is complete at
            `begin`.

    Returns:
        A tensor of the same shape.
    """
    if length <= 0:
        return ops.cast(step >= begin, "float32")
    return ops.clip((step - begin) / length, 0.0, 1.0)


def interpolate_cosine(begin: float, end: float, progress: Any) -> Any:
    """Interpolates between two values along half a cosine.

    Example:

    >>> halves = [as_float(i) / 2.0 for i in (0, 1, 2)]
    >>> [round(float(interpolate_cosine(1.0, 0.0, half)), 3) for half in halves]
    [1.0, 0.5, 0.0]

    Args:
        begin: The value at 0.
        end: The value at 1.
        progress: A tensor in [0, 1].

    Returns:
        A tensor of the same shape.
    """
    return end + (begin - end) * 0.5 * (1.0 + ops.cos(progress * math.pi))
