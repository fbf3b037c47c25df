"""Checks what users pass to `Growing`, and tells what it has done."""

from collections.abc import Sequence
from typing import Any

from keras_netopt.surgery.edits.preserve import Preservation
from keras_netopt.surgery.edits.report import EditReport
from keras_netopt.surgery.growing.actions import Action
from keras_netopt.surgery.growing.stop_without_improvement import (
    StopWithoutImprovement,
)
from keras_netopt.surgery.growing.triggers import AtPoints, Trigger


def as_actions(actions: Any) -> tuple[Action, ...]:
    """Returns one action or a list of them as a tuple.

    Args:
        actions: What the user passed.

    Returns:
        The actions.

    Raises:
        TypeError: If there is something else among them.
        ValueError: If there are none.
    """
    listed = (actions,) if isinstance(actions, Action) else actions
    is_list = isinstance(listed, Sequence) and not isinstance(listed, str)
    if not is_list or not all(isinstance(one, Action) for one in listed):
        raise TypeError(
            "Argument `actions` must be a list of `surgery.Widen` and "
            f"`surgery.Deepen`. Received: actions={actions!r}"
        )
    if not listed:
        raise ValueError(
            "Argument `actions` must hold at least one action. "
            f"Received: actions={actions!r}"
        )
    return tuple(listed)


def check_numbers(trigger: Trigger, count: int) -> None:
    """Refuses points that name an action that does not exist.

    Args:
        trigger: The trigger.
        count: Number of actions.

    Raises:
        ValueError: If a number is too large.
    """
    wrong = [
        number
        for number in (trigger.actions if isinstance(trigger, AtPoints) else ())
        if number >= count
    ]
    if wrong:
        raise ValueError(
            f"Argument `when` must name actions 0 to {count - 1}, of which "
            f"there are {count}. Received: {wrong}"
        )


def check_until(until: Any) -> None:
    """Refuses what is not a stop policy.

    Args:
        until: What the user passed.

    Raises:
        TypeError: If it is neither a `StopWithoutImprovement` nor `None`.
    """
    if until is not None and not isinstance(until, StopWithoutImprovement):
        raise TypeError(
            "Argument `until` must be a `surgery.StopWithoutImprovement` or "
            "None. "
            f"Received: until={until!r}"
        )


def tell(reports: Sequence[EditReport], found: Preservation | None) -> str:
    """Says in one line what growth has done.

    Args:
        reports: The reports of its actions, at least one.
        found: How far the outputs have moved, or `None`.

    Returns:
        The line.
    """
    done = "; ".join(map(_sentence, reports))
    old, new = reports[0].before, reports[-1].after
    moved = "" if found is None else f", outputs moved {found.max_abs:.1e}"
    return (
        f"{done}; {old.params:,} -> {new.params:,} weights, "
        f"{old.macs:,} -> {new.macs:,} MACs{moved}"
    )


def _sentence(report: EditReport) -> str:
    changes = [
        f"{row.layer} {row.before} -> {row.after}"
        + (" (coupled)" if row.coupled else "")
        for row in report.widths
    ]
    if report.inserted:
        where = report.event["after"]
        count = len(report.inserted)
        plural = "s" if count > 1 else ""
        changes.append(f"{count} new layer{plural} behind {where}")
    text = f"{report.verb} {', '.join(changes)}"
    return f"{text} [{'; '.join(report.notes)}]" if report.notes else text


def listed(names: Sequence[str]) -> str:
    """Joins names in backticks."""
    return ", ".join(f"`{name}`" for name in names)
