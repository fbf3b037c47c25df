"""Schedules that let in more and more data, as curriculum learning paces it.

All are written as in the paper: a value from `initial` to `final` at the share
u of the way from `begin` to `end`.
"""

import math
from dataclasses import dataclass

from keras_netopt.checks import check_positive
from keras_netopt.points import Point
from keras_netopt.schedules.schedule import Schedule
from keras_netopt.serialization import export_class


@export_class
@dataclass(frozen=True, kw_only=True)
class PowerPacing(Schedule):
    """Grows as a power of the way gone: root, straight or quadratic.

    The value is `initial + (final - initial) * progress ** power`. Powers
    below 1 let most data in early, above 1 late.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=50, epochs=2)
    >>> schedule = PowerPacing(power=2)
    >>> [round(schedule.at(step, run), 4) for step in (0, 25, 50)]
    [0.2, 0.4, 1.0]

    Args:
        initial: Value up to `begin`. Defaults to `0.2`.
        final: Value from `end` on. Defaults to `1.0`.
        begin: Point of the fit at which the value starts to move: a float in
            [0, 1] (fraction of the fit), an int (steps), "3ep" or "500step".
            Defaults to `0.0`.
        end: Point at which `final` is reached. Defaults to `0.5`.
        power: Above 0: 0.5 is a root, 1 a straight line, 2 quadratic.
            Defaults to `0.5`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range or `begin` lies behind `end`.

    Reference:
        Wu, Dyer and Neyshabur, "When do curricula work?", 2020,
        https://arxiv.org/abs/2012.03107 (b = `initial`, a = `end`).
    """

    initial: float = 0.2
    final: float = 1.0
    begin: Point = 0.0
    end: Point = 0.5
    power: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("power", check_positive(self.power, "power"))

    def interpolate(self, progress: float) -> float:
        """Returns the value at a share of the way from `begin` to `end`."""
        return self.initial + (self.final - self.initial) * progress**self.power


@export_class
@dataclass(frozen=True, kw_only=True)
class ExponentialPacing(Schedule):
    """Stays low for long and rises exponentially at the end.

    The value moves from `initial` to `final` by the share
    `(exp(steepness * progress) - 1) / (exp(steepness) - 1)`.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=50, epochs=2)
    >>> [round(ExponentialPacing().at(step, run), 4) for step in (0, 25, 50)]
    [0.2, 0.2054, 1.0]

    Args:
        initial: Value up to `begin`. Defaults to `0.2`.
        final: Value from `end` on. Defaults to `1.0`.
        begin: Point of the fit at which the value starts to move: a float in
            [0, 1] (fraction of the fit), an int (steps), "3ep" or "500step".
            Defaults to `0.0`.
        end: Point at which `final` is reached. Defaults to `0.5`.
        steepness: How late it rises, above 0. Defaults to `10.0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range or `begin` lies behind `end`.

    Reference:
        Wu, Dyer and Neyshabur, "When do curricula work?", 2020,
        https://arxiv.org/abs/2012.03107 ("exp", b = `initial`, a = `end`).
    """

    initial: float = 0.2
    final: float = 1.0
    begin: Point = 0.0
    end: Point = 0.5
    steepness: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("steepness", check_positive(self.steepness, "steepness"))

    def interpolate(self, progress: float) -> float:
        """Returns the value at a share of the way from `begin` to `end`."""
        # The form for large rates: both exponents are at most 0.
        rise = math.exp(self.steepness * (progress - 1.0)) - math.exp(
            -self.steepness
        )
        share = rise / (1.0 - math.exp(-self.steepness))
        return self.initial + (self.final - self.initial) * share


@export_class
@dataclass(frozen=True, kw_only=True)
class Saturation(Schedule):
    """Rises fast at first and comes to rest: progressive layer dropping.

    The value moves from `initial` to `final` by the share
    `(1 - exp(-steepness * progress)) / (1 - exp(-steepness))`.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=50, epochs=2)
    >>> [round(Saturation().at(step, run), 4) for step in (0, 10, 50, 100)]
    [0.0, 0.3161, 0.4967, 0.5]

    Args:
        initial: Value up to `begin`. Defaults to `0.0`.
        final: Value from `end` on. Defaults to `0.5`.
        begin: Point of the fit at which the value starts to move: a float in
            [0, 1] (fraction of the fit), an int (steps), "3ep" or "500step".
            Defaults to `0.0`.
        end: Point at which `final` is reached. Defaults to `1.0`.
        steepness: How early it rises, above 0. Defaults to `10.0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range or `begin` lies behind `end`.

    Reference:
        Zhang and He, "Accelerating training of transformer-based language
        models with progressive layer dropping", 2020,
        https://arxiv.org/abs/2010.13369: the drop rate of the last layer,
        with 1 - theta = `final` and gamma times the steps = `steepness`.
    """

    initial: float = 0.0
    final: float = 0.5
    begin: Point = 0.0
    end: Point = 1.0
    steepness: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("steepness", check_positive(self.steepness, "steepness"))

    def interpolate(self, progress: float) -> float:
        """Returns the value at a share of the way from `begin` to `end`."""
        rise = math.expm1(-self.steepness * progress)
        share = rise / math.expm1(-self.steepness)
        return self.initial + (self.final - self.initial) * share


@export_class
@dataclass(frozen=True, kw_only=True)
class LogarithmicPacing(Schedule):
    """Rises at once to most of its way and slowly from there on.

    The value is `initial + (final - initial) * (1 + log(progress +
    exp(-steepness)) / steepness)`: exactly `initial` at the begin.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=50, epochs=2)
    >>> [round(LogarithmicPacing().at(step, run), 4) for step in (0, 25, 50)]
    [0.2, 0.9446, 1.0]

    Args:
        initial: Value up to `begin`. Defaults to `0.2`.
        final: Value from `end` on. Defaults to `1.0`.
        begin: Point of the fit at which the value starts to move: a float in
            [0, 1] (fraction of the fit), an int (steps), "3ep" or "500step".
            Defaults to `0.0`.
        end: Point at which `final` is reached. Defaults to `0.5`.
        steepness: How early it rises, above 0. Defaults to `10.0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range or `begin` lies behind `end`.

    Reference:
        Wu, Dyer and Neyshabur, "When do curricula work?", 2020,
        https://arxiv.org/abs/2012.03107 ("log", b = `initial`, a = `end`).
    """

    initial: float = 0.2
    final: float = 1.0
    begin: Point = 0.0
    end: Point = 0.5
    steepness: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("steepness", check_positive(self.steepness, "steepness"))

    def interpolate(self, progress: float) -> float:
        """Returns the value at a share of the way from `begin` to `end`."""
        share = (
            1.0
            + math.log(progress + math.exp(-self.steepness)) / self.steepness
        )
        return self.initial + (self.final - self.initial) * share
