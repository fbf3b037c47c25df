"""Schedules that change gradually from one value to another."""

import math
from dataclasses import dataclass

from keras_netopt.checks import check_positive
from keras_netopt.schedules.schedule import Schedule
from keras_netopt.serialization import export_class


@export_class
@dataclass(frozen=True, kw_only=True)
class Polynomial(Schedule):
    """Polynomial decay: changes fast at first and slowly at the end.

    The schedule of gradual pruning: most weights are removed early. The value
    is `final + (initial - final) * (1 - progress) ** power`.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=50, epochs=2)
    >>> schedule = Polynomial(final=0.8, begin=0.0, end=1.0)
    >>> [round(schedule.at(step, run), 3) for step in (0, 50, 100)]
    [0.0, 0.7, 0.8]

    Args:
        initial: Value up to `begin`. Defaults to `0.0`.
        final: Value from `end` on.
        begin: Point of the fit at which the value starts to change: a float
            in [0, 1] (fraction of the fit), an int (steps), "3ep" or
            "500step". Defaults to `0.1`.
        end: Point at which `final` is reached. Defaults to `0.75`.
        power: Exponent, above 0; 1 is linear. Defaults to `3.0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range or `begin` is after `end`.

    Reference:
        Zhu and Gupta, "To prune, or not to prune", 2017,
        https://arxiv.org/abs/1710.01878 (s_t with exponent 3).
    """

    power: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("power", check_positive(self.power, "power"))

    def interpolate(self, progress: float) -> float:
        """Returns the value at a progress between `begin` and `end`."""
        left = (1.0 - progress) ** self.power
        return self.final + (self.initial - self.final) * left


@export_class
@dataclass(frozen=True, kw_only=True)
class Linear(Schedule):
    """Changes linearly from `begin` to `end`.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=50, epochs=2)
    >>> schedule = Linear(initial=1.0, final=0.5, begin=0.0, end="2ep")
    >>> [schedule.at(step, run) for step in (0, 50, 100)]
    [1.0, 0.75, 0.5]

    Args:
        initial: Value up to `begin`. Defaults to `0.0`.
        final: Value from `end` on.
        begin: Point of the fit at which the value starts to change: a float
            in [0, 1] (fraction of the fit), an int (steps), "3ep" or
            "500step". Defaults to `0.1`.
        end: Point at which `final` is reached. Defaults to `0.75`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range or `begin` is after `end`.
    """

    def interpolate(self, progress: float) -> float:
        """Returns the value at a progress between `begin` and `end`."""
        return self.initial + (self.final - self.initial) * progress


@export_class
@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """Changes along half a cosine: slowly at both ends.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=50, epochs=2)
    >>> schedule = Cosine(initial=0.3, final=0.0, begin=0.0, end=1.0)
    >>> [round(schedule.at(step, run), 3) for step in (0, 25, 50, 75, 100)]
    [0.3, 0.256, 0.15, 0.044, 0.0]

    Args:
        initial: Value up to `begin`. Defaults to `0.0`.
        final: Value from `end` on.
        begin: Point of the fit at which the value starts to change: a float
            in [0, 1] (fraction of the fit), an int (steps), "3ep" or
            "500step". Defaults to `0.1`.
        end: Point at which `final` is reached. Defaults to `0.75`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range or `begin` is after `end`.
    """

    def interpolate(self, progress: float) -> float:
        """Returns the value at a progress between `begin` and `end`."""
        left = 0.5 * (1.0 + math.cos(math.pi * progress))
        return self.final + (self.initial - self.final) * left


@export_class
@dataclass(frozen=True, kw_only=True)
class Exponential(Schedule):
    """Exponential decay: multiplies by the same factor at every step.

    With `of="value"` the value itself is multiplied, such as a temperature
    that halves each epoch; with `of="complement"` it is `1 - value`, such as
    the density of a sparse model.

    Example:

    >>> from keras_netopt.points import RunLength
    >>> run = RunLength(steps_per_epoch=50, epochs=2)
    >>> cooling = Exponential(initial=4.0, final=1.0, begin=0.0, end=1.0)
    >>> cooling.at(50, run)
    2.0
    >>> sparsity = Exponential(
    ...     initial=0.0, final=0.96, begin=0.0, end=1.0, of="complement"
    ... )
    >>> round(sparsity.at(50, run), 6)
    0.8

    Args:
        initial: Value up to `begin`: above 0, or below 1 for
            `of="complement"`.
        final: Value from `end` on, in the same range.
        begin: Point of the fit at which the value starts to change: a float
            in [0, 1] (fraction of the fit), an int (steps), "3ep" or
            "500step". Defaults to `0.1`.
        end: Point at which `final` is reached. Defaults to `0.75`.
        of: The multiplied quantity, "value" or "complement" (1 - value).
            Defaults to `"value"`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range or `begin` is after `end`.

    Reference:
        Tanaka et al., "Pruning neural networks without any data by
        iteratively conserving synaptic flow", 2020,
        https://arxiv.org/abs/2006.05467 (density rho ** (k / n)).
    """

    initial: float
    of: str = "value"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.of not in ("value", "complement"):
            raise ValueError(
                'Argument `of` must be "value" or "complement". '
                f"Received: of={self.of!r}"
            )
        for name in ("initial", "final"):
            value = getattr(self, name)
            if self.of == "value" and value <= 0.0:
                raise ValueError(
                    f'Argument `{name}` must be above 0 for `of="value"`; '
                    'a sparsity needs `of="complement"`. '
                    f"Received: {name}={value!r}"
                )
            if self.of == "complement" and value >= 1.0:
                raise ValueError(
                    f"Argument `{name}` must be below 1 for "
                    f'`of="complement"`. Received: {name}={value!r}'
                )

    def interpolate(self, progress: float) -> float:
        """Returns the value at a progress between `begin` and `end`."""
        if self.of == "value":
            return self.initial * (self.final / self.initial) ** progress
        dense, sparse = 1.0 - self.initial, 1.0 - self.final
        return 1.0 - dense * (sparse / dense) ** progress
