"""Names what the user wrote where a schedule needs an unknown length."""

import math
from typing import Any

from keras_netopt.points import RunLength
from keras_netopt.schedules import Schedule, Steps


def explain_unknown_length(callback: Any, run: RunLength) -> str | None:
    """Returns the error for a schedule in fractions of an unknown length.

    Args:
        callback: The callback; its `schedule_arg` names the argument that
            holds the schedule, and its `schedule` is that schedule.
        run: Length of the `fit` call.

    Returns:
        The text; `None` where the callback has no schedule and the error
        names an argument of the callback already.
    """
    name = getattr(callback, "schedule_arg", None)
    schedule = getattr(callback, "schedule", None)
    if name is None or not isinstance(schedule, Schedule):
        return None
    written = getattr(callback, name)
    points = [p for p in schedule.points if isinstance(p, float) and p > 0]
    listed = ", ".join(f"{point:g}" for point in points)
    if isinstance(written, int | float):
        how = (
            "follows by default a schedule in fractions of the fit "
            f"({type(schedule).__name__}, {listed})"
        )
    else:
        how = f"has points in fractions of the fit ({listed})"
    return (
        f"Argument `{name}` {how}, so it needs the length of the `fit` call, "
        "which is unknown: its data have no length. Pass `steps_per_epoch=` "
        "to `fit`, or write the points in epochs or steps, as in "
        f"{_remedy(name, written, schedule, run)}. "
        f"Received: {name}={written!r}"
    )


def _remedy(name: str, written: Any, schedule: Schedule, run: RunLength) -> str:
    unit, whole = ("ep", run.epochs) if run.epochs > 1 else ("step", 1000)
    begin, end = (
        f'"{max(1, math.ceil(point * whole))}{unit}"'
        if isinstance(point, float) and point > 0
        else repr(point)
        for point in (schedule.begin, schedule.end)
    )
    if isinstance(written, int | float):
        kind = type(schedule).__name__
        start = f"initial={schedule.initial:g}, " if schedule.initial else ""
        return (
            f"`{name}=netopt.schedules.{kind}({start}"
            f"final={schedule.final:g}, begin={begin}, end={end})`"
        )
    if isinstance(schedule, Steps):
        return f"`{{{end}: {schedule.final:g}}}`"
    return f"`begin={begin}, end={end}`"
