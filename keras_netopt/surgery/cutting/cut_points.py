"""Points in training at which the cuts of a schedule are made."""

import math
from dataclasses import dataclass
from typing import Any

from keras_netopt.checks import check_fraction, check_integer
from keras_netopt.points import Point, RunLength, is_in_steps
from keras_netopt.schedules import Constant, Schedule, Steps
from keras_netopt.training.progress import Progress

FIRST, LAST = 0.1, 0.6
# Each cut edits and compiles the model; the points of a fit are rounded to
# millionths, so that more cuts would fall on the same points.
MOST_CUTS = 10_000


@dataclass(frozen=True)
class CutPoint:
    """Point and sparsity of one cut.

    Args:
        value: The sparsity after the cut.
        epoch: The epoch at whose begin it is made, or `None`.
        step: Otherwise the number of completed steps at which it is made.
    """

    value: float
    epoch: int | None = None
    step: int | None = None

    def reached(self, progress: Progress) -> bool:
        """Whether a fit has reached it."""
        if self.epoch is not None:
            return progress.epoch >= self.epoch
        return self.step is not None and progress.step >= self.step


def check_cut_count(steps: Any) -> int:
    """Returns the number of cuts, from 1 to 10,000."""
    count = check_integer(steps, "iterative_steps", minimum=1)
    if count > MOST_CUTS:
        raise ValueError(
            f"Argument `iterative_steps` must be at most {MOST_CUTS}, because "
            "each cut edits and compiles the model, and cuts at the same step "
            "are merged: use fewer cuts. "
            f"Received: iterative_steps={steps!r}"
        )
    return count


def default_cut_schedule(sparsity: float, steps: int) -> Steps:
    """Distributes a sparsity over equal cuts between 10 % and 60 % of a fit."""
    gap = (LAST - FIRST) / max(1, steps - 1)
    levels: dict[Point, float] = {
        round(FIRST + k * gap, 6): sparsity * (k + 1) / steps
        for k in range(steps)
    }
    return Steps(levels)


def as_cut_schedule(sparsity: Any, steps: int) -> Schedule:
    """Returns the schedule that the argument `sparsity` stands for."""
    if isinstance(sparsity, Schedule):
        return sparsity
    try:
        return default_cut_schedule(check_fraction(sparsity, "sparsity"), steps)
    except TypeError as error:
        raise TypeError(
            "Argument `sparsity` must be a float in [0, 1) or a schedule from "
            f"`keras_netopt.schedules`. Received: sparsity={sparsity!r}"
        ) from error


def list_cut_points(
    schedule: Schedule, run: RunLength, steps: int, *, snap: bool | None = None
) -> tuple[CutPoint, ...]:
    """Lists the cuts of a fit in order; cuts at the same point are merged.

    Args:
        schedule: The sparsity over the fit.
        run: Length of the fit.
        steps: Number of cuts of a ramp.
        snap: Whether cuts are moved to the next epoch begin. Defaults to
            `None`: those of ramps, and in a fit of unknown length those of
            points in epochs and fractions.
    """
    if snap is None:
        snap = (
            not any(map(is_in_steps, schedule.points))
            if run.steps_per_epoch is None
            else not isinstance(schedule, Constant | Steps)
        )
    if snap and run.epochs > 1:
        # The number of epochs is known even if the number of steps is not.
        length = run.steps_per_epoch
        count = RunLength(1, run.epochs) if length is None else run
        last = run.epochs - 1
        by_epoch = {
            min(math.ceil(u / (length or 1)), last): value
            for u, value in _values(schedule, count, steps)
        }
        points = [CutPoint(v, epoch=e) for e, v in sorted(by_epoch.items())]
    elif snap and run.total is None:
        points = [CutPoint(schedule.final, epoch=0)]
    else:
        behind = (run.total or math.inf) - 1
        by_step = {
            int(min(u, behind)): v for u, v in _values(schedule, run, steps)
        }
        points = [CutPoint(v, step=u) for u, v in sorted(by_step.items())]
    _check(schedule, [point.value for point in points])
    return tuple(points)


def _values(
    schedule: Schedule, run: RunLength, steps: int
) -> list[tuple[int, float]]:
    if isinstance(schedule, Steps | Constant):
        found = schedule.update_points(run)
    else:
        begin, end = schedule.span(run)
        found = tuple(
            round(begin + (end - begin) * k / steps)
            for k in range(1, steps + 1)
        )
    return [(u, schedule.at(u, run)) for u in found]


def _check(schedule: Schedule, values: list[float]) -> None:
    bad = [value for value in values if not 0.0 <= value < 1.0]
    if bad:
        raise ValueError(
            "Argument `sparsity` must be a schedule with values in [0, 1), "
            f"but it reaches {bad[0]:g}. Received: sparsity={schedule!r}"
        )
    if values != sorted(values):
        raise ValueError(
            "Argument `sparsity` must be a schedule that never falls, because "
            "removed channels cannot be restored. "
            f"Received: sparsity={schedule!r}"
        )
