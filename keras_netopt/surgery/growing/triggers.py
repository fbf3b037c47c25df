"""When a network grows: small value objects without state of their own.

What a trigger knows of a fit is a `TrainingHistory`, so a decision can be
repeated: a resumed fit that brings its past along decides as the first one
did.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_netopt.checks import (
    check_integer,
    check_number,
)
from keras_netopt.points import (
    Point,
    RunLength,
    check_point,
    plain_point,
    resolve_point,
)
from keras_netopt.serialization import export_class
from keras_netopt.surgery.growing.monitors import (
    check_monitor,
    check_not_negative,
    gains,
    values,
)
from keras_netopt.surgery.growing.trigger_base import (
    TrainingHistory,
    Trigger,
    Turn,
)


@export_class
@dataclass(frozen=True)
class AtPoints(Trigger):
    """Grows at points of the fit; each names the actions that are due.

    A point on the border of two epochs acts before the later one begins, any
    other point before the training step there.

    Example:

    >>> run = RunLength(steps_per_epoch=10, epochs=10)
    >>> AtPoints({0.3: [0], "6ep": [1, 2]}).turns(run, last=80)
    ((30, (0,)), (60, (1, 2)))

    Args:
        points: Mapping from points (a float in [0, 1], an int of steps,
            "3ep" or "500step") to the numbers of actions, counted from 0, or
            a sequence of such pairs.

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
        """Returns the points as JSON holds them: lists, no tuples."""
        pairs = [[point, list(numbers)] for point, numbers in self.points]
        return {"points": pairs}

    @property
    def actions(self) -> tuple[int, ...]:
        """Every number of an action that is named, in order."""
        return tuple(number for _, group in self.points for number in group)

    def turns(self, run: RunLength, last: int | None) -> tuple[Turn, ...]:
        """Returns the steps of the points in a run."""
        found: list[Turn] = []
        for point, numbers in self.points:
            step = resolve_point(point, run, "when")
            if last is not None and step > last:
                raise ValueError(
                    f"Argument `when` must hold no point behind step {last} "
                    f"of the {run.total} steps of this fit: new units need "
                    "time to train. Choose an earlier point or a smaller "
                    f"`final`. Received: when={point!r}, step {step}"
                )
            found.append((step, numbers))
        return tuple(sorted(found))


@export_class
@dataclass(frozen=True)
class Every(Trigger):
    """Grows at regular intervals, one action a time.

    Example:

    >>> run = RunLength(steps_per_epoch=10, epochs=12)
    >>> Every("3ep").turns(run, last=100)
    ((30, None), (60, None), (90, None))

    Args:
        interval: Distance between two growths: a float in (0, 1] (fraction
            of the fit), an int (steps), "3ep" or "500step". Defaults to
            `"3ep"`.
        start: Point of the first growth. Defaults to `None`: one interval
            after the begin.
        times: Growths at most, at least 1. Defaults to `None`: as many as
            there is time for.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Reference:
        Wen et al., *AutoGrow*, 2020, https://arxiv.org/abs/1906.02909 (its K
        is `interval`).
    """

    interval: Point = "3ep"
    start: Point | None = None
    times: int | None = None

    def __post_init__(self) -> None:
        check_point(self.interval, "interval")
        self._set("interval", plain_point(self.interval))
        if self.interval in (0, "0ep", "0step"):
            raise ValueError(
                "Argument `interval` must be longer than 0. "
                f"Received: interval={self.interval!r}"
            )
        if self.start is not None:
            check_point(self.start, "start")
            self._set("start", plain_point(self.start))
        if self.times is not None:
            check_integer(self.times, "times", minimum=1)

    def turns(self, run: RunLength, last: int | None) -> tuple[Turn, ...]:
        """Returns every multiple of the interval up to `last`."""
        gap = max(1, resolve_point(self.interval, run, "interval"))
        begin = gap
        if self.start is not None:
            begin = resolve_point(self.start, run, "start")
        if last is None:
            raise ValueError(
                "Argument `when` needs the length of the fit, which is "
                "unknown here: pass `steps_per_epoch=` to `fit`. "
                f"Received: when={self!r}"
            )
        steps = list(range(begin, last + 1, gap))[: self.times]
        if not steps:
            raise ValueError(
                f"Argument `when` must come to a growth up to step {last} of "
                f"the {run.total} steps of this fit: train longer, or choose "
                "a shorter interval or a smaller `final`. "
                f"Received: when={self!r}"
            )
        return tuple((step, None) for step in steps)


