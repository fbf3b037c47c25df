"""When the cuts of a schedule are made: at epoch begins where there are any."""

import math
from dataclasses import dataclass

from keras_netopt.points import Point, RunLength
from keras_netopt.schedules import Constant, Schedule, Steps
from keras_netopt.training.progress import Progress

FIRST, LAST = 0.1, 0.6


@dataclass(frozen=True)
class CutPoint:
    """One cut: when, and what share is to be gone after it.

    Args:
        value: The share.
        epoch: The epoch at whose begin it is made, or `None`.
        step: Else the number of completed steps at which it is made.
    """

    value: float
    epoch: int | None = None
    step: int | None = None

    def reached(self, progress: Progress) -> bool:
        """Whether a fit has come to it."""
        if self.epoch is not None:
            return progress.epoch >= self.epoch
        return self.step is not None and progress.step >= self.step


def default_schedule(ratio: float, steps: int) -> Steps:
    """Spreads a cut over the first part of a fit, in equal shares.

    Example:

    >>> default_schedule(0.5, 2).levels
    ((0.1, 0.25), (0.6, 0.5))

    Args:
        ratio: The share to be gone after the last cut.
        steps: Number of cuts.

    Returns:
        Equal cuts between 10 % and 60 % of the fit.
    """
    gap = (LAST - FIRST) / max(1, steps - 1)
    levels: dict[Point, float] = {
        round(FIRST + k * gap, 6): ratio * (k + 1) / steps for k in range(steps)
    }
    return Steps(levels)


def cut_points(
    schedule: Schedule, run: RunLength, steps: int, *, snap: bool
) -> tuple[CutPoint, ...]:
    """Lists the cuts of a fit.

    Example:

    >>> run = RunLength(steps_per_epoch=10, epochs=10)
    >>> points = cut_points(default_schedule(0.5, 4), run, 4, snap=True)
    >>> [(p.epoch, p.value) for p in points]
    [(1, 0.125), (3, 0.25), (5, 0.375), (6, 0.5)]

    Args:
        schedule: The share that is gone, over the fit.
        run: Length of the fit.
        steps: Number of cuts of a schedule that ramps.
        snap: Whether cuts wait for the next begin of an epoch.

    Returns:
        The cuts in order; several that fall together are one.

    Raises:
        ValueError: If the schedule does not fit the run, leaves [0, 1) or
            falls.
    """
    if snap and run.epochs > 1:
        # Counted in epochs the length is known also where steps are not.
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
            "Argument `ratio` must be a schedule with values in [0, 1), it "
            f"reaches {bad[0]:g}. Received: ratio={schedule!r}"
        )
    if values != sorted(values):
        raise ValueError(
            "Argument `ratio` must be a schedule that never falls: channels "
            f"that are cut do not come back. Received: ratio={schedule!r}"
        )
