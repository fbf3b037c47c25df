"""Tables of warm starts and weight normalization, from their JSON."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.progressive import warm_start, weight_normalization
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NOT_YET = "Not measured yet."
Rows = dict[tuple[str, int], dict[str, Any]]


def warm_start_table() -> str:
    """Returns accuracies after training on all of the data."""
    rows = _rows(warm_start.NAME)
    body = []
    for task in warm_start.TASKS:
        for arm in warm_start.ARMS:
            own = _arm(rows, f"{task}: {arm}")
            gaps = _gaps(rows, f"{task}: {arm}", f"{task}: cold")
            if not own:
                continue
            tenth = [row["curve"][9] for row in own]
            learned = [row["train"] for row in own]
            body.append(
                [
                    task,
                    arm,
                    _spread([row["accuracy"] for row in own]),
                    "-" if arm == "cold" else _points(gaps),
                    f"{statistics.mean(tenth):.4f}",
                    f"{statistics.mean(learned):.3f}",
                    str(len(own)),
                ]
            )
    head = [
        *("training data", "start", "test accuracy", "minus cold, points"),
        *("after 10 epochs", "training accuracy", "seeds"),
    ]
    return _or_not_yet(head, body)


def weight_normalization_table() -> str:
    """Returns convergence and step cost by normalization."""
    rows = _rows(weight_normalization.NAME)
    body = []
    for batch in weight_normalization.BATCHES:
        for arm in weight_normalization.ARMS:
            name, base = f"{batch}: {arm}", f"{batch}: plain"
            own = _arm(rows, name)
            if not own:
                continue
            costs = [
                row["cpu"] / rows[base, seed]["cpu"]
                for (one, seed), row in rows.items()
                if one == name and (base, seed) in rows
            ]
            body.append(
                [
                    str(batch),
                    {"plain": "none", "batch": "batch"}.get(arm, arm),
                    f"{statistics.mean(row['first'] for row in own):.4f}",
                    _spread([row["accuracy"] for row in own]),
                    "-" if arm == "plain" else _points(_gaps(rows, name, base)),
                    f"{statistics.mean(row['loss'][-1] for row in own):.3f}",
                    f"{statistics.median(costs):.2f}",
                    str(len(own)),
                ]
            )
    head = [
        *("batch", "normalization", "accuracy after 1 epoch"),
        *("after 10 epochs", "minus none, points", "training loss"),
        *("CPU time per step / none", "seeds"),
    ]
    return _or_not_yet(head, body)


def _rows(name: str) -> Rows:
    if not (RESULTS / f"{name}.json").exists():
        return {}
    return {(row["arm"], row["seed"]): row for row in load(name)["rows"]}


def _arm(rows: Rows, name: str) -> list[dict[str, Any]]:
    return [row for (one, _), row in rows.items() if one == name]


def _gaps(rows: Rows, name: str, base: str) -> list[float]:
    return [
        100 * (row["accuracy"] - rows[base, seed]["accuracy"])
        for (one, seed), row in rows.items()
        if one == name and (base, seed) in rows
    ]


def _points(gaps: Sequence[float]) -> str:
    mean = statistics.mean(gaps)
    return f"{mean:+.2f} ({min(gaps):+.2f} to {max(gaps):+.2f})"


def _spread(values: Sequence[float]) -> str:
    mean = statistics.mean(values)
    return f"{mean:.4f} ({min(values):.4f}-{max(values):.4f})"


def _or_not_yet(head: list[str], body: list[list[str]]) -> str:
    return markdown(head, body) if body else NOT_YET


TABLES: dict[str, Callable[[], str]] = {
    "warm start": warm_start_table,
    "weight normalization": weight_normalization_table,
}
