"""Pacing functions of curriculum learning and of layer dropping.

`progress` is the fraction of the interval from `begin` to `end`.
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
    """Power pacing function: root, linear or quadratic.

    The value is `initial + (final - initial) * progress ** power`. Powers
    below 1 rise early, above 1 late.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=50, epochs=2)
    >>> schedule = PowerPacing(power=2)
    >>> [round(schedule.at(step, run), 4) for step in (0, 25, 50)]
    [0.2, 0.4, 1.0]

    Args:
        initial: Value up to `begin`. Defaults to `0.2`.
        final: Value from `end` on. Defaults to `1.0`.
        begin: Point of the fit at which the value starts to change: a float
            in [0, 1] (fraction of the fit), an int (steps), "3ep" or
            "500step". Defaults to `0.0`.
        end: Point at which `final` is reached. Defaults to `0.5`.
        power: Exponent, above 0: 0.5 is the square root, 1 linear, 2
            quadratic. Defaults to `0.5`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range or `begin` is after `end`.

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
        """Returns the value at a progress between `begin` and `end`."""
        return self.initial + (self.final - self.initial) * progress**self.power


@dataclass(frozen=True, kw_only=True)
class _SteepPacing(Schedule):
    """Base of the pacing functions with a `steepness` above 0."""

    initial: float = 0.2
    final: float = 1.0
    begin: Point = 0.0
    end: Point = 0.5
    steepness: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("steepness", check_positive(self.steepness, "steepness"))


@export_class
@dataclass(frozen=True, kw_only=True)
class ExponentialPacing(_SteepPacing):
    """Exponential pacing function: stays low and rises at the end.

    The value is `initial + (final - initial) * (exp(steepness * progress) -
    1) / (exp(steepness) - 1)`.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=50, epochs=2)
    >>> [round(ExponentialPacing().at(step, run), 4) for step in (0, 25, 50)]
    [0.2, 0.2054, 1.0]

    Args:
        initial: Value up to `begin`. Defaults to `0.2`.
        final: Value from `end` on. Defaults to `1.0`.
        begin: Point of the fit at which the value starts to change: a float
            in [0, 1] (fraction of the fit), an int (steps), "3ep" or
            "500step". Defaults to `0.0`.
        end: Point at which `final` is reached. Defaults to `0.5`.
        steepness: Rate of the exponential, above 0; larger values rise
            later. Defaults to `10.0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range or `begin` is after `end`.

    Reference:
        Wu, Dyer and Neyshabur, "When do curricula work?", 2020,
        https://arxiv.org/abs/2012.03107 ("exp", b = `initial`, a = `end`).
    """

    def interpolate(self, progress: float) -> float:
        """Returns the value at a progress between `begin` and `end`."""
        # Stable for a large steepness: both exponents are at most 0.
        rise = math.exp(self.steepness * (progress - 1.0)) - math.exp(
            -self.steepness
        )
        share = rise / (1.0 - math.exp(-self.steepness))
        return self.initial + (self.final - self.initial) * share


@export_class
@dataclass(frozen=True, kw_only=True)
class Saturation(_SteepPacing):
    """Saturating exponential: rises fast and levels off.

    The schedule of progressive layer dropping. The value is `initial +
    (final - initial) * (1 - exp(-steepness * progress)) / (1 -
    exp(-steepness))`.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=50, epochs=2)
    >>> [round(Saturation().at(step, run), 4) for step in (0, 10, 50, 100)]
    [0.0, 0.3161, 0.4967, 0.5]

    Args:
        initial: Value up to `begin`. Defaults to `0.0`.
        final: Value from `end` on. Defaults to `0.5`.
        begin: Point of the fit at which the value starts to change: a float
            in [0, 1] (fraction of the fit), an int (steps), "3ep" or
            "500step". Defaults to `0.0`.
        end: Point at which `final` is reached. Defaults to `1.0`.
        steepness: Rate of the exponential, above 0; larger values rise
            earlier. Defaults to `10.0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range or `begin` is after `end`.

    Reference:
        Zhang and He, "Accelerating training of transformer-based language
        models with progressive layer dropping", 2020,
        https://arxiv.org/abs/2010.13369: the drop rate of the last layer,
        with 1 - theta = `final` and gamma times the steps = `steepness`.
    """

    initial: float = 0.0
    final: float = 0.5
    end: Point = 1.0

    def interpolate(self, progress: float) -> float:
        """Returns the value at a progress between `begin` and `end`."""
        rise = math.expm1(-self.steepness * progress)
        share = rise / math.expm1(-self.steepness)
        return self.initial + (self.final - self.initial) * share


