"""Markdown table of the benchmark of fine-tuning, from its JSON alone."""

import statistics
from typing import Any

from benchmarks.progressive import unfreezing as accuracy
from benchmarks.progressive import unfreezing_arms as arms
from benchmarks.pruning.tables import markdown
from benchmarks.records import load

Rows = list[dict[str, Any]]


def accuracy_table() -> str:
    """Returns accuracy and difference to plain fine-tuning, by task."""
    rows = _complete(load(accuracy.NAME)["rows"])
    body = []
    for name, task in arms.TASKS.items():
        if not any(row["task"] == name for row in rows):
            continue
        base = {rate: _by_seed(rows, name, "full", rate) for rate in arms.RATES}
        for arm, title in arms.ARMS.items():
            cells = []
            for rate in arms.RATES:
                own = _by_seed(rows, name, arm, rate)
                cells += _cells(own, base[rate])
            share = _time(rows, name, arm) / _time(rows, name, "full")
            body.append([task.title, title, *cells, f"{share:.2f}"])
    count = len({row["seed"] for row in rows})
    head = ["task", "what is trained"]
    for rate in arms.RATES:
        head += [f"accuracy at {rate:g}", "against plain, points"]
    head.append("CPU time of `fit`")
    return "\n\n".join(
        [
            markdown(head, body),
            f"Mean of {count} seeds (lowest-highest), test accuracy after the "
            "last step at two learning rates; difference paired by seed. CPU "
            "time: median over all runs, as a share of plain `fit`.",
        ]
    )


def _complete(rows: Rows) -> Rows:
    """Keeps the seeds for which every arm was measured."""
    wanted = len(arms.ARMS) * len(arms.RATES)
    runs = [(row["task"], row["seed"]) for row in rows]
    return [
        row for row in rows if runs.count((row["task"], row["seed"])) == wanted
    ]


def _time(rows: Rows, task: str, arm: str) -> float:
    return statistics.median(
        row["cpu_seconds"]
        for row in rows
        if (row["task"], row["arm"]) == (task, arm)
    )


def _by_seed(rows: Rows, task: str, arm: str, rate: float) -> dict[int, float]:
    return {
        row["seed"]: row["accuracy"]
        for row in rows
        if (row["task"], row["arm"], row["rate"]) == (task, arm, rate)
    }


def _cells(own: dict[int, float], base: dict[int, float]) -> list[str]:
    values = list(own.values())
    mean = statistics.mean(values)
    shown = f"{mean:.4f} ({min(values):.4f}-{max(values):.4f})"
    if own == base:
        return [shown, "-"]
    gaps = [100 * (own[seed] - base[seed]) for seed in own]
    return [
        shown,
        f"{statistics.mean(gaps):+.2f} ({min(gaps):+.2f} to {max(gaps):+.2f})",
    ]


TABLES = {"fine-tuning accuracy": accuracy_table}
