"""Checks of the arguments of `Growing`, and its messages."""

from collections.abc import Sequence
from typing import Any

from keras_netopt.surgery.edits.edit_report import EditReport
from keras_netopt.surgery.edits.output_difference import OutputDifference
from keras_netopt.surgery.growing.actions import Action
from keras_netopt.surgery.growing.stop_without_improvement import (
    StopWithoutImprovement,
)
from keras_netopt.surgery.growing.triggers import AtPoints, Trigger


def as_actions(actions: Any) -> tuple[Action, ...]:
    """Returns one action or a list of actions as a tuple, checked."""
    given = (actions,) if isinstance(actions, Action) else actions
    is_list = isinstance(given, Sequence) and not isinstance(given, str)
    if not is_list or not all(isinstance(one, Action) for one in given):
        raise TypeError(
            "Argument `actions` must be a list of `surgery.Widen` and "
            f"`surgery.Deepen`. Received: actions={actions!r}"
        )
    if not given:
        raise ValueError(
            "Argument `actions` must hold at least one action. "
            f"Received: actions={actions!r}"
        )
    return tuple(given)


def check_action_numbers(trigger: Trigger, count: int) -> None:
    """Checks that the points of a trigger name actions that exist."""
    named = trigger.actions if isinstance(trigger, AtPoints) else ()
    wrong = [number for number in named if number >= count]
    if wrong:
        raise ValueError(
            f"Argument `trigger` must hold indices into `actions`, 0 to "
            f"{count - 1}. "
            f"Received: {wrong}"
        )


def check_until(until: Any) -> None:
    """Checks the stopping rule, a `StopWithoutImprovement` or `None`."""
    if until is not None and not isinstance(until, StopWithoutImprovement):
        raise TypeError(
            "Argument `until` must be a `surgery.StopWithoutImprovement` or "
            f"None. Received: until={until!r}"
        )


def describe_growth(
    reports: Sequence[EditReport], difference: OutputDifference | None
) -> str:
    """Describes a growth of at least one action in one line."""
    edits = "; ".join(map(_describe_edit, reports))
    old, new = reports[0].before, reports[-1].after
    outputs = ""
    if difference is not None:
        outputs = f", outputs changed by {difference.max_abs:.1e}"
    return (
        f"{edits}; {old.params:,} -> {new.params:,} weights, "
        f"{old.describe_macs()} -> {new.describe_macs()} MACs{outputs}"
    )


def _describe_edit(report: EditReport) -> str:
    changes = [
        f"{row.layer} {row.before} -> {row.after}"
        + (" (coupled)" if row.coupled else "")
        for row in report.widths
    ]
    if report.inserted:
        count = len(report.inserted)
        plural = "s" if count > 1 else ""
        where = report.edit["layer"]
        changes.append(f"{count} new layer{plural} after {where}")
    text = f"{report.operation} {', '.join(changes)}"
    return f"{text} [{'; '.join(report.notes)}]" if report.notes else text


def in_backticks(names: Sequence[str]) -> str:
    """Joins names in backticks."""
    return ", ".join(f"`{name}`" for name in names)
