"""Markdown tables of the channel pruning benchmark, made from its JSON."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.channel_pruning import accuracy, arms
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

Rows = list[dict[str, Any]]
GOAL = 0.5  # Points of accuracy that a quarter of the MACs may cost.


def accuracy_table() -> str:
    """Returns accuracy and cost of every arm, medians over the seeds."""
    rows = _rows()
    if not rows:
        return "Not measured yet."
    dense = _median(rows, "dense", "macs")
    body = []
    for name, arm in arms.ARMS.items():
        own = [row for row in rows if row["arm"] == name]
        if not own:
            continue
        body.append(
            [
                arm.title,
                str(len(own)),
                _spread([row["accuracy"] for row in own]),
                _after(own),
                f"{statistics.median(r['macs'] for r in own):,.0f} "
                f"({dense / statistics.median(r['macs'] for r in own):.2f}x)",
                f"{statistics.median(r['params'] for r in own):,.0f}",
                _ratio(own),
            ]
        )
    head = [
        "arm",
        "seeds",
        "test accuracy",
        "after the last cut",
        "MACs",
        "parameters",
        "LiteRT latency, dense / this",
    ]
    note = (
        'Median of the seeds (lowest-highest). "After the last cut" is the '
        "accuracy before any training with the smaller shape."
    )
    return f"{markdown(head, body)}\n\n{note}"


def goal_table() -> str:
    """Returns what was aimed at, what came out and by how much it differs."""
    rows = _rows()
    if not rows:
        return "Not measured yet."
    body = [
        _goal(rows, "dense", -GOAL / 100, "at most 0.5 points below dense"),
        _goal(
            rows,
            "dense",
            -GOAL / 100,
            'the same with `score="taylor"`',
            arm="taylor",
        ),
        _goal(
            rows,
            "dense",
            -GOAL / 100,
            'the same with `score="bn_scale"`',
            arm="bn_scale",
        ),
        _goal(rows, "scratch", 0.0, "at least the same shape from scratch"),
        _goal(rows, "random", 0.0, "at least a random choice of channels"),
    ]
    head = ["goal at a quarter of the MACs", "seeds", "pruned",
            "compared with", "difference", "met"]  # fmt: skip
    return markdown(head, [line for line in body if line])


def environment_note() -> str:
    """Returns when, with what and on what the numbers were measured."""
    if not _rows():
        return "Not measured yet."
    run = load(accuracy.NAME)["runs"][-1]
    facts = run["environment"]
    return (
        f"- `{run['command']}`, {run['date'][:10]}: {facts['cores']} cores of "
        f"{facts['processor']}, Python {facts['python']}, keras "
        f"{facts['keras']}, tensorflow {facts['tensorflow']}, ai-edge-litert "
        f"{facts['ai-edge-litert']}."
    )


def _rows() -> Rows:
    if not (RESULTS / f"{accuracy.NAME}.json").exists():
        return []
    return load(accuracy.NAME)["rows"]


def _goal(
    rows: Rows, other: str, margin: float, title: str, arm: str = "magnitude"
) -> list[str]:
    if not {arm, other} <= {row["arm"] for row in rows}:
        return []
    seeds = _seeds(rows, arm) & _seeds(rows, other)
    rows = [row for row in rows if row["seed"] in seeds]
    ours = _median(rows, arm, "accuracy")
    theirs = _median(rows, other, "accuracy")
    met = "yes" if ours >= theirs + margin - 1e-9 else "**no**"
    gap = f"{(ours - theirs) * 100:+.2f} points"
    return [title, str(len(seeds)), f"{ours:.4f}", f"{theirs:.4f}", gap, met]


def _seeds(rows: Rows, arm: str) -> set[int]:
    return {row["seed"] for row in rows if row["arm"] == arm}


def _median(rows: Rows, arm: str, field: str) -> float:
    values = [row[field] for row in rows if row["arm"] == arm]
    return statistics.median(values) if values else float("nan")


def _spread(values: list[float]) -> str:
    middle = statistics.median(values)
    return f"{middle:.4f} ({min(values):.4f}-{max(values):.4f})"


def _after(rows: Rows) -> str:
    values = [row["after_cut"][-1] for row in rows if row.get("after_cut")]
    return f"{statistics.median(values):.4f}" if values else "-"


def _ratio(rows: Rows) -> str:
    ratios = [row["latency_dense_ms"] / row["latency_ms"] for row in rows]
    return f"{statistics.median(ratios):.2f}x"


def planning_table() -> str:
    """Returns time and memory of choosing a cut, medians over the rounds."""
    rows = load("planning")["rows"]
    body = []
    for row in rows:
        (other,) = (
            one["cpu_seconds"]
            for one in rows
            if one["network"] == row["network"] and one["arm"] != row["arm"]
        )
        seconds = row["cpu_seconds"]
        ratio = statistics.median(seconds) / statistics.median(other)
        body.append(
            [
                row["network"],
                row["arm"],
                f"{statistics.median(seconds):.2f} "
                f"({min(seconds):.2f} to {max(seconds):.2f})",
                f"{ratio:.2f}",
                f"{row['extra_mb']:.0f} of {row['model_mb']:.0f}",
            ]
        )
    head = ["network", "arm", "CPU s", "ratio", "extra MB of model MB"]
    return markdown(head, body)


TABLES: dict[str, Callable[[], str]] = {
    "channel pruning accuracy": accuracy_table,
    "channel pruning goals": goal_table,
    "channel pruning environment": environment_note,
    "planning": planning_table,
}