@export_class
@dataclass(frozen=True, kw_only=True)
class LogarithmicPacing(_SteepPacing):
    """Logarithmic pacing function: rises early, then slowly.

    The value is `initial + (final - initial) * (1 + log(progress +
    exp(-steepness)) / steepness)`.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=50, epochs=2)
    >>> [round(LogarithmicPacing().at(step, run), 4) for step in (0, 25, 50)]
    [0.2, 0.9446, 1.0]

    Args:
        initial: Value up to `begin`. Defaults to `0.2`.
        final: Value from `end` on. Defaults to `1.0`.
        begin: Point of the fit at which the value starts to change: a float
            in [0, 1] (fraction of the fit), an int (steps), "3ep" or
            "500step". Defaults to `0.0`.
        end: Point at which `final` is reached. Defaults to `0.5`.
        steepness: Rate of the exponential, above 0; larger values rise
            earlier. Defaults to `10.0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range or `begin` is after `end`.

    Reference:
        Wu, Dyer and Neyshabur, "When do curricula work?", 2020,
        https://arxiv.org/abs/2012.03107 ("log", b = `initial`, a = `end`).
    """

    def interpolate(self, progress: float) -> float:
        """Returns the value at a progress between `begin` and `end`."""
        share = (
            1.0
            + math.log(progress + math.exp(-self.steepness)) / self.steepness
        )
        return self.initial + (self.final - self.initial) * share


@export_class
@dataclass(frozen=True, kw_only=True)
class RootCompetence(Schedule):
    """Root competence function of competence-based curriculum learning.

    The value is `(initial ** degree + (final ** degree - initial ** degree)
    * progress) ** (1 / degree)`: the share of the training data rises fast
    at first, so that new samples are trained about as often as earlier ones.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=50, epochs=2)
    >>> schedule = RootCompetence(initial=0.01, end=1.0)
    >>> [round(schedule.at(step, run), 4) for step in (0, 50, 100)]
    [0.01, 0.7071, 1.0]

    Args:
        initial: Value up to `begin`, at least 0. Defaults to `0.01`.
        final: Value from `end` on, at least 0. Defaults to `1.0`.
        begin: Point of the fit at which the value starts to change: a float
            in [0, 1] (fraction of the fit), an int (steps), "3ep" or
            "500step". Defaults to `0.0`.
        end: Point at which `final` is reached. Defaults to `0.75`.
        degree: Degree of the root, above 0; 1 is linear, 2 the square root.
            Defaults to `2.0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range or `begin` is after `end`.

    Reference:
        Platanios et al., "Competence-based curriculum learning for neural
        machine translation", 2019, https://arxiv.org/abs/1903.09848
        (c_0 = `initial`, p = `degree`).
    """

    initial: float = 0.01
    final: float = 1.0
    begin: Point = 0.0
    degree: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("degree", check_positive(self.degree, "degree"))
        for name in ("initial", "final"):
            value = getattr(self, name)
            if value < 0.0:
                raise ValueError(
                    f"Argument `{name}` must be at least 0. "
                    f"Received: {name}={value!r}"
                )

    def interpolate(self, progress: float) -> float:
        """Returns the value at a progress between `begin` and `end`."""
        first, last = self.initial**self.degree, self.final**self.degree
        return (first + (last - first) * progress) ** (1.0 / self.degree)
