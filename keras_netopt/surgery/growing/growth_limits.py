"""Limits and costs of growth, found before it happens."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.points import RunLength
from keras_netopt.surgery.edits.edit_report import EditReport
from keras_netopt.surgery.edits.output_difference import (
    OutputDifference,
    Snapshot,
    check_preserved,
)
from keras_netopt.surgery.growing.actions import Action
from keras_netopt.surgery.growing.growth_schedule import GrowthSchedule
from keras_netopt.surgery.growing.rehearse_actions import rehearse_actions

# Rounding errors in half precision, as a share of the largest output.
ROUNDING = {"float16": 1e-2, "bfloat16": 5e-2}


def split_by_limits(
    model: keras.Model,
    actions: Sequence[Action],
    numbers: Sequence[int],
    limits: Mapping[str, int | None],
    new_units: str,
) -> tuple[list[int], list[tuple[int, str]]]:
    """Separates the actions that keep the model within its limits.

    `limits` are the largest "params" and "macs", or `None`. Each action is
    rehearsed after those that were kept. Returns the numbers of the
    kept actions, and the others with the reason.
    """
    kept: list[int] = []
    skipped: list[tuple[int, str]] = []
    if all(limit is None for limit in limits.values()):
        return list(numbers), skipped
    for number in numbers:
        tried = [actions[one] for one in (*kept, number)]
        report = rehearse_actions(model, tried, new_units=new_units)
        reason = None if report is None else _exceeded_limit(report, limits)
        if reason is None:
            kept.append(number)
        else:
            skipped.append((number, reason))
    return kept, skipped


def measure_change(
    before: Snapshot | None, model: keras.Model, tolerance: float
) -> OutputDifference | None:
    """Compares the outputs with those before a growth, if there are any.

    The tolerance is larger for models in half precision.
    """
    if before is None:
        return None
    dtypes = {layer.compute_dtype for layer in model.layers}
    least = max(ROUNDING.get(dtype or "", 0.0) for dtype in dtypes)
    return check_preserved(before, model, tolerance=max(tolerance, least))


def explain_change(
    found: OutputDifference | None, actions: Iterable[Action], new_units: str
) -> str | None:
    """Explains a change of the outputs by actions that preserve them."""
    by_design = all(action.preserves_outputs(new_units) for action in actions)
    if found is None or found.verdict == "exact" or not by_design:
        return None
    return (
        "growth has changed the outputs by more than `tolerance`"
        f"={found.tolerance}: {found}"
    )


def find_costs(
    schedule: GrowthSchedule, run: RunLength, optimizer: Any
) -> list[str]:
    """Returns warnings about compilations and the learning rate."""
    found = []
    growths = len(schedule.steps)
    compiles = keras.backend.backend() != "torch"
    if compiles and growths > max(3, run.epochs / 3):
        found.append(
            f"{growths} growths in {run.epochs} epochs: each compiles the "
            "training step again. Let several actions share one point."
        )
    last = max(schedule.steps, default=schedule.last or 0)
    if learning_rate_decays(optimizer, last):
        found.append(
            "the learning rate decays while the network grows. Keep it "
            "constant until the last growth, so that new units train at the "
            "full rate."
        )
    return found


def learning_rate_decays(optimizer: Any, last: int) -> bool:
    """Returns whether a learning rate schedule decreases before step `last`."""
    if optimizer is None:
        return False
    config = optimizer.get_config().get("learning_rate")
    if not isinstance(config, dict):
        return False
    schedule = keras.optimizers.schedules.deserialize(config)
    rates = [
        float(keras.ops.convert_to_numpy(schedule(step)))
        for step in np.linspace(0, last, 20).astype(int).tolist()
    ]
    return any(b < 0.99 * a for a, b in zip(rates, rates[1:], strict=False))


def _exceeded_limit(
    report: EditReport, limits: Mapping[str, int | None]
) -> str | None:
    for name, limit in limits.items():
        size = getattr(report.after, name)
        if limit is not None and size > limit:
            return (
                f"{size:,} {name} exceed {limit:,}. Raise `max_{name}` to "
                "allow it."
            )
    return None
