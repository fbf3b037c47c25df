"""What the loss of each exit counts."""

import math
import numbers
from collections.abc import Mapping
from typing import Any

EARLY, LAST = 0.3, 1.0


def exit_weights(weights: Any, names: tuple[str, ...]) -> dict[str, float]:
    """Returns one weight an exit.

    Example:

    >>> exit_weights(None, ("exit1", "exit2", "final"))
    {'exit1': 0.3, 'exit2': 0.3, 'final': 1.0}
    >>> exit_weights("depth", ("exit1", "final"))
    {'exit1': 0.5, 'final': 1.0}

    Args:
        weights: `None`, a number for all early exits, one number an exit,
            a dictionary by name, or "depth".
        names: The names of the exits, the final one last.

    Returns:
        The weights by name.

    Raises:
        ValueError: If they do not fit the exits, or one is not a finite
            number of at least 0.
    """
    if weights is None:
        weights = EARLY
    if isinstance(weights, str) and weights == "depth":
        count = len(names)
        return {n: (k + 1) / count for k, n in enumerate(names)}
    found: dict[str, Any]
    if _is_number(weights):
        found = {**dict.fromkeys(names, weights), names[-1]: LAST}
    elif isinstance(weights, Mapping):
        found = {**exit_weights(None, names), **weights}
    elif isinstance(weights, list | tuple) and len(weights) == len(names):
        found = dict(zip(names, weights, strict=True))
    else:
        raise ValueError(_message(weights, names))
    if set(found) != set(names) or not all(map(_is_number, found.values())):
        raise ValueError(_message(weights, names))
    return {name: float(found[name]) for name in names}


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    return math.isfinite(value) and float(value) >= 0.0


def _message(weights: Any, names: tuple[str, ...]) -> str:
    return (
        "Argument `weights` must be a number of at least 0, one such number "
        f"for each of {list(names)} as a list or dictionary, or 'depth'. "
        f"Received: weights={weights!r}"
    )
