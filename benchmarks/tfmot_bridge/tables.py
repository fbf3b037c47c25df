"""Markdown tables of the tfmot benchmark, made from its JSON alone."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import load
from benchmarks.tfmot_bridge import accuracy, arms

Rows = dict[int, dict[str, Any]]


def accuracy_table() -> str:
    """Returns accuracy, zeros, values and the file of each arm."""
    body = []
    count = len(_by_seed("float"))
    for name, arm in arms.ARMS.items():
        own, control = _by_seed(name), _by_seed(arm.control)
        fewer = "" if len(own) == count else f" ({len(own)} seed)"
        values = [row["accuracy"] for row in own.values()]
        files = [row["file"] for row in own.values()]
        gap = _gap(own, control)
        body.append(
            [
                arm.title + fewer,
                f"{statistics.mean(values):.4f} "
                f"({min(values):.4f}-{max(values):.4f})",
                "-" if name == arm.control else f"{gap:+.2f}",
                f"{_mean(own, 'zeros'):.1%}",
                f"{max(row['lost_zeros'] for row in own.values()):,}",
                _largest(own, "values"),
                f"{statistics.mean(f['accuracy'] for f in files):.4f}",
                f"{statistics.mean(f['same_class'] for f in files):.2%}",
                f"{statistics.mean(f['raw'] for f in files):,.0f}",
                f"{statistics.mean(f['gzip'] for f in files):,.0f}",
                f"{_mean(own, 'cpu_seconds'):.0f}",
            ]
        )
    head = [
        "arm",
        "accuracy",
        "against float, points",
        "zeros",
        "zeros lost",
        "values per kernel",
        "accuracy of the int8 file",
        "same class",
        "bytes",
        "bytes, gzip",
        "CPU s",
    ]
    return "\n\n".join(
        [
            markdown(head, body),
            f"Mean of {count} seeds unless noted (lowest-highest); paired by "
            "seed. Zeros lost and values per kernel: the largest of all "
            "seeds; values of kernels that tfmot clusters.",
        ]
    )


def goal_table() -> str:
    """Returns what was aimed at, what came out, and whether it was met."""
    lost = [
        row["lost_zeros"]
        for name in ("pqat", "pcqat")
        for row in _by_seed(name).values()
    ]
    trained = [
        row
        for name in ("qat", "qat-start", "cqat", "qat-80", "pqat", "pcqat")
        for row in _by_seed(name).values()
    ]
    qat = _by_seed("qat").values()
    gap = max(abs(row["file"]["accuracy"] - row["accuracy"]) for row in qat)
    same = min(row["file"]["same_class"] for row in qat)
    values = max(
        row["values"]
        for name in ("cqat", "pcqat")
        for row in _by_seed(name).values()
    )
    goals = [
        (
            "PQAT and PCQAT keep every zero",
            f"{max(lost):,} lost",
            not any(lost),
        ),
        (
            "int8 file within .5 points of QAT in tf_keras",
            f"{100 * gap:.2f} points",
            gap <= 0.005,
        ),
        (
            "same class in the file for 99 % of the images",
            f"{same:.2%}",
            same >= 0.99,
        ),
        (
            "CQAT and PCQAT keep 16 values per kernel",
            f"{values:,}",
            values <= arms.CLUSTERS,
        ),
        (
            "weights equal bit for bit in Keras 3",
            f"{sum(row['back_equal'] for row in trained)} of {len(trained)}",
            all(row["back_equal"] for row in trained),
        ),
    ]
    body = [
        [title, found, "yes" if met else "**no**"]
        for title, found, met in goals
    ]
    return markdown(["goal, every seed", "measured", "met"], body)


def _by_seed(arm: str) -> Rows:
    rows = load(accuracy.NAME)["rows"]
    return {row["seed"]: row for row in rows if row["arm"] == arm}


def _gap(own: Rows, control: Rows) -> float:
    return 100 * statistics.mean(
        row["accuracy"] - control[seed]["accuracy"] for seed, row in own.items()
    )


def _mean(rows: Rows, key: str) -> float:
    return statistics.mean(row[key] for row in rows.values())


def _largest(rows: Rows, key: str) -> str:
    values = [row[key] for row in rows.values() if key in row]
    return f"{max(values):,}" if values else "-"


TABLES: dict[str, Callable[[], str]] = {
    "tfmot accuracy": accuracy_table,
    "tfmot goals": goal_table,
}
