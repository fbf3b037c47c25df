"""State of one pruning run: masks, schedule and position."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_netopt.points import LATER, RunLength
from keras_netopt.schedules import Schedule
from keras_netopt.sparsity.mask_session import (
    TOLERANCE,
    MaskSession,
    check_finite,
)
from keras_netopt.sparsity.pruner import Pruner
from keras_netopt.sparsity.scores import Custom
from keras_netopt.sparsity.selection import WeightTarget
from keras_netopt.training.float_weights import float_weights


class PruningSession(MaskSession):
    """Updates the masks of one model along a sparsity schedule.

    The model's `MaskStore` holds the masks; this object holds the last update
    point that was applied. It raises a ValueError if the schedule does not fit
    into the run or leaves [0, 1), gradients are needed before the first step,
    weights are not finite, or score or data are invalid.

    Args:
        model: A compiled, built model.
        targets: The weights to prune.
        pruner: Score, allocation and pattern.
        schedule: Sparsity over the fit.
        run: Length of the fit.
        frequency: Steps between two updates, or `None` for the default.
        data: Calibration data, for scores that need activations.
        done: Whether an earlier fit has completed the schedule.
    """

    def __init__(
        self,
        model: keras.Model,
        targets: tuple[WeightTarget, ...],
        pruner: Pruner,
        schedule: Schedule,
        run: RunLength,
        *,
        frequency: int | None = None,
        data: Any = None,
        done: bool = False,
    ) -> None:
        super().__init__(model, targets, pruner)
        self.points: tuple[int, ...] = ()
        self.done = done
        self.floor = 0.0
        self.finite = True
        self._data = data
        self._schedule = schedule
        self._frequency = frequency
        score = pruner.score
        # With a completed schedule, the fit may have any length.
        if not done:
            self.set_length(run)
            self._check_values(run)
            check_finite(targets)
            if score.needs == "activations" or isinstance(score, Custom):
                self.try_masks(schedule.final, data)
        self.attach(score.accumulate if score.needs == "gradients" else None)

    def set_length(self, run: RunLength) -> None:
        """Computes the update points, as far as the length is known."""
        self.points = self._schedule.update_points(run, self._frequency)
        self._end = self._schedule.span(run)[1]
        self._wanted = {p: self._schedule.at(p, run) for p in self.points}
        self.done = 0 <= self.last == self._final_point

    def resume(self, step: int, state: dict[str, Any] | None = None) -> None:
        """Restores the position from a state, or derives it from the weights.

        Masks and weights are then those after the last update due at `step`,
        whether or not a file held them.
        """
        if self.done:
            self.count_masked()
            self.project()
            return
        if state is not None:
            self.last, self.done = state["last"], state["done"]
            self.floor = state["floor"]
        else:
            if self._pruner.score.needs == "gradients":
                self.store.reset_statistics(self.keys)
            self.last = self._derive(step)
            self.count_masked()
            self.floor = self.share
            self.done = self.last == self._final_point
        self.count_masked()
        self._updated_at = step
        self.advance(step)
        self.project()

    def get_state(self) -> dict[str, Any]:
        """Returns the position as JSON-safe values."""
        return {"last": self.last, "done": self.done, "floor": self.floor}

    def advance(self, step: int) -> bool:
        """Applies the latest update that is due, if it is not applied yet.

        Returns `False` if weights are not finite; the masks are unchanged
        then.
        """
        self.verify(step)
        # Resizing changes the share of zeros.
        resized = self.follow_shapes() and self.last >= 0
        if resized and self.done:
            return self.update(self.last)
        if self.done or not self.points or step < self.points[0]:
            return True
        due = max(point for point in self.points if point <= step)
        return self.update(due) if due > self.last or resized else True

    def update(self, point: int) -> bool:
        """Applies the masks of one update point.

        Returns `False` if weights are not finite; nothing is changed then.
        """
        self.last = point
        if not self.targets:
            return True  # After an edit, the pattern fits no weight.
        with float_weights(self.model):
            return self._update(point)

    def _update(self, point: int) -> bool:
        wanted = self._wanted[point]
        if self._monotone:
            wanted = max(wanted, self.floor)
        weights = self.store.view_weights(self.keys)
        self.finite = all(np.isfinite(weight).all() for weight in weights)
        if not self.finite:
            return False
        self.done = point == self._final_point
        if wanted == 0 and self.share == 0:
            return True
        self.set_masks(self._find_masks(wanted, point))
        if self._pruner.score.needs == "gradients":
            if self._pruner.score.resets:
                self.store.reset_statistics(self.keys)
        return True

    def _find_masks(self, wanted: float, point: int) -> Iterable[np.ndarray]:
        statistics = None
        if self._pruner.score.needs == "gradients":
            statistics = self.store.view_statistics(self.keys)
        return self._pruner.find_masks(
            self.model,
            self.targets,
            self.store.view_weights(self.keys),
            wanted,
            self._data,
            self.store.view_masks(self.keys),
            statistics=statistics,
            update=point,
            final=self._schedule.final,
        )

    @property
    def _final_point(self) -> int:
        """The last update point, `LATER` while its step is unknown."""
        known = self.points[-1] if self.points else -1
        return LATER if self._end == LATER else known

    def _derive(self, step: int) -> int:
        """Derives the last applied update from masks or weights."""
        passed = [point for point in self.points if point <= step]
        if not passed:
            return -1
        wanted = self._wanted[passed[-1]]
        if 0 < wanted <= self.count_masked() / self.weights + TOLERANCE:
            return passed[-1]
        with float_weights(self.model):
            weights = self.store.view_weights(self.keys)
            zeros = sum(w.size - np.count_nonzero(w) for w in weights)
            share = zeros / self.weights
            if step > self.points[0] and 0 < wanted <= share + TOLERANCE:
                self.set_masks(weight != 0 for weight in weights)
                return passed[-1]
        return -1

    def _check_values(self, run: RunLength) -> None:
        schedule = self._schedule
        values = list(schedule.planned_values(run).values())
        self._monotone = values == sorted(values)
        bad = [value for value in values if not 0.0 <= value < 1.0]
        if bad:
            raise ValueError(
                "Argument `sparsity` must be a schedule with values in "
                f"[0, 1), but it reaches {bad[0]:g}. "
                f"Received: sparsity={schedule!r}"
            )
        name, needs = self._pruner.score.name, self._pruner.score.needs
        if needs == "model" and self.points != (0,):
            raise ValueError(
                "Argument `sparsity` must be a number or schedules.Constant "
                "from the first step on, without `frequency`, because "
                f"score={name!r} chooses the masks before training. For a "
                'schedule, use score="taylor" or "magnitude". '
                f"Received: sparsity={schedule!r}, "
                f"frequency={self._frequency!r}"
            )
        if self.points[:1] == (0,) and needs == "gradients":
            raise ValueError(
                "Argument `sparsity` must begin after the first step, because "
                f"score={name!r} needs gradients of "
                f"training. Received: sparsity={schedule!r}"
            )
