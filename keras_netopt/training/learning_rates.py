"""Finds the learning rate of an optimizer."""

from typing import Any

import keras


def find_learning_rate_variable(optimizer: Any) -> keras.Variable | None:
    """Finds the variable that holds an optimizer's learning rate.

    It is `None` if a schedule or a function gives the learning rate, or if
    there are several.
    """
    # A MultiOptimizer has no learning rate and raises AttributeError.
    rate = getattr(optimizer, "learning_rate", None)
    return rate if isinstance(rate, keras.Variable) else None


def describe_optimizer(optimizer: Any) -> str:
    """Describes an optimizer and its learning rate in a message.

    Example:

    >>> import keras
    >>> decay = keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.9)
    >>> describe_optimizer(keras.optimizers.SGD(decay))
    'SGD(learning_rate=ExponentialDecay)'
    """
    kind = type(optimizer).__name__
    if not hasattr(optimizer, "learning_rate"):
        return kind
    rate = optimizer.get_config().get("learning_rate")
    if isinstance(rate, dict):
        rate = rate.get("class_name")
    return f"{kind}(learning_rate={rate})"
