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
    """Returns a step, a number or a tensor, as a float32 tensor."""
    return ops.cast(step, "float32")


def interval_progress(step: Any, begin: float, length: float) -> Any:
    """Returns the completed fraction of an interval of steps, in [0, 1].

    `step` is a float32 tensor. An interval of length 0 is complete at `begin`.

    Example:

    >>> [float(interval_progress(as_float(i), 10, 4)) for i in (0, 11, 20)]
    [0.0, 0.25, 1.0]
    """
    if length <= 0:
        return ops.cast(step >= begin, "float32")
    return ops.clip((step - begin) / length, 0.0, 1.0)


def interpolate_cosine(begin: float, end: float, progress: Any) -> Any:
    """Interpolates from `begin` at progress 0 to `end` at 1: half a cosine."""
    return end + (begin - end) * 0.5 * (1.0 + ops.cos(progress * math.pi))
