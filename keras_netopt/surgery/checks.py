"""Argument checks of channel pruning, in the house's sentence form."""

import numbers
from typing import Any


def check_ratio(ratio: Any, name: str = "ratio") -> float:
    """Returns a float in [0, 1), or says what is wrong with it.

    Args:
        ratio: What the caller passed.
        name: The argument's name, for the message. Defaults to `"ratio"`.

    Returns:
        The ratio as a Python float.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is not in [0, 1).
    """
    message = (
        f"Argument `{name}` must be a float in [0, 1). "
        f"Received: {name}={ratio!r}"
    )
    if isinstance(ratio, bool) or not isinstance(ratio, numbers.Real):
        raise TypeError(message)
    if not 0.0 <= float(ratio) < 1.0:
        raise ValueError(message)
    return float(ratio)


def check_choice(value: Any, name: str, allowed: tuple[str, ...]) -> None:
    """Refuses a value that is not one of the allowed names.

    Args:
        value: What the caller passed.
        name: The argument's name, for the message.
        allowed: The names allowed.

    Raises:
        ValueError: If `value` is not among them.
    """
    if not isinstance(value, str) or value not in allowed:
        listed = ", ".join(repr(choice) for choice in allowed)
        raise ValueError(
            f"Argument `{name}` must be one of {listed}. "
            f"Received: {name}={value!r}"
        )


def check_integer(value: Any, name: str, least: int) -> None:
    """Refuses what is not an integer of at least `least`.

    Args:
        value: What the caller passed.
        name: The argument's name, for the message.
        least: The smallest value allowed.

    Raises:
        TypeError: If it is not an integer.
        ValueError: If it is too small.
    """
    message = (
        f"Argument `{name}` must be an integer of at least {least}. "
        f"Received: {name}={value!r}"
    )
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(message)
    if value < least:
        raise ValueError(message)
