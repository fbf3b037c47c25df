"""The values that an argument of a search space may take."""

import contextlib
import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

Options = tuple[Any, ...]


def check_sizes(value: Any, name: str, *, minimum: int = 1) -> Options:
    """Returns the integers that a search may choose from, ascending.

    `value` is an integer, which is not searched, or several different ones.
    """
    expected = (
        f"an integer of at least {minimum}, or several different ones as in "
        f"`{name}=({minimum}, {minimum + 1})`"
    )
    found = _to_tuple(value)
    for one in found:
        if isinstance(one, bool) or not isinstance(one, numbers.Integral):
            raise TypeError(_message(value, name, expected))
        if one < minimum:
            raise ValueError(_message(value, name, expected))
    if not found or len(set(found)) < len(found):
        raise ValueError(_message(value, name, expected))
    return tuple(sorted(int(one) for one in found))


def check_numbers(
    value: Any, name: str, *, minimum: float = 0.0, below: float | None = None
) -> Options:
    """Returns the numbers that a search may choose from, ascending."""
    limit = "" if below is None else f" and below {below:g}"
    expected = (
        f"a number of at least {minimum:g}{limit}, or several different ones"
    )
    found = _to_tuple(value)
    for one in found:
        if isinstance(one, bool) or not isinstance(one, numbers.Real):
            raise TypeError(_message(value, name, expected))
        number = float(one)
        if not minimum <= number < (math.inf if below is None else below):
            raise ValueError(_message(value, name, expected))
    if not found or len(set(found)) < len(found):
        raise ValueError(_message(value, name, expected))
    return tuple(sorted(float(one) for one in found))


def check_labels(value: Any, name: str, allowed: Sequence[str]) -> Options:
    """Returns the names that a search may choose from, in the given order."""
    listed = ", ".join(map(repr, allowed))
    expected = f"one or several different names of {listed}"
    found = (value,) if isinstance(value, str) else _to_tuple(value)
    if not found or any(one not in allowed for one in found):
        raise ValueError(_message(value, name, expected))
    if len(set(found)) < len(found):
        raise ValueError(_message(value, name, expected))
    return found


def choose(hp: Any, name: str, options: Options, default: Any = None) -> Any:
    """Returns the searched value, or the only one.

    `hp` is a `keras_tuner.HyperParameters`. The default is the middle one of
    the options unless `default` is one of them. The result is `None` where
    the hyperparameter is inactive.
    """
    if len(options) == 1:
        return options[0]
    if default not in options:
        default = options[(len(options) - 1) // 2]
    ordered = not isinstance(options[0], str)
    return hp.Choice(name, list(options), default=default, ordered=ordered)


def active_from(
    hp: Any, name: str, options: Options, minimum: int
) -> contextlib.AbstractContextManager[Any]:
    """A scope of hyperparameters that need `minimum` of the count `name`.

    Hyperparameters that every count needs get no condition.
    """
    allowed = [one for one in options if one >= minimum]
    if len(allowed) == len(options):
        return contextlib.nullcontext()
    scope: contextlib.AbstractContextManager[Any] = hp.conditional_scope(
        name, allowed
    )
    return scope


def _to_tuple(value: Any) -> Options:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(value)
    return (value,)


def _message(value: Any, name: str, expected: str) -> str:
    return f"Argument `{name}` must be {expected}. Received: {name}={value!r}"
