"""Points in training: one grammar for fractions, steps and epochs.

A float in [0, 1] is a fraction of the whole `fit`, an int a number of
optimizer steps, `"3ep"` the end of epoch 3 and `"500step"` step 500. A
position is the number of completed training batches: 0 before the first one.
"""

import math
import numbers
import re
from collections.abc import Iterable
from dataclasses import dataclass

from keras_netopt.checks import check_integer

Point = float | int | str

# Step of the end of an epoch as long as the length of an epoch is unknown: it
# lies after every step of the first epoch, whose end tells the length.
LATER = 2**62

_TEXT = re.compile(r"(\d+)(ep|step)")
_GRAMMAR = 'a float in [0, 1], an int of steps, "3ep" or "500step"'


class UnknownLengthError(ValueError):
    """A point needs the length of a `fit` call, which is unknown."""


@dataclass(frozen=True)
class RunLength:
    """Length of a `fit` call.

    Example:

    >>> RunLength(steps_per_epoch=50, epochs=4).total
    200
    >>> RunLength(steps_per_epoch=None, epochs=4).total is None
    True

    Args:
        steps_per_epoch: Training batches per epoch, at least 0, or `None` if
            unknown (a generator without a length).
        epochs: Epochs of the whole `fit` call, including those before it was
            resumed.

    Raises:
        TypeError: If a value is not an int.
        ValueError: If a value is negative.
    """

    steps_per_epoch: int | None
    epochs: int

    def __post_init__(self) -> None:
        if self.steps_per_epoch is not None:
            check_integer(self.steps_per_epoch, "steps_per_epoch")
        check_integer(self.epochs, "epochs")

    @property
    def total(self) -> int | None:
        """Training batches of the whole `fit` call, or `None` if unknown."""
        if self.steps_per_epoch is None:
            return None
        return self.steps_per_epoch * self.epochs


def check_point(point: Point, name: str) -> None:
    """Checks a point as far as possible without the length of `fit`.

    Example:

    >>> check_point("3ep", "begin")
    >>> check_point(1, "end")
    Traceback (most recent call last):
        ...
    ValueError: Argument `end` is ambiguous as the int 1: write 1.0 for the \
end of `fit` or "1step" for the first step. Received: end=1

    Args:
        point: The point to check.
        name: Name of the argument that holds it, for the error.

    Raises:
        TypeError: If `point` is neither a number nor a string.
        ValueError: If it is out of range or has another form.
    """
    expected = f"Argument `{name}` must be {_GRAMMAR}."
    if isinstance(point, bool) or not isinstance(point, numbers.Real | str):
        raise TypeError(f"{expected} Received: {name}={point!r}")
    if isinstance(point, str):
        valid = _TEXT.fullmatch(point) is not None
    elif not isinstance(point, numbers.Integral):
        valid = 0.0 <= float(point) <= 1.0
    elif point == 1:
        raise ValueError(
            f"Argument `{name}` is ambiguous as the int 1: write 1.0 for the "
            'end of `fit` or "1step" for the first step. '
            f"Received: {name}=1"
        )
    else:
        valid = int(point) >= 0
    if not valid:
        raise ValueError(f"{expected} Received: {name}={point!r}")


def resolve_point(point: Point, run: RunLength, name: str) -> int:
    """Converts a point to a number of steps of one `fit` call.

    Example:

    >>> run = RunLength(steps_per_epoch=10, epochs=3)
    >>> [resolve_point(p, run, "begin") for p in (0.1, 7, "2ep", "30step")]
    [3, 7, 20, 30]

    Args:
        point: The point; a fraction is rounded up to the next step.
        run: Length of the `fit` call.
        name: Name of the argument that holds it, for the error.

    Returns:
        Completed training batches at that point, in [0, `run.total`];
        `LATER` for the end of an epoch of unknown length.

    Raises:
        TypeError: If `point` is neither a number nor a string.
        ValueError: If the point has another form, needs a length that is
            unknown, or lies after the end of the `fit` call.
    """
    check_point(point, name)
    step = _steps(point, run, name)
    if run.total is not None and step > run.total:
        raise ValueError(
            f"Argument `{name}` lies after the end of this `fit` call of "
            f"{run.total} steps ({run.epochs} epochs of "
            f"{run.steps_per_epoch}). Received: {name}={point!r}"
        )
    return step


def is_in_steps(point: Point) -> bool:
    """Returns whether a checked point counts steps, at least one.

    Example:

    >>> [is_in_steps(p) for p in (500, "500step", "3ep", 0.5, 0)]
    [True, True, False, False, False]
    """
    unit, count = _read(point)
    return unit == "step" and count > 0


def check_units(points: Iterable[Point], run: RunLength, name: str) -> None:
    """Refuses steps beside epochs while the length of an epoch is unknown.

    Args:
        points: Checked points of one argument.
        run: Length of the `fit` call.
        name: Name of the argument that holds them, for the error.

    Raises:
        ValueError: If they cannot be put into an order.
    """
    given = list(points)
    units = {unit for unit, count in map(_read, given) if count > 0}
    if run.steps_per_epoch is None and {"ep", "step"} <= units:
        raise ValueError(
            f"Argument `{name}` must have all points in epochs or all in "
            "steps, because the number of steps in an epoch is unknown: pass "
            f"`steps_per_epoch=` to `fit`. Received: {name}={given!r}"
        )


def plain_point(point: Point) -> Point:
    """Returns a checked point as a plain Python number or string."""
    if isinstance(point, str):
        return point
    if isinstance(point, numbers.Integral):
        return int(point)
    return float(point)


def in_order(first: Point, second: Point) -> bool:
    """Returns whether the first of two checked points can precede the second.

    It is false if `first` lies after `second` in every `fit` call. Points of
    different units can be compared in one `fit` call only, see
    `resolve_point`.
    """
    (unit, count), (other_unit, other_count) = map(_read, (first, second))
    return unit != other_unit or count <= other_count


def _read(point: Point) -> tuple[str, float]:
    if isinstance(point, str):
        match = _TEXT.fullmatch(point)
        count, unit = match.groups() if match else ("0", "step")
        return unit, int(count)
    if isinstance(point, numbers.Integral):
        return "step", int(point)
    return "fraction", float(point)


def _steps(point: Point, run: RunLength, name: str) -> int:
    unit, count = _read(point)
    if unit == "step" or count == 0:
        return int(count)
    if unit == "ep":
        if run.steps_per_epoch is not None:
            return int(count) * run.steps_per_epoch
        if count > run.epochs:
            raise ValueError(
                f"Argument `{name}` lies after the end of this `fit` call of "
                f"{run.epochs} epochs. Received: {name}={point!r}"
            )
        return LATER
    if run.total is None:
        raise UnknownLengthError(
            f"Argument `{name}` needs the length of the `fit` call, which is "
            "unknown: pass `steps_per_epoch=` to `fit` or write the point in "
            f'epochs, as "1ep", or steps, as "500step". '
            f"Received: {name}={point!r}"
        )
    return _round_up(count * run.total)


def _round_up(value: float) -> int:
    """Rounds up, but treats 0.1 * 30 = 3.0000000000000004 as 3."""
    nearest = round(value)
    if math.isclose(value, nearest, rel_tol=1e-12, abs_tol=1e-9):
        return nearest
    return math.ceil(value)
