"""Which action of a growing network is due when; knows numbers only."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from keras_netopt.points import RunLength
from keras_netopt.surgery.growing.stop_without_improvement import (
    StopWithoutImprovement,
)
from keras_netopt.surgery.growing.trigger_base import (
    TrainingHistory,
    Trigger,
    Turn,
)

STATE = (
    "epochs",
    "grown",
    "queue",
    "made",
    "closed",
    "line",
    "passed",
    "stand_ins",
)


class GrowthSchedule:
    """Keeps the book of one fit: what is due, what was done, what is closed.

    Without a stop policy each action that is not named by a point is due
    once, in order. With one they take turns until they are closed.

    Args:
        trigger: Says when.
        until: The stop policy, or `None`.
        repeats: For each action whether it can be made more than once.
        final: Share of the fit at its end without growth.
    """

    def __init__(
        self,
        trigger: Trigger,
        until: StopWithoutImprovement | None,
        repeats: Sequence[bool],
        final: float,
    ) -> None:
        self.trigger = trigger
        self.until = until
        self.final = final
        self._repeats = tuple(repeats)
        self._run = RunLength(None, 0)
        self._turns: tuple[Turn, ...] = ()
        self._passed = 0
        self._epochs: list[dict[str, float]] = []
        self._grown: list[int] = []
        self._queue: list[int] = []
        self._made: list[int] = []
        self._closed: list[int] = []
        self._line = 0
        self._stand_ins: list[str] = []

    @property
    def made(self) -> tuple[int, ...]:
        """The numbers of the actions that were taken, in order."""
        return tuple(self._made)

    @property
    def closed(self) -> tuple[int, ...]:
        """The numbers of the actions that are closed for good, in order."""
        return tuple(self._closed)

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """Metrics of validation for which those of training stand in."""
        return tuple(self._stand_ins)

    @property
    def past(self) -> TrainingHistory:
        """What the trigger may know."""
        return TrainingHistory(
            self._epochs,
            self._grown,
            self._run,
            growths=len(self._repeats),
            final=self.final,
        )

    @property
    def last(self) -> int | None:
        """Last step at which growth is allowed, `None` where unknown."""
        if self._run.total is None:
            return None
        last = math.floor((1.0 - self.final) * self._run.total + 1e-9)
        return min(last, self._run.total - 1)

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps of the growths that are known before the fit."""
        return tuple(step for step, _ in self._turns)

    def begin(self, run: RunLength) -> None:
        """Starts the book of a fit; what was done in earlier ones stays done.

        Args:
            run: Length of the fit.

        Raises:
            ValueError: If a moment lies outside the fit or in its last part.
        """
        self._run = run
        is_over = bool(self._turns) and self._passed == len(self._turns)
        self._epochs, self._grown, self._queue = [], [], []
        self._stand_ins = []
        if is_over:  # The object has grown its model in an earlier fit.
            return
        self._turns = self.trigger.turns(run, self.last)
        if self.until is not None:
            self.until.epochs(run)

    def skip(self, step: int) -> int:
        """Passes over moments that lie before the fit begins.

        Args:
            step: Completed steps at the begin of the fit.

        Returns:
            The number of moments that were passed over.
        """
        left = self._turns[self._passed :]
        missed = sum(moment < step for moment, _ in left)
        self._passed += missed
        return missed

    def note(self, epoch: int, logs: Mapping[str, Any]) -> bool:
        """Takes note of a finished epoch and decides on the next one.

        Args:
            epoch: Complete epochs.
            logs: The numbers of the epoch.

        Returns:
            Whether the trigger asks for growth before the next epoch.
        """
        self._epochs.append({"epoch": epoch, **self._read(logs)})
        ends = (1.0 - self.final) * self._run.epochs + 1e-9
        if epoch > ends or epoch >= self._run.epochs:
            return False
        if not self.trigger.fires(self.past):
            return False
        number = self._next()
        if number is None:
            return False
        self._queue.append(number)
        return True

    def is_due(self, step: int) -> bool:
        """Says whether `take` has anything.

        Args:
            step: Completed steps.
        """
        if self._queue:
            return True
        left = self._turns[self._passed : self._passed + 1]
        return bool(left) and left[0][0] <= step

    def take(self, step: int, epoch: int) -> list[int]:
        """Hands out the numbers of the actions that are due.

        Args:
            step: Completed steps.
            epoch: Complete epochs.

        Returns:
            Numbers of actions, in order; none where all are closed.
        """
        taken, self._queue = self._queue, []
        while self._passed < len(self._turns):
            moment, numbers = self._turns[self._passed]
            if moment > step:
                break
            self._passed += 1
            if numbers is None:
                found = self._next()
                taken += [] if found is None else [found]
            else:
                self._close_if_idle()
                taken += [n for n in numbers if n not in self._closed]
        if taken:
            self._made += taken
            self._grown.append(epoch)
        return taken

    def drop(self, number: int) -> None:
        """Closes an action for good."""
        if number not in self._closed:
            self._closed.append(number)

    def missing(self) -> tuple[str, ...]:
        """Names in the logs that no finished epoch has had."""
        names = self._names()
        held = {name for logs in self._epochs for name in logs}
        return tuple(n for n in names if n not in held)

    def state(self) -> dict[str, Any]:
        """Returns the book, JSON-safe."""
        return {name: getattr(self, f"_{name}") for name in STATE}

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state` returned."""
        for name, value in state.items():
            copied = list(value) if isinstance(value, list) else value
            setattr(self, f"_{name}", copied)

    def _names(self) -> tuple[str, ...]:
        until = self.until.monitors if self.until is not None else ()
        return tuple(dict.fromkeys((*self.trigger.monitors, *until)))

    def _read(self, logs: Mapping[str, Any]) -> dict[str, float]:
        """Picks what is monitored; training may stand in for validation."""
        names, found = self._names(), {}
        for name in names:
            plain = name.removeprefix("val_")
            if name in logs:
                found[name] = float(logs[name])
                self._forget_stand_in(name)
            elif plain in logs and plain not in names and not self._has(name):
                found[name] = float(logs[plain])
                if name not in self._stand_ins:
                    self._stand_ins.append(name)
        return found

    def _has(self, name: str) -> bool:
        seen = any(name in logs for logs in self._epochs)
        return seen and name not in self._stand_ins

    def _forget_stand_in(self, name: str) -> None:
        """Drops the values of training once there are some of validation."""
        if name in self._stand_ins:
            self._stand_ins.remove(name)
            for logs in self._epochs:
                logs.pop(name, None)

    def _next(self) -> int | None:
        """The next action in line, `None` where all are done or closed."""
        self._close_if_idle()
        count = len(self._repeats)
        if self.until is None:
            while self._line < count and self._line in self._closed:
                self._line += 1
            number = self._line if self._line < count else None
            self._line += 1
            return number
        for shift in range(count):
            number = (self._line + shift) % count
            if number not in self._closed:
                self._line = number + 1
                if not self._repeats[number]:
                    self._closed.append(number)
                return number
        return None

    def _close_if_idle(self) -> None:
        if self.until is None or not self._made:
            return
        if self.until.met(self.past):
            self.drop(self._made[-1])
