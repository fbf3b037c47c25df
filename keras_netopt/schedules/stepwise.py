"""Schedules with constant levels."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from keras_netopt.checks import check_number
from keras_netopt.points import (
    LATER,
    Point,
    RunLength,
    check_point,
    check_units,
    in_order,
    plain_point,
    resolve_point,
)
from keras_netopt.schedules.schedule import Schedule
from keras_netopt.serialization import export_class


@export_class
@dataclass(frozen=True)
class Constant(Schedule):
    """Changes once to `final`, at `begin`: one-shot.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=50, epochs=2)
    >>> schedule = Constant(0.8, begin="1ep")
    >>> [schedule.at(step, run) for step in (0, 49, 50, 100)]
    [0.0, 0.0, 0.8, 0.8]
    >>> schedule.update_points(run)
    (50,)

    Args:
        final: Value from `begin` on.
        initial: Value before `begin`. Defaults to `0.0`.
        begin: Point of the fit at which the value changes: a float in [0, 1]
            (fraction of the fit), an int (steps), "3ep" or "500step".
            Defaults to `0.0`.
        end: Last point of repeated updates; the value does not depend on it.
            Defaults to `1.0`, which equals `begin` in a fit of unknown
            length.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is not finite, a point is invalid, or `begin`
            is after `end`.
    """

    final: float
    begin: Point = field(default=0.0, kw_only=True)
    end: Point = field(default=1.0, kw_only=True)

    def at(self, step: int, run: RunLength) -> float:
        """Returns the value at a position of a run."""
        begin, _ = self.span(run)
        return self.final if step >= begin else self.initial

    def span(self, run: RunLength) -> tuple[int, int]:
        """Returns the steps of `begin` and `end` in a run."""
        if run.total is None and self.end == 1.0:
            begin = resolve_point(self.begin, run, "begin")
            return begin, begin
        return super().span(run)

    def update_points(
        self, run: RunLength, frequency: int | None = None
    ) -> tuple[int, ...]:
        """Returns `begin`, and with `frequency` further steps to `end`."""
        if frequency is None:
            return tuple(u for u in self.span(run)[:1] if u != LATER)
        return super().update_points(run, frequency)

    @property
    def points(self) -> tuple[Point, ...]:
        """The points of the fit on which the schedule depends."""
        return (self.begin,) if self.end == 1.0 else (self.begin, self.end)


@export_class
@dataclass(frozen=True)
class Steps(Schedule):
    """Piecewise constant: changes the level at given points.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=10, epochs=5)
    >>> schedule = Steps({0.0: 0.5, "3ep": 0.8})
    >>> [schedule.at(step, run) for step in (0, 29, 30, 50)]
    [0.5, 0.5, 0.8, 0.8]
    >>> schedule.update_points(run)
    (0, 30)

    Args:
        levels: Mapping from points (a float in [0, 1], an int of steps,
            "3ep" or "500step") to the values from there on, or a sequence of
            such pairs; in order of time, at least one.
        initial: Value before the first point. Defaults to `0.0`.

    Raises:
        TypeError: If `levels` is neither a mapping nor a sequence of pairs,
            or a point or value has the wrong type.
        ValueError: If `levels` is empty or not in order of time, or a point
            or value is out of range.
    """

    levels: Mapping[Point, float] | Sequence[tuple[Point, float]]
    final: float = field(init=False, repr=False, compare=False)
    begin: Point = field(init=False, repr=False, compare=False)
    end: Point = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pairs = _as_pairs(self.levels)
        self._set("levels", pairs)
        points = [point for point, _ in pairs]
        if not all(itertools.starmap(in_order, itertools.pairwise(points))):
            self._raise_order()
        self._set("begin", pairs[0][0])
        self._set("end", pairs[-1][0])
        self._set("final", pairs[-1][1])
        super().__post_init__()

    def at(self, step: int, run: RunLength) -> float:
        """Returns the value at a position of a run."""
        value = self.initial
        for start, (_, level) in zip(
            self._starts(run), self._pairs, strict=True
        ):
            if step >= start:
                value = level
        return value

    def span(self, run: RunLength) -> tuple[int, int]:
        """Returns the steps of the first and the last point in a run."""
        starts = self._starts(run)
        return starts[0], starts[-1]

    def update_points(
        self, run: RunLength, frequency: int | None = None
    ) -> tuple[int, ...]:
        """Returns the points, and with `frequency` steps between them."""
        starts = set(self._starts(run))
        if frequency is not None:
            starts.update(super().update_points(run, frequency))
        return tuple(sorted(starts - {LATER}))

    @property
    def points(self) -> tuple[Point, ...]:
        """The points of the fit on which the schedule depends."""
        return tuple(point for point, _ in self._pairs)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON-safe values."""
        levels = [list(pair) for pair in self._pairs]
        return {"levels": levels, "initial": self.initial}

    @property
    def _pairs(self) -> tuple[tuple[Point, float], ...]:
        return tuple(self.levels)  # type: ignore[arg-type]

    def _starts(self, run: RunLength) -> list[int]:
        starts = [resolve_point(p, run, "levels") for p in self.points]
        check_units(self.points, run, "levels")
        if starts != sorted(starts):
            self._raise_order()
        return starts

    def _raise_order(self) -> NoReturn:
        raise ValueError(
            "Argument `levels` must list its points in order of time. "
            f"Received: levels={dict(self._pairs)!r}"
        )


