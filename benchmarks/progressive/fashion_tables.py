"""Markdown tables of related tasks, class splits and killed chains."""

from typing import Any

import numpy as np

from benchmarks.progressive import fashion, splits
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load
from keras_netopt.paired_difference import format_spread, paired_difference

NOT_YET = "Not measured yet."
ARMS = {
    "scratch": "single column from scratch",
    "progressive": "progressive",
    "random_column": "random frozen column (control)",
    "equal_width": "from scratch, as many parameters (control)",
    "head_only": "head only",
    "fine_tuning": "full fine-tuning",
}
WAYS = {"default": "", "alpha 1": ", `alpha_init=1`", "linear": ", linear"}


def related_table() -> str:
    """Returns the scores of related tasks with few labels."""
    rows = _rows(fashion.NAME)
    if not rows:
        return NOT_YET
    parts = []
    for column in fashion.COLUMNS:
        for task in fashion.TASKS:
            own = [
                row
                for row in rows
                if row["column"] == column and row["task"] == task
            ]
            if own:
                parts.append(_related(f"{column} column, {task}", own))
    return "\n\n".join(parts)


def splits_table() -> str:
    """Returns transfer, accuracies and costs of five class splits."""
    rows = _rows(splits.NAME)
    if not rows:
        return NOT_YET
    body = []
    for number, task in enumerate(splits.TASKS):
        means = {
            arm: [np.mean(row["curves"][arm][number]) for row in rows]
            for arm in ("scratch", "progressive")
        }
        column, laterals, head, macs = rows[0]["costs"][number]
        ratios = np.divide(means["progressive"], means["scratch"])
        body.append(
            [
                task,
                format_spread(means["scratch"]),
                format_spread(ratios),
                *(
                    format_spread(
                        [row["after"][place][arm][number] for row in rows]
                    )
                    for arm in ("progressive", "fine_tuning")
                    for place in (number, -1)
                ),
                f"{column + head:,} + {laterals:,}",
                f"{macs:,}",
            ]
        )
    head_line = [
        f"classes, {len(rows)} seeds",
        "mean of the scratch curve",
        "ratio",
        "progressive, when learned",
        "progressive, at the end",
        "fine-tuning, when learned",
        "fine-tuning, at the end",
        "parameters: own + laterals",
        "MACs",
    ]
    equal = sum(row["outputs_bit_equal"] for row in rows)
    note = (
        f"Outputs bit-equal after all tasks: {equal} of "
        f"{len(rows) * len(splits.TASKS)}; `check_forgetting` passed in "
        f"{sum(row['check_passed'] for row in rows)} of {len(rows)} networks."
    )
    return f"{markdown(head_line, body)}\n\n{note}"


def resume_table() -> str:
    """Returns what a killed chain has in common with a whole one."""
    body = []
    for backend in ("jax", "tensorflow", "torch"):
        for row in _rows(f"progressive_resume_{backend}"):
            kills = ", ".join(f"{k} {v}" for k, v in row["kills"].items())
            gaps = row["largest_difference"].values()
            body.append(
                [
                    backend,
                    f"{row['dropout']:g}",
                    kills,
                    f"{sum(row['equal'].values())} of {len(row['equal'])}",
                    f"{max(gaps):.2g}",
                    f"{'yes' if row['first_task_equal'] else 'no'}, "
                    f"{row['first_task_checks']} compared",
                ]
            )
    if not body:
        return NOT_YET
    head = [
        "backend",
        "dropout",
        "kills",
        "tasks bit-equal",
        "largest difference",
        "first task bit-equal to the whole chain at its starts",
    ]
    return markdown(head, body)


def _related(title: str, rows: list[dict[str, Any]]) -> str:
    body = []
    for way, text in WAYS.items():
        own = [row for row in rows if row["way"] == way]
        for arm, name in ARMS.items():
            if not own or arm not in fashion.WAYS[way][1]:
                continue
            curves = np.array([row["curves"][arm] for row in own])
            base = np.array([row["curves"]["scratch"] for row in own])
            # Ratios of the curves, not the rounded ones.
            scores = curves.mean(axis=1) / base.mean(axis=1)
            gap = "-"
            if arm == "progressive":
                random = np.array([r["curves"]["random_column"] for r in own])
                control = random.mean(axis=1) / base.mean(axis=1)
                gap = str(paired_difference(arm, scores, control))
            body.append(
                [
                    f"{name}{text}",
                    f"{own[0]['parameters'][arm]:,}",
                    format_spread(curves.mean(axis=1)),
                    format_spread(curves[:, -1]),
                    "1" if arm == "scratch" else format_spread(scores),
                    gap,
                ]
            )
    seeds = len({row["seed"] for row in rows})
    head = [
        f"{title}, {seeds} seeds",
        "parameters",
        "mean accuracy",
        "last epoch",
        "AUC ratio",
        "ratio minus random column [95 %]",
    ]
    return markdown(head, body)


def _rows(name: str) -> list[dict[str, Any]]:
    if not (RESULTS / f"{name}.json").exists():
        return []
    found: list[dict[str, Any]] = load(name)["rows"]
    return found


TABLES = {
    "progressive related": related_table,
    "progressive splits": splits_table,
    "progressive resume": resume_table,
}
