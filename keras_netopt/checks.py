"""Argument checks. Imports no Keras.

Each function takes the value of an argument and its name, for the message. It
returns the value as a plain Python number where the docstring names one; `bool`
is not a number. It raises TypeError for a value of another type and ValueError
for a value out of range.
"""

import inspect
import math
import numbers
import re
from collections.abc import Callable, Iterable
from typing import Any


def check_number(value: Any, name: str) -> float:
    """Returns a finite number as a float."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(_message(value, name, "a number"))
    number = _as_float(value)
    if not math.isfinite(number):
        raise ValueError(_message(value, name, "finite"))
    return number


def check_positive(value: Any, name: str) -> float:
    """Returns a finite number above 0 as a float."""
    return check_above(value, name, 0.0, "0")


def check_at_least(value: Any, name: str, minimum: float) -> float:
    """Returns a finite number of at least `minimum` as a float."""
    number = check_number(value, name)
    if number < minimum:
        raise ValueError(_message(value, name, f"at least {minimum:g}"))
    return number


def check_above(value: Any, name: str, limit: float, limit_name: str) -> float:
    """Returns a finite number above another one as a float.

    `limit_name` is the limit in the message, such as "1" or "`begin`".
    """
    number = check_number(value, name)
    if number <= limit:
        raise ValueError(_message(value, name, f"above {limit_name}"))
    return number


def check_at_least_zero(value: Any, name: str) -> float:
    """Returns a finite number of at least 0 as a float."""
    expected = "a finite number of at least 0"
    return _check_real(value, name, expected, lambda x: 0.0 <= x < math.inf)


def check_fraction(value: Any, name: str) -> float:
    """Returns a number in [0, 1) as a float."""
    return _check_real(
        value, name, "a float in [0, 1)", lambda x: 0.0 <= x < 1.0
    )


def check_probability(value: Any, name: str) -> float:
    """Returns a number in [0, 1] as a float."""
    return _check_real(
        value, name, "a float in [0, 1]", lambda x: 0.0 <= x <= 1.0
    )


def check_integer(value: Any, name: str, *, minimum: int = 0) -> int:
    """Returns an integer of at least `minimum` as an int."""
    expected = f"an integer of at least {minimum}"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(_message(value, name, expected))
    if int(value) < minimum:
        raise ValueError(_message(value, name, expected))
    return int(value)


def check_frequency(frequency: Any) -> None:
    """Refuses a frequency that is neither `None` nor at least 1 step."""
    if frequency is None:
        return
    if isinstance(frequency, bool) or not isinstance(
        frequency, numbers.Integral
    ):
        raise TypeError(
            _message(frequency, "frequency", "an int of steps or `None`")
        )
    if frequency < 1:
        raise ValueError(_message(frequency, "frequency", "at least 1"))


def check_bool(value: Any, name: str) -> bool:
    """Returns a bool unchanged."""
    if not isinstance(value, bool):
        raise TypeError(_message(value, name, "True or False"))
    return value


def check_truth(value: Any, name: str) -> bool:
    """Returns whether a value is true, as KerasTuner reads its arguments."""
    try:
        return bool(value)
    except Exception as error:  # Of any class: arrays have no truth value.
        raise TypeError(_message(value, name, "True or False")) from error


def check_seed(seed: Any) -> int | None:
    """Returns a seed of at least 0 as an int, or `None` for a random one."""
    return None if seed is None else check_integer(seed, "seed")


def check_seeds(seeds: Any) -> list[int]:
    """Returns a list of seeds: those given, or a number of seeds from 0."""
    if isinstance(seeds, numbers.Integral) or not isinstance(seeds, Iterable):
        return list(range(check_integer(seeds, "seeds", minimum=1)))
    found = [check_integer(seed, "seeds") for seed in seeds]
    if not found or len(set(found)) != len(found):
        raise ValueError(
            "Argument `seeds` must hold at least one seed, without duplicates. "
            f"Received: seeds={seeds!r}"
        )
    return found


def check_choice(value: Any, name: str, allowed: Iterable[str | None]) -> None:
    """Refuses a value that is not one of the allowed names or `None`."""
    names = tuple(allowed)
    if not isinstance(value, str | None) or value not in names:
        listed = ", ".join(repr(choice) for choice in names)
        raise ValueError(_message(value, name, f"one of {listed}"))


def check_verbose(verbose: Any) -> None:
    """Refuses a verbosity that is not 0, 1 or "auto"."""
    is_known = isinstance(verbose, str | numbers.Real)
    is_known = is_known and not isinstance(verbose, bool)
    if not is_known or verbose not in ("auto", 0, 1):
        raise ValueError(_message(verbose, "verbose", '0, 1 or "auto"'))


def check_regex(value: str, name: str) -> None:
    """Refuses a string that is not a regular expression."""
    try:
        re.compile(value)
    except re.error as error:
        expected = f"a valid regular expression, but {error}"
        raise ValueError(_message(value, name, expected)) from error


def takes_one_argument(value: Any) -> bool:
    """Whether a value is a function that can be called with one argument.

    A class is no function here; a builtin without a signature is one.
    """
    if isinstance(value, type) or not callable(value):
        return False
    try:
        inspect.signature(value).bind(None)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def _check_real(
    value: Any, name: str, expected: str, holds: Callable[[float], bool]
) -> float:
    message = _message(value, name, expected)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(message)
    number = _as_float(value)
    if not holds(number):
        raise ValueError(message)
    return number


def _as_float(value: Any) -> float:
    """Returns a number as a float; one that is too large is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _message(value: Any, name: str, expected: str) -> str:
    return f"Argument `{name}` must be {expected}. Received: {name}={value!r}"