@export_class
@dataclass(frozen=True, kw_only=True)
class Cyclic(Schedule):
    """Alternates between two levels, then stays at `final`.

    The schedule of alternating compressed / decompressed (AC/DC) training:
    `initial` up to `begin`, then cycles of `final` and `initial`, and `final`
    from `end` on. Only whole cycles run: what remains before `end` lengthens
    the last phase of `initial`, so that the values which `final` settles come
    from a full phase. The defaults are the phases of the paper's ImageNet
    runs of 100 epochs: 10 epochs of `initial`, cycles of 5 and 5 epochs, a
    last phase of `initial` of 10 epochs, and 15 epochs of `final`.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=10, epochs=10)
    >>> schedule = Cyclic(
    ...     final=0.9, begin="1ep", end="8ep", on="1ep", off="2ep"
    ... )
    >>> [schedule.at(10 * epoch, run) for epoch in range(10)]
    [0.0, 0.9, 0.0, 0.0, 0.9, 0.0, 0.0, 0.0, 0.9, 0.9]
    >>> schedule.update_points(run)
    (10, 20, 40, 50, 80)

    Args:
        initial: Value up to `begin` and in each cycle's second phase.
            Defaults to `0.0`.
        final: Value in each cycle's first phase and from `end` on.
        begin: Point of the fit at which the first cycle starts: a float in
            [0, 1] (fraction of the fit), an int (steps), "3ep" or "500step".
            Defaults to `0.1`.
        end: Point from which the value stays at `final`. Without a whole
            cycle between `begin` and `end`, the value changes here only.
            Defaults to `0.85`.
        on: Length of a first phase, in the form of `begin`, at least one
            step. Defaults to `0.05`.
        off: Length of a second phase, likewise. Defaults to `0.05`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range, a length is zero, or `begin`
            is after `end`.

    Reference:
        Peste et al., "AC/DC: Alternating Compressed/DeCompressed training of
        deep neural networks", 2021, https://arxiv.org/abs/2106.12379.
    """

    end: Point = 0.85
    on: Point = 0.05
    off: Point = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("on", "off"):
            length = getattr(self, name)
            check_point(length, name)
            self._set(name, plain_point(length))
            if length in (0, "0ep", "0step"):
                self._raise_empty(name)

    def at(self, step: int, run: RunLength) -> float:
        """Returns the value at a position of a run."""
        begin, end = self.span(run)
        if step < begin:
            return self.initial
        cycles = self._cycles(begin, end, run)
        is_on = step >= end or any(on <= step < off for on, off in cycles)
        return self.final if is_on else self.initial

    def update_points(
        self, run: RunLength, frequency: int | None = None
    ) -> tuple[int, ...]:
        """Returns all level changes, and with `frequency` steps between."""
        begin, end = self.span(run)
        if end == LATER:
            return super().update_points(run)
        points = {end}.union(*self._cycles(begin, end, run))
        if frequency is not None:
            points.update(super().update_points(run, frequency))
        return tuple(sorted(points))

    @property
    def points(self) -> tuple[Point, ...]:
        """The points of the fit on which the schedule depends."""
        return (self.begin, self.end, self.on, self.off)

    def _cycles(
        self, begin: int, end: int, run: RunLength
    ) -> list[tuple[int, int]]:
        """Returns begin and end of the first phase of each cycle."""
        on, off = self._lengths(run)
        last = end - on - off
        return [(i, i + on) for i in range(begin, last + 1, on + off)]

    def _lengths(self, run: RunLength) -> tuple[int, int]:
        lengths = []
        for name in ("on", "off"):
            lengths.append(resolve_point(getattr(self, name), run, name))
            if not lengths[-1]:
                self._raise_empty(name)
        return lengths[0], lengths[1]

    def _raise_empty(self, name: str) -> NoReturn:
        raise ValueError(
            f"Argument `{name}` must be at least one step long. "
            f"Received: {name}={getattr(self, name)!r}"
        )


def _as_pairs(levels: object) -> tuple[tuple[Point, float], ...]:
    pairs = levels.items() if isinstance(levels, Mapping) else levels
    if not isinstance(pairs, Iterable) or not all(map(_is_pair, pairs)):
        raise TypeError(
            "Argument `levels` must map points to values, as in "
            '{0.0: 0.5, "3ep": 0.8}. '
            f"Received: levels={levels!r}"
        )
    checked: list[tuple[Point, float]] = []
    for point, value in pairs:
        check_point(point, "levels")
        checked.append((plain_point(point), check_number(value, "levels")))
    if not checked:
        raise ValueError(
            "Argument `levels` must hold at least one point. "
            f"Received: levels={levels!r}"
        )
    return tuple(checked)


def _is_pair(item: object) -> bool:
    return isinstance(item, list | tuple) and len(item) == 2
