"""When each group of layers is trained."""

import math
from dataclasses import dataclass
from typing import Any

from keras_netopt.points import (
    LATER,
    Point,
    RunLength,
    check_point,
    check_units,
    is_in_steps,
    resolve_point,
)

SCHEMES = ("unfreeze", "chain_thaw", "freeze")


@dataclass(frozen=True)
class UnfreezingSchedule:
    """Which of several groups are trainable after each event.

    "unfreeze" begins with the first group and adds the next at each event.
    "chain_thaw" trains one group at a time, and all after the last event.
    "freeze" begins with all groups and freezes the next at each event, all
    but the last one.

    Example:

    >>> schedule = UnfreezingSchedule("unfreeze", groups=3)
    >>> [sorted(schedule.open_after(k)) for k in range(schedule.events + 1)]
    [[0], [0, 1], [0, 1, 2]]
    >>> schedule.find_steps(RunLength(10, epochs=4), begin=0, every="1ep")
    [10, 20]

    Args:
        scheme: "unfreeze", "chain_thaw" or "freeze".
        groups: Number of groups, at least 2.
    """

    scheme: str
    groups: int

    @property
    def events(self) -> int:
        """The number of times that groups open or freeze."""
        return self.groups - (self.scheme != "chain_thaw")

    def open_after(self, events: int) -> set[int]:
        """Returns the groups that are trainable after so many events."""
        if self.scheme == "unfreeze":
            return set(range(events + 1))
        if self.scheme == "freeze":
            return set(range(events, self.groups))
        return {events} if events < self.groups else set(range(self.groups))

    def find_span(
        self, group: int, steps: list[int]
    ) -> tuple[int | None, int | None]:
        """Returns from which step to which a group is trained.

        `steps` are those of the events that have happened. The begin is
        `None` for a group that has not been trained, the end for one that is.
        A group that "chain_thaw" trains a second time counts as one trained
        from its first step on.
        """
        begin = end = None
        for events in range(len(steps) + 1):
            is_open = group in self.open_after(events)
            step = steps[events - 1] if events else 0
            if is_open and begin is None:
                begin = step
            if not is_open and begin is not None and end is None:
                end = step
            if is_open and self.scheme == "chain_thaw":
                end = None
        return begin, end

    def find_steps(
        self, run: RunLength, begin: Point, every: Point | None
    ) -> list[int]:
        """Returns the step of each event, `LATER` if it is unknown.

        Raises:
            ValueError: If the last event is not before the end of the fit.
        """
        numbers = range(1, self.events + 1)
        if every is None:
            total = resolve_point(1.0, run, "every")
            start = resolve_point(begin, run, "begin")
            share = (total - start) / (2 * self.events)
            steps = [start + math.ceil(share * k) for k in numbers]
        else:
            check_units([begin, every], run, "every")
            start = resolve_point(begin, run, "begin")
            steps = [_add(start, every, k, run) for k in numbers]
        self._check_last(steps, run, begin, every)
        return steps

    def _check_last(
        self, steps: list[int], run: RunLength, begin: Point, every: Any
    ) -> None:
        total, last = run.total, steps[-1]
        if total is None and last >= LATER:
            # Epochs of one step show whether there are enough of them.
            self.find_steps(RunLength(1, run.epochs), begin, every)
            return
        distinct = len(set(steps)) == len(steps) and steps[0] > 0
        if (total is None or last < total) and distinct:
            return
        verb = "frozen" if self.scheme == "freeze" else "opened"
        raise ValueError(
            f"Argument `every` must leave at least one step between the "
            f"{self.events} times at which one of the {self.groups} groups "
            f"is {verb}, and after the last one: they are due at steps "
            f"{steps} of {total}. Use fewer `groups`, an earlier `begin`, a "
            "smaller `every`, or more epochs. "
            f"Received: every={every!r}, begin={begin!r}"
        )


def check_interval(every: Any, name: str) -> None:
    """Checks a distance between two points: none of them is zero.

    Raises:
        TypeError: If `every` is neither a number nor a string.
        ValueError: If it is out of range, zero, or has another form.
    """
    check_point(every, name)
    zeros = (0, 0.0, "0ep", "0step")
    if every in zeros:
        raise ValueError(
            f"Argument `{name}` must be above 0. Received: {name}={every!r}"
        )


def _add(start: int, every: Point, count: int, run: RunLength) -> int:
    """Returns the step at several intervals after a step."""
    if start >= LATER:
        return LATER
    if isinstance(every, float):
        total = resolve_point(1.0, run, "every")
        return start + math.ceil(round(every * count * total, 9))
    if is_in_steps(every):
        unit = RunLength(1, 2**31)
        return start + count * resolve_point(every, unit, "every")
    epochs = int(str(every).removesuffix("ep")) * count
    if run.steps_per_epoch is None:
        return LATER
    return start + epochs * run.steps_per_epoch
