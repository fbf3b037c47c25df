"""Argument checks in the house's sentence form."""

import numbers
import re
from collections.abc import Iterable
from typing import Any

import keras


def check_fraction(value: Any, name: str) -> float:
    """Returns `value` as a float in [0, 1), or says what is wrong with it.

    Args:
        value: A real number; `bool` is refused.
        name: The argument's name, for the message.

    Returns:
        The value as a Python float.

    Raises:
        TypeError: If `value` is not a number.
        ValueError: If it is not in [0, 1).
    """
    message = (
        f"Argument `{name}` must be a float in [0, 1). "
        f"Received: {name}={value!r}"
    )
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(message)
    if not 0.0 <= float(value) < 1.0:
        raise ValueError(message)
    return float(value)


def check_probability(value: Any, name: str) -> float:
    """Returns `value` as a float in [0, 1], or says what is wrong with it.

    Args:
        value: A real number; `bool` is refused.
        name: The argument's name, for the message.

    Returns:
        The value as a Python float.

    Raises:
        TypeError: If `value` is not a number.
        ValueError: If it is not in [0, 1].
    """
    message = (
        f"Argument `{name}` must be a float in [0, 1]. "
        f"Received: {name}={value!r}"
    )
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(message)
    if not 0.0 <= float(value) <= 1.0:
        raise ValueError(message)
    return float(value)


def check_integer(value: Any, name: str, *, minimum: int = 0) -> int:
    """Returns `value` as an int of at least `minimum`.

    Args:
        value: A Python or numpy integer; `bool` is refused.
        name: The argument's name, for the message.
        minimum: Smallest value allowed. Defaults to `0`.

    Returns:
        The value as a Python int.

    Raises:
        TypeError: If `value` is not an integer.
        ValueError: If it is below `minimum`.
    """
    message = (
        f"Argument `{name}` must be an integer of at least {minimum}. "
        f"Received: {name}={value!r}"
    )
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(message)
    if int(value) < minimum:
        raise ValueError(message)
    return int(value)


def check_bool(value: Any, name: str) -> bool:
    """Returns `value`, or says that it is no bool.

    Args:
        value: What the caller passed.
        name: The argument's name, for the message.

    Returns:
        The value.

    Raises:
        TypeError: If it is not `True` or `False`.
    """
    if not isinstance(value, bool):
        raise TypeError(
            f"Argument `{name}` must be True or False. "
            f"Received: {name}={value!r}"
        )
    return value


def check_seed(seed: Any) -> int | None:
    """Returns a seed, or says what is wrong with it.

    Args:
        seed: An integer of at least 0, or `None` for a random one.

    Returns:
        The seed as a Python int, or `None`.

    Raises:
        TypeError: If it is neither an integer nor `None`.
        ValueError: If it is below 0.
    """
    return None if seed is None else check_integer(seed, "seed")


def check_choice(value: Any, name: str, allowed: Iterable[str]) -> None:
    """Refuses a value that is not one of the allowed names.

    Args:
        value: What the caller passed.
        name: The argument's name, for the message.
        allowed: The names allowed.

    Raises:
        ValueError: If `value` is not among them.
    """
    names = tuple(allowed)
    if not isinstance(value, str) or value not in names:
        listed = ", ".join(repr(choice) for choice in names)
        raise ValueError(
            f"Argument `{name}` must be one of {listed}. "
            f"Received: {name}={value!r}"
        )


def check_regex(value: str, name: str) -> None:
    """Refuses a broken regular expression.

    Args:
        value: The expression.
        name: The argument's name, for the message.

    Raises:
        ValueError: If it does not compile.
    """
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(
            f"Argument `{name}` must be a valid regular expression, but "
            f"{error}. Received: {name}={value!r}"
        ) from error


def check_model(model: Any) -> None:
    """Refuses what is not a model, and a model without weights yet.

    Args:
        model: What the caller passed.

    Raises:
        TypeError: If it is not a Keras model.
        ValueError: If it is not built.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "Argument `model` must be a Keras model. "
            f"Received: model={model!r} of type {type(model).__name__}"
        )
    if not model.built:
        raise ValueError(
            "Argument `model` must be built: call it on a batch, or call "
            "`model.build(input_shape)`. "
            f"Received: model=<{type(model).__name__} name={model.name}, "
            "built=False>"
        )
