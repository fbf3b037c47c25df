"""The width that `to`, `factor` or `add` ask for."""

import math
from typing import Any

from keras_netopt.checks import check_integer, check_number


def check_target_width(to: Any, factor: Any, add: Any, round_to: Any) -> None:
    """Checks the arguments that set the new width of a layer.

    Args:
        to: Number of units after the edit, or `None`.
        factor: Factor above 1, or `None`.
        add: Number of units to add, or `None`.
        round_to: Multiple to round up to, or `None`.

    Raises:
        TypeError: If a value has the wrong type.
        ValueError: If a value is out of range, or not exactly one of `to`,
            `factor` and `add` is given.
    """
    given = {"to": to, "factor": factor, "add": add}
    if sum(value is not None for value in given.values()) != 1:
        shown = ", ".join(f"{k}={v!r}" for k, v in given.items())
        raise ValueError(
            "Arguments `to`, `factor` and `add`: exactly one must be given. "
            f"Received: {shown}"
        )
    if factor is not None and check_number(factor, "factor") <= 1:
        raise ValueError(
            "Argument `factor` must be above 1. To make a layer smaller use "
            f"`surgery.remove`. Received: factor={factor!r}"
        )
    for name, value in (("to", to), ("add", add), ("round_to", round_to)):
        if value is not None:
            check_integer(value, name, minimum=1)


def target_width(
    width: int,
    to: int | None,
    factor: float | None,
    add: int | None,
    round_to: int | None = None,
) -> int:
    """Computes the new width of a layer.

    Example:

    >>> target_width(10, None, 1.5, None), target_width(10, None, 1.5, None, 8)
    (15, 16)

    Args:
        width: Number of units now.
        to: Number of units after the edit, or `None`.
        factor: Factor above 1, or `None`; rounded to whole units, at least
            one more.
        add: Number of units to add, or `None`.
        round_to: Round up to a multiple of this. Defaults to `None`.

    Returns:
        Number of units after the edit.
    """
    if factor is not None:
        wanted = max(width + 1, math.floor(width * factor + 0.5))
    else:
        wanted = int(to) if to is not None else width + int(add or 0)
    multiple = round_to or 1
    return -(-wanted // multiple) * multiple
