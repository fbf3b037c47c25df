"""The width that `to`, `factor` or `add` ask for."""

import math
from typing import Any

from keras_netopt.checks import check_integer, check_number


def check_target_width(to: Any, factor: Any, add: Any, round_to: Any) -> None:
    """Checks the arguments that set the new width of a layer.

    Exactly one of `to`, `factor` (above 1) and `add` must be given.
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
    """Computes the new width of a layer of `width` units.

    `width * factor` is rounded to whole units, at least one more.

    Example:

    >>> target_width(10, None, 1.5, None), target_width(10, None, 1.5, None, 8)
    (15, 16)
    """
    if factor is not None:
        wanted = max(width + 1, math.floor(width * factor + 0.5))
    else:
        wanted = int(to) if to is not None else width + int(add or 0)
    multiple = round_to or 1
    return -(-wanted // multiple) * multiple
