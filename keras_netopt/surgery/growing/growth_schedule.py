"""Decides which action of `Growing` is due at which step."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from keras_netopt.points import LATER, Point, RunLength, resolve_point
from keras_netopt.surgery.growing.stop_without_improvement import (
    StopWithoutImprovement,
)
from keras_netopt.surgery.growing.trigger import (
    ScheduledGrowth,
    TrainingHistory,
    Trigger,
    point_in_epochs,
)

STATE = (
    "logs",
    "growth_epochs",
    "queue",
    "made",
    "closed",
    "next_action",
    "passed",
    "substituted",
)


class GrowthSchedule:
    """Tracks which actions of one fit are due, made and closed.

    Without a stopping rule each action that no point names is due once, in
    order. With a stopping rule the actions are due in turn until all are
    closed. There is no growth after the point `end` of the fit.
    `repeatable` has one entry per action: whether it can be made again.
    """

    def __init__(
        self,
        trigger: Trigger,
        until: StopWithoutImprovement | None,
        repeatable: Sequence[bool],
        end: Point,
    ) -> None:
        self.trigger = trigger
        self.until = until
        self.end = end
        self._repeatable = tuple(repeatable)
        self._run = RunLength(None, 0)
        self._scheduled: tuple[ScheduledGrowth, ...] = ()
        self._passed = 0
        self._logs: list[dict[str, float]] = []
        self._growth_epochs: list[int] = []
        self._queue: list[int] = []
        self._made: list[int] = []
        self._closed: list[int] = []
        self._next_action = 0
        self._substituted: list[str] = []

    @property
    def made(self) -> tuple[int, ...]:
        """The numbers of the actions that were made, in order."""
        return tuple(self._made)

    @property
    def closed(self) -> tuple[int, ...]:
        """The numbers of the actions that are closed for good, in order."""
        return tuple(self._closed)

    @property
    def is_untouched(self) -> bool:
        """Whether no action was due so far and no point was passed."""
        return not (self._made or self._passed)

    @property
    def substituted(self) -> tuple[str, ...]:
        """Validation metrics that are replaced by those of training."""
        return tuple(self._substituted)

    @property
    def history(self) -> TrainingHistory:
        """The training history for the trigger."""
        return TrainingHistory(
            self._logs,
            self._growth_epochs,
            self._run,
            planned_growths=len(self._repeatable),
            end=self.end,
        )

    @property
    def last(self) -> int | None:
        """Last step at which growth is allowed, `None` where unknown."""
        total = self._run.total
        if total is None:
            return None
        if isinstance(self.end, float):
            last = math.floor(self.end * total + 1e-9)
        else:
            last = resolve_point(self.end, self._run, "end")
        return min(last, total - 1)

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps of the growths that are known before the fit."""
        return tuple(step for step, _ in self._scheduled if step < LATER)

    def begin(self, run: RunLength) -> None:
        """Begins a fit; actions of earlier fits stay made.

        Raises ValueError if a step is outside the fit or after `end`.
        """
        self._run = run
        is_over = bool(self._scheduled) and self._passed == len(self._scheduled)
        self._logs, self._growth_epochs, self._queue = [], [], []
        self._substituted = []
        if is_over:  # The callback has grown its model in an earlier fit.
            return
        end = point_in_epochs(self.end, run, "end")
        if run.steps_per_epoch is None and self.trigger.is_in_epochs:
            # Refuses points outside the fit before it begins.
            last = min(math.floor(end + 1e-9), run.epochs - 1)
            self.trigger.schedule(RunLength(1, run.epochs), last)
        self._scheduled = self.trigger.schedule(run, self.last)
        if self.until is not None:
            self.until.epochs(run)

    def set_length(self, run: RunLength) -> None:
        """Computes the steps again, once the length of an epoch is known."""
        self._run = run
        if self._passed < len(self._scheduled) or not self._scheduled:
            self._scheduled = self.trigger.schedule(run, self.last)

    def skip_before(self, step: int) -> int:
        """Skips growths scheduled before a step and returns their number."""
        left = self._scheduled[self._passed :]
        missed = sum(scheduled < step for scheduled, _ in left)
        self._passed += missed
        return missed

    def record_epoch(self, epoch: int, logs: Mapping[str, Any]) -> bool:
        """Records the logs after `epoch` complete epochs.

        Returns whether an action is due before the next epoch.
        """
        self._logs.append({"epoch": epoch, **self._monitored(logs)})
        end = point_in_epochs(self.end, self._run, "end") + 1e-9
        if epoch > end or epoch >= self._run.epochs:
            return False
        if not self.trigger.should_grow(self.history):
            return False
        number = self._choose_next()
        if number is None:
            return False
        self._queue.append(number)
        return True

    def is_due(self, step: int) -> bool:
        """Returns whether an action is due after `step` completed steps."""
        if self._queue:
            return True
        left = self._scheduled[self._passed : self._passed + 1]
        return bool(left) and left[0][0] <= step

    def pop_due(self, step: int, epoch: int) -> list[int]:
        """Returns the numbers of the due actions in order and marks them made.

        `step` and `epoch` count completed steps and epochs.
        """
        due, self._queue = self._queue, []
        while self._passed < len(self._scheduled):
            scheduled, numbers = self._scheduled[self._passed]
            if scheduled > step:
                break
            self._passed += 1
            if numbers is None:
                found = self._choose_next()
                due += [] if found is None else [found]
            else:
                self._close_without_improvement()
                due += [n for n in numbers if n not in self._closed]
        if due:
            self._made += due
            self._growth_epochs.append(epoch)
        return due

    def close(self, number: int) -> None:
        """Closes an action for good."""
        if number not in self._closed:
            self._closed.append(number)

    def missing_monitors(self) -> tuple[str, ...]:
        """Monitored names that the logs of no finished epoch had."""
        held = {name for logs in self._logs for name in logs}
        return tuple(n for n in self._monitors() if n not in held)

    def get_state(self) -> dict[str, Any]:
        """Returns the state of the fit, JSON-safe."""
        return {name: getattr(self, f"_{name}") for name in STATE}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores the output of `get_state`."""
        for name, value in state.items():
            copied = list(value) if isinstance(value, list) else value
            setattr(self, f"_{name}", copied)

    def _monitors(self) -> tuple[str, ...]:
        until = self.until.monitors if self.until is not None else ()
        return tuple(dict.fromkeys((*self.trigger.monitors, *until)))

    def _monitored(self, logs: Mapping[str, Any]) -> dict[str, float]:
        """Returns the monitored metrics, with training for validation."""
        names, found = self._monitors(), {}
        for name in names:
            plain = name.removeprefix("val_")
            if name in logs:
                found[name] = float(logs[name])
                self._drop_substitute(name)
            elif plain in logs and plain not in names and not self._has(name):
                found[name] = float(logs[plain])
                if name not in self._substituted:
                    self._substituted.append(name)
        return found

    def _has(self, name: str) -> bool:
        seen = any(name in logs for logs in self._logs)
        return seen and name not in self._substituted

    def _drop_substitute(self, name: str) -> None:
        """Drops the training values after the first validation value."""
        if name in self._substituted:
            self._substituted.remove(name)
            for logs in self._logs:
                logs.pop(name, None)

    def _choose_next(self) -> int | None:
        """Returns the next action, `None` where all are made or closed."""
        self._close_without_improvement()
        count = len(self._repeatable)
        if self.until is None:
            while (
                self._next_action < count and self._next_action in self._closed
            ):
                self._next_action += 1
            number = self._next_action if self._next_action < count else None
            self._next_action += 1
            return number
        for shift in range(count):
            number = (self._next_action + shift) % count
            if number not in self._closed:
                self._next_action = number + 1
                if not self._repeatable[number]:
                    self._closed.append(number)
                return number
        return None

    def _close_without_improvement(self) -> None:
        if self.until is None or not self._made:
            return
        if self.until.should_stop(self.history):
            self.close(self._made[-1])