@export_class
@dataclass(frozen=True)
class Plateau(Trigger):
    """Grows when a metric has stopped getting better.

    Counts as `keras.callbacks.ReduceLROnPlateau` does: an epoch without a
    gain of `min_delta` over the best is flat, and `patience` flat epochs in a
    row are a plateau. During the cooldown after a growth no epoch is flat.

    Example:

    >>> logs = [{"epoch": i + 1, "val_loss": 0.5} for i in range(4)]
    >>> run = RunLength(steps_per_epoch=10, epochs=20)
    >>> trigger = Plateau(patience=3)
    >>> [trigger.fires(TrainingHistory(logs[:n], [], run)) for n in (3, 4)]
    [False, True]

    Args:
        monitor: Name in the logs. Defaults to `"val_loss"`; a fit without
            validation data falls back to "loss".
        min_delta: Smallest change that counts as a gain, at least 0.
            Defaults to `1e-4`.
        patience: Flat epochs before a growth, at least 1. Defaults to `3`.
        cooldown: Epochs after a growth that are not counted. Defaults to
            `None`: as many as `patience`.
        mode: "min", "max" or "auto", which knows losses, errors and
            accuracies by their names. Defaults to `"auto"`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or `mode` is "auto" and
            the name says nothing.

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
        check_monitor(self.monitor, self.mode)
        check_not_negative(self.min_delta, "min_delta")
        check_integer(self.patience, "patience", minimum=1)
        if self.cooldown is not None:
            check_integer(self.cooldown, "cooldown")

    @property
    def monitors(self) -> tuple[str, ...]:
        """The name in the logs."""
        return (self.monitor,)

    def fires(self, past: TrainingHistory) -> bool:
        """Says whether the last epoch completes a plateau."""
        rest = self.patience if self.cooldown is None else self.cooldown
        best, flat, cooling = None, 0, 0
        grown = set(past.grown)
        for epoch, value in values(past.epochs, self.monitor):
            if epoch - 1 in grown:
                flat, cooling = 0, rest
            if gains(value, best, self.monitor, self.mode, self.min_delta):
                best, flat = value, 0
            elif cooling == 0:
                flat += 1
            cooling = max(0, cooling - 1)
        return flat >= self.patience


@export_class
@dataclass(frozen=True)
class FitRisk(Trigger):
    """Grows the sooner, the less the network overfits.

    The interval between two growths is I_max / (1 + exp(alpha - risk)): the
    risk is training minus validation accuracy in percentage points, I_max the
    epochs in which growth is allowed, divided by the planned growths.

    Example:

    >>> logs = [{"epoch": 4, "accuracy": 0.9, "val_accuracy": 0.9}]
    >>> run = RunLength(steps_per_epoch=10, epochs=100)
    >>> FitRisk().fires(TrainingHistory(logs, [], run, growths=8))
    True

    Args:
        alpha: Risk in percentage points at which the interval is half the
            longest one. Defaults to `4.0`.
        monitor: Name of the accuracy in the logs, a share in [0, 1]; the
            same name with "val_" is read as well. Defaults to `"accuracy"`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `alpha` is not finite.

    Reference:
        Wu et al., *FRAGrow*, 2024, https://arxiv.org/abs/2401.03104. That its
        risk is in percentage points is our reading.
    """

    alpha: float = 4.0
    monitor: str = "accuracy"

    def __post_init__(self) -> None:
        self._set("alpha", check_number(self.alpha, "alpha"))
        check_monitor(self.monitor, "max")

    @property
    def monitors(self) -> tuple[str, ...]:
        """The accuracy of training and of validation."""
        return (self.monitor, f"val_{self.monitor}")

    def fires(self, past: TrainingHistory) -> bool:
        """Says whether the interval since the last growth has passed."""
        logs = past.epochs[-1] if past.epochs else {}
        if not all(name in logs for name in self.monitors):
            return False
        train, held = (logs[name] for name in self.monitors)
        epochs = past.run.epochs * (1.0 - past.final)
        longest = epochs / max(1, past.growths)
        risk = 100.0 * (train - held)
        waited = past.epoch - max(past.grown, default=0)
        return waited + 1e-6 >= longest / (1.0 + math.exp(self.alpha - risk))


NAMED = {"plateau": Plateau, "periodic": Every}


def as_trigger(when: Any) -> Trigger:
    """Turns what users write for `when` into a trigger.

    Example:

    >>> as_trigger("periodic")
    Every(interval='3ep', start=None, times=None)

    Args:
        when: A trigger, "plateau", "periodic", or a mapping from points to
            numbers of actions.

    Returns:
        The trigger.

    Raises:
        TypeError: If it is of another kind.
        ValueError: If it is another name.
    """
    if isinstance(when, Trigger):
        return when
    if isinstance(when, Mapping):
        return AtPoints(when)
    if isinstance(when, str) and when in NAMED:
        return NAMED[when]()
    kind = ValueError if isinstance(when, str) else TypeError
    raise kind(
        'Argument `when` must be "plateau", "periodic", a mapping from points '
        'to numbers of actions, or a trigger such as `surgery.Every("3ep")`. '
        f"Received: when={when!r}"
    )


def _as_pairs(points: Any) -> tuple[tuple[Point, tuple[int, ...]], ...]:
    """Returns points with the numbers of their actions, checked."""
    if isinstance(points, Mapping):
        points = list(points.items())
    is_sequence = isinstance(points, Sequence) and not isinstance(points, str)
    if not is_sequence or not all(_is_pair(pair) for pair in points):
        raise TypeError(
            "Argument `when` must map points to lists of numbers of actions, "
            f"as in {{0.3: [0], 0.6: [1]}}. Received: when={points!r}"
        )
    if not points:
        raise ValueError(
            f"Argument `when` must hold at least one point. Received: {points}"
        )
    pairs = []
    for point, numbers in points:
        check_point(point, "when")
        for number in numbers:
            check_integer(number, "when")
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
