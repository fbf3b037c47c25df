"""Checks of the arguments of `Growing`, and its messages."""

from collections.abc import Iterable, Sequence
from typing import Any

from keras_netopt.checks import check_integer
from keras_netopt.surgery.edits.edit_report import EditReport
from keras_netopt.surgery.edits.output_difference import OutputDifference
from keras_netopt.surgery.growing.actions import Action
from keras_netopt.surgery.growing.growth_schedule import GrowthSchedule
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


def check_limits(**limits: int | None) -> None:
    """Checks the largest sizes of the model, positive integers or `None`."""
    for name, value in limits.items():
        if value is not None:
            check_integer(value, name, minimum=1)


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


def explain_no_growth(schedule: GrowthSchedule) -> str:
    """Explains that no action was due before the end of a fit."""
    return (
        f"no action was applied: trigger={schedule.trigger!r} was not due "
        f"before this fit stopped or passed `end`={schedule.end!r}. Train "
        "longer, choose a trigger that acts earlier (such as a smaller "
        "`patience`), or grow at given points, as in `trigger={0.3: [0]}`."
    )


def explain_missing(names: Iterable[str], logs: Iterable[str]) -> str:
    """Explains that monitored names are missing in the logs."""
    return (
        f"{_in_backticks(names)} is not in the logs, so the trigger has no "
        f"effect; the logs hold {_in_backticks(sorted(logs))}. Pass "
        "`validation_data` to `fit`, or choose another `monitor`."
    )


def explain_substituted(names: Iterable[str]) -> str:
    """Explains that metrics of training replace those of validation."""
    return (
        f"{_in_backticks(names)} is not in the logs; the same metric of "
        "training is used instead. Pass `validation_data` to `fit`."
    )


def _in_backticks(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
