"""Growth triggers: value objects without state of their own.

A trigger decides on a `TrainingHistory` alone, so a resumed fit that restores
its history makes the same decisions as an uninterrupted one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_netopt.checks import (
    check_at_least_zero,
    check_integer,
    check_number,
)
from keras_netopt.metric_direction import check_direction
from keras_netopt.points import (
    Point,
    RunLength,
    check_point,
    check_units,
    is_in_steps,
    plain_point,
    resolve_point,
)
from keras_netopt.serialization import export_class
from keras_netopt.surgery.growing.evenly_spaced import EvenlySpaced
from keras_netopt.surgery.growing.monitored_metric import (
    is_improvement,
    monitored_values,
)
from keras_netopt.surgery.growing.trigger import (
    ScheduledGrowth,
    TrainingHistory,
    Trigger,
    point_in_epochs,
)


@export_class
@dataclass(frozen=True)
class AtPoints(Trigger):
    """Grows at given points of the fit, each with its own actions.

    A point on the border of two epochs acts at the start of the later one,
    any other point before its training step.

    Example:

    >>> run = RunLength(steps_per_epoch=10, epochs=10)
    >>> AtPoints({0.3: [0], "6ep": [1, 2]}).schedule(run, last=80)
    ((30, (0,)), (60, (1, 2)))

    Args:
        points: Mapping from points (a float in [0, 1], an int of steps,
            "3ep" or "500step") to the numbers of the actions, from 0, or a
            sequence of such pairs.

    Raises:
        TypeError: If `points` is neither, or a point or number has the wrong
            type.
        ValueError: If `points` is empty, or a point or number is out of
            range.
    """

    points: Any

    def __post_init__(self) -> None:
        self._set("points", _as_pairs(self.points))

    def get_config(self) -> dict[str, Any]:
        """Returns the points as JSON-safe lists."""
        pairs = [[point, list(numbers)] for point, numbers in self.points]
        return {"points": pairs}

    @property
    def actions(self) -> tuple[int, ...]:
        """The numbers of the actions, in order."""
        return tuple(number for _, numbers in self.points for number in numbers)

    @property
    def is_in_epochs(self) -> bool:
        """Whether no point is a step."""
        return not any(is_in_steps(point) for point, _ in self.points)

    def schedule(
        self, run: RunLength, last: int | None
    ) -> tuple[ScheduledGrowth, ...]:
        """Returns the steps of the points in a run."""
        check_units([point for point, _ in self.points], run, "trigger")
        found: list[ScheduledGrowth] = []
        for point, numbers in self.points:
            step = resolve_point(point, run, "trigger")
            if last is not None and step > last:
                raise ValueError(
                    f"Argument `trigger` must hold no point after step {last} "
                    f"of the {run.total} steps of this fit, the last one at "
                    "which `end` allows growth. Choose an earlier point or a "
                    f"later `end`. Received: trigger={point!r}, step {step}"
                )
            found.append((step, numbers))
        return tuple(sorted(found))


@export_class
@dataclass(frozen=True)
class Every(Trigger):
    """Grows at regular intervals, one action at a time.

    Example:

    >>> run = RunLength(steps_per_epoch=10, epochs=12)
    >>> Every("3ep").schedule(run, last=100)
    ((30, None), (60, None), (90, None))

    Args:
        interval: Time between two growths: a float in (0, 1] (fraction of
            the fit), an int (steps), "3ep" or "500step". Defaults to
            `"3ep"`.
        begin: Point of the first growth. Defaults to `None`: after one
            interval.
        times: Largest number of growths, at least 1. Defaults to `None`: no
            limit.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Reference:
        Wen et al., *AutoGrow*, 2020, https://arxiv.org/abs/1906.02909 (its K
        is `interval`).
    """

    interval: Point = "3ep"
    begin: Point | None = None
    times: int | None = None

    def __post_init__(self) -> None:
        check_point(self.interval, "interval")
        self._set("interval", plain_point(self.interval))
        if self.interval in (0, "0ep", "0step"):
            raise ValueError(
                "Argument `interval` must be above 0. "
                f"Received: interval={self.interval!r}"
            )
        if self.begin is not None:
            check_point(self.begin, "begin")
            self._set("begin", plain_point(self.begin))
        if self.times is not None:
            check_integer(self.times, "times", minimum=1)

    @property
    def is_in_epochs(self) -> bool:
        """Whether the growths are at epoch ends."""
        begin = self.interval if self.begin is None else self.begin
        return all(str(p).endswith("ep") for p in (self.interval, begin))

    def schedule(
        self, run: RunLength, last: int | None
    ) -> tuple[ScheduledGrowth, ...]:
        """Returns every multiple of the interval up to `last`."""
        if run.steps_per_epoch is None and self.is_in_epochs:
            return ()  # Computed again after the first epoch.
        gap = max(1, resolve_point(self.interval, run, "interval"))
        first = gap
        if self.begin is not None:
            first = resolve_point(self.begin, run, "begin")
        if last is None:
            raise ValueError(
                "Argument `trigger` needs the length of the fit, which is "
                "unknown here: pass `steps_per_epoch=` to `fit`. "
                f"Received: trigger={self!r}"
            )
        steps = list(range(first, last + 1, gap))[: self.times]
        if not steps:
            raise ValueError(
                f"Argument `trigger` must give a growth up to step {last} of "
                f"the {run.total} steps of this fit: train longer, or choose "
                "a shorter interval or a later `end`. "
                f"Received: trigger={self!r}"
            )
        return tuple((step, None) for step in steps)


@export_class
@dataclass(frozen=True)
class Plateau(Trigger):
    """Grows when the monitored metric has stopped improving.

    Counts epochs as `keras.callbacks.ReduceLROnPlateau` does: growth is due
    after `patience` epochs in a row without an improvement of `min_delta` over
    the best value. Epochs of the cooldown after a growth are not counted.

    Example:

    >>> logs = [{"epoch": i + 1, "val_loss": 0.5} for i in range(4)]
    >>> run = RunLength(steps_per_epoch=10, epochs=20)
    >>> trigger = Plateau(patience=3)
    >>> [trigger.should_grow(TrainingHistory(logs[:n], [], run))
    ...  for n in (3, 4)]
    [False, True]

    Args:
        monitor: Name in the logs. Defaults to `"val_loss"`; without
            validation data "loss" is used instead.
        min_delta: Smallest change that counts as an improvement, at least 0.
            Defaults to `1e-4`.
        patience: Number of epochs without improvement before a growth, at
            least 1. Defaults to `3`.
        cooldown: Number of epochs after a growth that are not counted.
            Defaults to `None`: as many as `patience`.
        mode: "min", "max" or "auto" (from the name of the metric). Defaults
            to `"auto"`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or `mode` is "auto" and
            the name does not determine the direction.

    Reference:
        Wen et al., *AutoGrow*, 2020, https://arxiv.org/abs/1906.02909, calls
        it convergent growth.
    """

    monitor: str = "val_loss"
    min_delta: float = 1e-4
    patience: int = 3
    cooldown: int | None = None
    mode: str = "auto"

    def __post_init__(self) -> None:
        check_direction(self.monitor, self.mode)
        check_at_least_zero(self.min_delta, "min_delta")
        check_integer(self.patience, "patience", minimum=1)
        if self.cooldown is not None:
            check_integer(self.cooldown, "cooldown")

    @property
    def monitors(self) -> tuple[str, ...]:
        """The name in the logs."""
        return (self.monitor,)

    def should_grow(self, history: TrainingHistory) -> bool:
        """Returns whether the last epoch completes a plateau."""
        cooldown = self.patience if self.cooldown is None else self.cooldown
        best, wait, cooling = None, 0, 0
        grown = set(history.growth_epochs)
        for epoch, value in monitored_values(history.logs, self.monitor):
            if epoch - 1 in grown:
                wait, cooling = 0, cooldown
            if is_improvement(
                value, best, self.monitor, self.mode, self.min_delta
            ):
                best, wait = value, 0
            elif cooling == 0:
                wait += 1
            cooling = max(0, cooling - 1)
        return wait >= self.patience


@export_class
@dataclass(frozen=True)
class OverfittingRisk(Trigger):
    """Grows in shorter intervals the less the network overfits (FRAGrow).

    The interval between two growths is I_max / (1 + exp(alpha - risk)): the
    risk is training minus validation accuracy in percentage points, I_max the
    number of epochs in which growth is allowed, divided by the planned number
    of growths.

    Example:

    >>> logs = [{"epoch": 4, "accuracy": 0.9, "val_accuracy": 0.9}]
    >>> run = RunLength(steps_per_epoch=10, epochs=100)
    >>> history = TrainingHistory(logs, [], run, planned_growths=8)
    >>> OverfittingRisk().should_grow(history)
    True

    Args:
        alpha: Risk in percentage points at which the interval is half the
            longest one. Defaults to `4.0`.
        monitor: Name of the accuracy in the logs, a share in [0, 1]; the
            same name with "val_" is the validation accuracy. Defaults to
            `"accuracy"`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `alpha` is not finite.

    Reference:
        Wu et al., *FRAGrow*, 2024, https://arxiv.org/abs/2401.03104. The
        paper does not give the unit of the risk; percentage points are an
        assumption.
    """

    alpha: float = 4.0
    monitor: str = "accuracy"

    def __post_init__(self) -> None:
        self._set("alpha", check_number(self.alpha, "alpha"))
        check_direction(self.monitor, "max")

    @property
    def monitors(self) -> tuple[str, ...]:
        """The accuracy of training and of validation."""
        return (self.monitor, f"val_{self.monitor}")

    def should_grow(self, history: TrainingHistory) -> bool:
        """Returns whether the interval since the last growth has passed."""
        logs = history.logs[-1] if history.logs else {}
        if not all(name in logs for name in self.monitors):
            return False
        train, validation = (logs[name] for name in self.monitors)
        epochs = point_in_epochs(history.end, history.run, "end")
        longest = epochs / max(1, history.planned_growths)
        risk = 100.0 * (train - validation)
        waited = history.epoch - max(history.growth_epochs, default=0)
        return waited + 1e-6 >= longest / (1.0 + math.exp(self.alpha - risk))


NAMED = {"plateau": Plateau, "periodic": Every}


def as_trigger(trigger: Any, *, times: int | None = None) -> Trigger:
    """Converts the argument `trigger` of `Growing` to a trigger.

    `None` gives `times` growths, or a plateau if their number is not known.

    Example:

    >>> as_trigger("periodic")
    Every(interval='3ep', begin=None, times=None)
    >>> as_trigger(None, times=2)
    EvenlySpaced(times=2)
    """
    if trigger is None:
        return Plateau() if times is None else EvenlySpaced(times)
    if isinstance(trigger, Trigger):
        return trigger
    if isinstance(trigger, Mapping):
        return AtPoints(trigger)
    if isinstance(trigger, str) and trigger in NAMED:
        return NAMED[trigger]()
    error = ValueError if isinstance(trigger, str) else TypeError
    raise error(
        'Argument `trigger` must be "plateau", "periodic", a mapping from '
        "points to indices into `actions`, or a trigger such as "
        f'`surgery.Every("3ep")`. Received: trigger={trigger!r}'
    )


def _as_pairs(points: Any) -> tuple[tuple[Point, tuple[int, ...]], ...]:
    """Returns points with the numbers of their actions, checked."""
    if isinstance(points, Mapping):
        points = list(points.items())
    is_sequence = isinstance(points, Sequence) and not isinstance(points, str)
    if not is_sequence or not all(_is_pair(pair) for pair in points):
        raise TypeError(
            "Argument `trigger` must map points to lists of indices into "
            "`actions`, as in {0.3: [0], 0.6: [1]}. "
            f"Received: trigger={points!r}"
        )
    if not points:
        raise ValueError(
            "Argument `trigger` must hold at least one point. "
            f"Received: trigger={points}"
        )
    pairs = []
    for point, numbers in points:
        check_point(point, "trigger")
        for number in numbers:
            check_integer(number, "trigger")
        pairs.append((plain_point(point), tuple(int(n) for n in numbers)))
    return tuple(pairs)


def _is_pair(pair: Any) -> bool:
    return (
        isinstance(pair, Sequence)
        and not isinstance(pair, str)
        and len(pair) == 2
        and isinstance(pair[1], Sequence)
        and not isinstance(pair[1], str)
    )
