"""The weight of each exit in the joint loss."""

import math
import numbers
from collections.abc import Mapping
from typing import Any

EARLY, FINAL_WEIGHT = 0.3, 1.0


def exit_loss_weights(
    loss_weights: Any, names: tuple[str, ...]
) -> dict[str, float]:
    """Returns one loss weight per exit; the final exit is the last name.

    `None`, a number for all early exits, a list with one number per exit, a
    dictionary by name and "depth" are valid; numbers are finite and at least
    0.

    Example:

    >>> exit_loss_weights(None, ("exit1", "exit2", "final"))
    {'exit1': 0.3, 'exit2': 0.3, 'final': 1.0}
    >>> exit_loss_weights("depth", ("exit1", "final"))
    {'exit1': 0.5, 'final': 1.0}
    """
    if loss_weights is None:
        loss_weights = EARLY
    if isinstance(loss_weights, str) and loss_weights == "depth":
        count = len(names)
        return {n: (k + 1) / count for k, n in enumerate(names)}
    found: dict[str, Any] = {}
    if _is_number(loss_weights):
        found = dict.fromkeys(names, loss_weights)
        found[names[-1]] = FINAL_WEIGHT
    elif isinstance(loss_weights, Mapping):
        found = {**exit_loss_weights(None, names), **loss_weights}
    elif isinstance(loss_weights, list | tuple) and len(loss_weights) == len(
        names
    ):
        found = dict(zip(names, loss_weights, strict=True))
    if set(found) != set(names) or not all(map(_is_number, found.values())):
        raise ValueError(
            "Argument `loss_weights` must be a number of at least 0, one such "
            f"number for each of {list(names)} as a list or dictionary, or "
            f"'depth'. Received: loss_weights={loss_weights!r}"
        )
    return {name: float(found[name]) for name in names}


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    return math.isfinite(value) and float(value) >= 0.0
