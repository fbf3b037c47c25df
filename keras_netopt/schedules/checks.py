"""Checks that the schedules share."""

import math
import numbers

from keras_netopt.points import RunLength


def check_number(value: object, name: str) -> float:
    """Returns a finite number as a float.

    Example:

    >>> check_number(1, "final")
    1.0

    Args:
        value: The number.
        name: Name of the argument that holds it, for the error.

    Returns:
        The number as a Python float.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is not finite.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"Argument `{name}` must be a number. Received: {name}={value!r}"
        )
    if not math.isfinite(value):
        raise ValueError(
            f"Argument `{name}` must be finite. Received: {name}={value!r}"
        )
    return float(value)


def check_positive(value: object, name: str) -> float:
    """Returns a finite number above 0 as a float.

    Example:

    >>> check_positive(3, "power")
    3.0

    Args:
        value: The number.
        name: Name of the argument that holds it, for the error.

    Returns:
        The number as a Python float.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is not finite or not above 0.
    """
    number = check_number(value, name)
    if number <= 0.0:
        raise ValueError(
            f"Argument `{name}` must be above 0. Received: {name}={value!r}"
        )
    return number


def check_frequency(frequency: int | None) -> None:
    """Raises where a frequency is neither `None` nor an int from 1 on.

    Example:

    >>> check_frequency(100)

    Args:
        frequency: Steps between two updates, or `None`.

    Raises:
        TypeError: If `frequency` is neither an int nor `None`.
        ValueError: If it is below 1.
    """
    if frequency is None:
        return
    if isinstance(frequency, bool) or not isinstance(
        frequency, numbers.Integral
    ):
        raise TypeError(
            "Argument `frequency` must be an int of steps or `None`. "
            f"Received: frequency={frequency!r}"
        )
    if frequency < 1:
        raise ValueError(
            "Argument `frequency` must be at least 1. "
            f"Received: frequency={frequency!r}"
        )


def run_of(total: int, steps_per_epoch: int | None = None) -> RunLength:
    """Makes the run of `total` steps that `values` and `plot` look at.

    Example:

    >>> run_of(100, 20)
    RunLength(steps_per_epoch=20, epochs=5)

    Args:
        total: Steps of the run, at least 1.
        steps_per_epoch: A divisor of `total`. Defaults to `None`: one epoch.

    Returns:
        The run.

    Raises:
        TypeError: If a value is not an int.
        ValueError: If `total` is below 1 or not divided by `steps_per_epoch`.
    """
    steps = RunLength(total, 1) if steps_per_epoch is None else None
    if total < 1:
        raise ValueError(
            f"Argument `total` must be at least 1. Received: total={total!r}"
        )
    if steps is not None:
        return steps
    if not steps_per_epoch or total % steps_per_epoch:
        raise ValueError(
            f"Argument `steps_per_epoch` must divide the {total} steps of the "
            f"run. Received: steps_per_epoch={steps_per_epoch!r}"
        )
    return RunLength(steps_per_epoch, total // steps_per_epoch)
