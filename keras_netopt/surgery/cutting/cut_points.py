"""Points in training at which the cuts of a schedule are made."""

import math
from dataclasses import dataclass

from keras_netopt.points import Point, RunLength
from keras_netopt.schedules import Constant, Schedule, Steps
from keras_netopt.training.progress import Progress

FIRST, LAST = 0.1, 0.6


@dataclass(frozen=True)
class CutPoint:
    """Point and sparsity of one cut.

    `value` is the sparsity after the cut, made at the begin of `epoch` or, if
    that is `None`, after `step` completed steps.
    """

    value: float
    epoch: int | None = None
    step: int | None = None

    def reached(self, progress: Progress) -> bool:
        """Whether a fit has reached it."""
        if self.epoch is not None:
            return progress.epoch >= self.epoch
        return self.step is not None and progress.step >= self.step


def default_cut_schedule(sparsity: float, steps: int) -> Steps:
    """Distributes a sparsity over equal cuts between 10 % and 60 % of a fit.

    Example:

    >>> default_cut_schedule(0.5, 2).levels
    ((0.1, 0.25), (0.6, 0.5))
    """
    gap = (LAST - FIRST) / max(1, steps - 1)
    levels: dict[Point, float] = {
        round(FIRST + k * gap, 6): sparsity * (k + 1) / steps
        for k in range(steps)
    }
    return Steps(levels)


def list_cut_points(
    schedule: Schedule, run: RunLength, steps: int, *, snap: bool
) -> tuple[CutPoint, ...]:
    """Lists the cuts of a fit in order; cuts at the same point are merged.

    `steps` is the number of cuts of a ramp; `snap` moves cuts to the next
    epoch begin.

    Example:

    >>> run = RunLength(steps_per_epoch=10, epochs=10)
    >>> schedule = default_cut_schedule(0.5, 4)
    >>> points = list_cut_points(schedule, run, 4, snap=True)
    >>> [(p.epoch, p.value) for p in points]
    [(1, 0.125), (3, 0.25), (5, 0.375), (6, 0.5)]

    Raises:
        ValueError: If the schedule does not fit the run, leaves [0, 1) or
            falls.
    """
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
