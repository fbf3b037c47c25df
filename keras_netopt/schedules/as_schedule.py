"""Converts the value of an argument to a schedule."""

from collections.abc import Callable

from keras_netopt.checks import check_number
from keras_netopt.schedules.ramps import Polynomial
from keras_netopt.schedules.schedule import Schedule


def as_schedule(
    value: float | Schedule,
    name: str,
    default: Callable[..., Schedule] = Polynomial,
) -> Schedule:
    """Returns a schedule for a number or a schedule.

    Example:

    >>> as_schedule(0.9, "sparsity")
    Polynomial(initial=0.0, final=0.9, begin=0.1, end=0.75, power=3.0)

    Args:
        value: A final value, or a schedule, which is returned unchanged.
        name: The argument's name, for the message.
        default: Creates the schedule for a number, called with `final=`.
            Defaults to `Polynomial`.

    Returns:
        The schedule.

    Raises:
        TypeError: If `value` is neither a number nor a schedule.
        ValueError: If it is a number that is not finite.
    """
    if isinstance(value, Schedule):
        return value
    try:
        return default(final=check_number(value, name))
    except TypeError as error:
        raise TypeError(
            f"Argument `{name}` must be a number or a schedule from "
            f"`keras_netopt.schedules`. Received: {name}={value!r}"
        ) from error
