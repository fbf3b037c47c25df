"""The base class of the schedules."""

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np

from keras_netopt.checks import check_frequency, check_number
from keras_netopt.points import (
    LATER,
    Point,
    RunLength,
    check_point,
    check_units,
    in_order,
    is_in_steps,
    plain_point,
    resolve_point,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Many small updates keep more accuracy than a few large ones (docs/methods).
RAMP_UPDATES = 100
FEWEST_UPDATES = 20
MIN_GAP, MAX_GAP = 10, 100


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Changes a value from `initial` to `final` between two points of a fit.

    Up to `begin` the value is exactly `initial`, from `end` on exactly
    `final`. For a custom schedule, subclass it as a frozen dataclass and
    override `interpolate`.

    Example:

    >>> from dataclasses import dataclass
    >>> from keras_netopt.points import RunLength
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Smoothstep(Schedule):
    ...     def interpolate(self, progress):
    ...         share = progress * progress * (3 - 2 * progress)
    ...         return self.initial + (self.final - self.initial) * share
    >>> schedule = Smoothstep(final=0.8, begin=0.0, end=1.0)
    >>> run = RunLength(steps_per_epoch=50, epochs=2)
    >>> [schedule.at(step, run) for step in (0, 50, 100)]
    [0.0, 0.4, 0.8]

    Args:
        initial: Value up to `begin`, any finite number. Defaults to `0.0`.
        final: Value from `end` on, any finite number.
        begin: Point of the fit at which the value starts to change: a float
            in [0, 1] (fraction of the fit), an int (steps), "3ep" or
            "500step". Defaults to `0.1`.
        end: Point at which `final` is reached. Defaults to `0.75`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is not finite, a point is invalid, or `begin`
            is after `end`.
    """

    initial: float = 0.0
    final: float
    begin: Point = 0.1
    end: Point = 0.75

    def __post_init__(self) -> None:
        for name in ("initial", "final"):
            self._set(name, check_number(getattr(self, name), name))
        for name in ("begin", "end"):
            check_point(getattr(self, name), name)
            self._set(name, plain_point(getattr(self, name)))
        if not in_order(self.begin, self.end):
            self._raise_order()

    @property
    def points(self) -> tuple[Point, ...]:
        """The points of the fit on which the schedule depends."""
        return (self.begin, self.end)

    def interpolate(self, progress: float) -> float:
        """Returns the value at a progress between `begin` and `end`.

        Args:
            progress: Float in (0, 1); `at` handles both ends.

        Returns:
            The value; `at` clips it to [`initial`, `final`].

        Raises:
            NotImplementedError: If a subclass overrides neither this method
                nor `at`.
        """
        raise NotImplementedError(
            f"`{type(self).__name__}` must override `interpolate` or `at`."
        )

    def at(self, step: int, run: RunLength) -> float:
        """Returns the value at a position of a run.

        Example:

        >>> from keras_netopt.points import RunLength
        >>> from keras_netopt.schedules import Linear
        >>> run = RunLength(steps_per_epoch=100, epochs=1)
        >>> Linear(final=0.8, begin=0.0, end=0.5).at(25, run)
        0.4

        Args:
            step: Completed training batches, at least 0.
            run: Length of the whole fit.

        Returns:
            The value, a pure function of both arguments.

        Raises:
            ValueError: If `begin` or `end` is outside the run.
        """
        begin, end = self.span(run)
        if step >= end:
            return self.final
        if step <= begin or end == LATER:
            return self.initial
        value = self.interpolate((step - begin) / (end - begin))
        low, high = sorted((self.initial, self.final))
        return min(max(value, low), high)

    def span(self, run: RunLength) -> tuple[int, int]:
        """Returns the steps of `begin` and `end` in a run.

        Args:
            run: Length of the whole fit.

        Returns:
            Two positions in completed training batches, in order. While the
            length of an epoch is unknown, points in epochs lie after the
            first epoch, see `points.resolve_point`.

        Raises:
            ValueError: If a point is outside the run, depends on an unknown
                length, or `begin` is after `end`.
        """
        begin = resolve_point(self.begin, run, "begin")
        end = resolve_point(self.end, run, "end")
        check_units(self.points, run, "begin")
        if begin > end:
            self._raise_order()
        return begin, end

    def update_points(
        self, run: RunLength, frequency: int | None = None
    ) -> tuple[int, ...]:
        """Returns the steps at which the scheduled quantity is updated.

        Example:

        >>> from keras_netopt.points import RunLength
        >>> from keras_netopt.schedules import Linear
        >>> run = RunLength(steps_per_epoch=100, epochs=1)
        >>> Linear(final=0.8, begin=0.1, end=0.5).update_points(run, 15)
        (10, 25, 40, 50)

        Args:
            run: Length of the whole fit.
            frequency: Steps between two updates, counted from `begin`, at
                least 1. Defaults to `None`: about 100 updates between `begin`
                and `end`, 10 to 100 steps apart; 20 updates in a short run.

        Returns:
            Ascending steps; the first is `begin` and the last is `end`. Those
            that depend on an unknown length are left out.

        Raises:
            TypeError: If `frequency` is not an int.
            ValueError: If it is below 1, or a point is outside the run.
        """
        check_frequency(frequency)
        begin, end = self.span(run)
        if end == LATER:
            return () if begin == LATER else (begin,)
        if frequency is None:
            frequency = _default_frequency(end - begin)
        return tuple(sorted({*range(begin, end, frequency), end}))

    def planned_values(self, run: RunLength) -> dict[int, float]:
        """Returns the values at the update points, to check their range.

        Where the length of an epoch is unknown, and points are given in
        epochs, the steps are those of epochs of 100 steps.

        Example:

        >>> from keras_netopt.points import RunLength
        >>> from keras_netopt.schedules import Linear
        >>> schedule = Linear(final=0.8, begin="1ep", end="3ep")
        >>> schedule.planned_values(RunLength(None, 4))[200]
        0.4

        Args:
            run: Length of the whole fit.

        Returns:
            Values by step.

        Raises:
            ValueError: If a point is outside the run, or depends on an
                unknown length.
        """
        self.span(run)
        if run.steps_per_epoch is None and not any(
            map(is_in_steps, self.points)
        ):
            run = RunLength(100, run.epochs)
        return {u: self.at(u, run) for u in self.update_points(run)}

    def values(
        self, total: int = 100, steps_per_epoch: int | None = None
    ) -> np.ndarray:
        """Returns the value after each step of a run.

        Example:

        >>> from keras_netopt.schedules import Linear
        >>> Linear(final=1.0, begin=0.0, end=1.0).values(total=4).tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0]

        Args:
            total: Steps of the run, at least 1. Defaults to `100`.
            steps_per_epoch: Steps per epoch, a divisor of `total`. Defaults
                to `None`: the run is one epoch.

        Returns:
            Float64 array of shape `(total + 1,)`; element t is the value
            after t training batches.

        Raises:
            ValueError: If `steps_per_epoch` does not divide `total`, or a
                point is outside the run.
        """
        run = _run_length(total, steps_per_epoch)
        return np.array([self.at(step, run) for step in range(total + 1)])

    def plot(
        self,
        total: int = 100,
        steps_per_epoch: int | None = None,
        *,
        path: str | None = None,
    ) -> "Figure":
        """Plots the schedule over a run; requires matplotlib.

        Args:
            total: Steps of the run, at least 1. Defaults to `100`.
            steps_per_epoch: Steps per epoch, a divisor of `total`. Defaults
                to `None`: the run is one epoch.
            path: Image file to write. Defaults to `None`: no file.

        Returns:
            A matplotlib `Figure`, which notebooks display.

        Raises:
            ImportError: If matplotlib is not installed.
            ValueError: If a point is outside the run.
        """
        from keras_netopt import plots

        return plots.schedule_curve(
            self, total=total, steps_per_epoch=steps_per_epoch, path=path
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON-safe values."""
        arguments = [f for f in fields(self) if f.init]
        arguments.sort(key=lambda f: bool(f.kw_only))
        return {f.name: getattr(self, f.name) for f in arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Creates the schedule from `get_config`'s result."""
        return cls(**config)

    def _set(self, name: str, value: object) -> None:
        """Sets a field of the frozen dataclass during its construction."""
        object.__setattr__(self, name, value)

    def _raise_order(self) -> NoReturn:
        raise ValueError(
            "Argument `begin` must not be after `end`. "
            f"Received: begin={self.begin!r}, end={self.end!r}"
        )


def _default_frequency(length: int) -> int:
    wanted = math.ceil(length / RAMP_UPDATES)
    smallest = max(1, min(MIN_GAP, length // FEWEST_UPDATES))
    return min(max(wanted, smallest), MAX_GAP)


def _run_length(total: int, steps_per_epoch: int | None) -> RunLength:
    """Returns the length of the run that `values` and `plot` show."""
    if total < 1:
        raise ValueError(
            f"Argument `total` must be at least 1. Received: total={total!r}"
        )
    if steps_per_epoch is None:
        return RunLength(total, 1)
    if not steps_per_epoch or total % steps_per_epoch:
        raise ValueError(
            f"Argument `steps_per_epoch` must divide the {total} steps of the "
            f"run. Received: steps_per_epoch={steps_per_epoch!r}"
        )
    return RunLength(steps_per_epoch, total // steps_per_epoch)
