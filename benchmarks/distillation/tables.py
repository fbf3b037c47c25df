"""Markdown tables of the distillation benchmark, made from its JSON alone."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.distillation import accuracy, arms, models
from benchmarks.pruning.tables import markdown
from benchmarks.records import load

Rows = list[dict[str, Any]]


def accuracy_table() -> str:
    """Returns accuracy and difference to labels alone, by student."""
    rows = load(accuracy.NAME)["rows"]
    body = []
    for kind, setting in models.SETTINGS.items():
        base = _by_seed(rows, kind, "labels")
        for name, arm in arms.ARMS.items():
            own = _by_seed(rows, kind, name)
            if own:
                body.append([setting.title, arm.title, *_cells(own, base)])
    count = len({row["seed"] for row in rows})
    head = [
        "student",
        "arm",
        "accuracy",
        "against labels alone, points",
        "CPU seconds",
    ]
    return "\n\n".join(
        [
            markdown(head, body),
            f"Mean of {count} seeds (lowest-highest), test accuracy after the "
            "last epoch; difference paired by seed.",
        ]
    )


def _cells(own: dict[int, Any], base: dict[int, Any]) -> list[str]:
    values = [row["accuracy"] for row in own.values()]
    gaps = [
        100 * (row["accuracy"] - base[seed]["accuracy"])
        for seed, row in own.items()
        if seed in base
    ]
    is_base = not any(gaps)
    return [
        f"{statistics.mean(values):.4f} ({min(values):.4f}-{max(values):.4f})",
        "-"
        if is_base
        else f"{statistics.mean(gaps):+.2f} ({min(gaps):+.2f} to "
        f"{max(gaps):+.2f})",
        f"{statistics.median(r['cpu_seconds'] for r in own.values()):.0f}",
    ]


def _by_seed(rows: Rows, kind: str, arm: str) -> dict[int, Any]:
    return {
        row["seed"]: row
        for row in rows
        if row["setting"] == kind and row["arm"] == arm
    }


TABLES: dict[str, Callable[[], str]] = {
    "distillation accuracy": accuracy_table,
}
