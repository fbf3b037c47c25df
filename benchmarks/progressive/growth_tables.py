"""Tables of the growth of parameters and of the time of steps."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.progressive.growth import ARMS
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

BACKENDS = ("jax", "tensorflow", "torch")
COST, POINTS = 0.35, 0.5
STEP, CACHED = 1.15, 0.5


def growth() -> str:
    """Cost and accuracy of the fifth task, by kind of column."""
    rows = load("progressive_growth")["rows"]
    full: dict[str, list[Any]] = {}
    for row in rows:
        if row["arm"] == "full column":
            full.setdefault(row["columns"], []).append(row)
    body = []
    for kind, others in full.items():
        accuracy = {row["seed"]: row["accuracies"][-1] for row in others}
        cost = others[0]["params"][-1]
        for arm in ARMS:
            found = [
                row
                for row in rows
                if (row["columns"], row["arm"]) == (kind, arm)
                and row["seed"] in accuracy
            ]
            if found:
                body.append([kind, arm, *_cells(found, accuracy, cost)])
    equal = sum(row["bit_equal"] for row in rows)
    head = ["columns", "arm", "seeds", "parameters of tasks 1 to 5"]
    head += ["fifth task / full column", "before pruning"]
    head += ["accuracy", "points to full column"]
    return (
        f"{markdown(head, body)}\n\nGoal: at most {COST} of a full column at "
        f"most {POINTS} points below it. Means over seeds, in brackets the "
        f"lowest and the highest; parameters of seed 0. All earlier tasks "
        f"were bit-equal at the end of {equal} of {len(rows)} runs."
    )


def _cells(
    rows: list[dict[str, Any]], full: dict[int, float], cost: int
) -> list[Any]:
    accuracies = [row["accuracies"][-1] for row in rows]
    points = [row["accuracies"][-1] - full[row["seed"]] for row in rows]
    ratio = statistics.mean(row["params"][-1] for row in rows) / cost
    before = statistics.mean(row["before_pruning"][-1] for row in rows) / cost
    return [
        str(len(rows)),
        ", ".join(f"{one:,}" for one in rows[0]["params"]),
        f"{ratio:.2f}",
        f"{before:.2f}",
        f"{statistics.mean(accuracies):.1f}",
        f"{statistics.mean(points):+.1f} ({min(points):+.1f}, "
        f"{max(points):+.1f})",
    ]


def steps() -> str:
    """Steps of the fifth column against one network of its size."""
    body = []
    for backend in BACKENDS:
        name = f"progressive_step_time_{backend}"
        if not (RESULTS / f"{name}.json").exists():
            continue
        for row in load(name)["rows"]:
            cells = [
                f"{row['ratios'][arm]:.2f} ({low:.2f}-{high:.2f})"
                for arm in ("fifth column", "cached features")
                for low, high in [row["quartiles"][arm]]
            ]
            counts = [row["params"]["fifth column"]]
            counts.append(row["trained"]["fifth column"])
            numbers = [f"{n:,}" for n in counts]
            name = [backend, row["columns"], str(row["batch"])]
            body.append([*name, *numbers, *cells])
    head = ["backend", "columns", "batch", "parameters", "of them trained"]
    head += ["fifth column", "with cached features"]
    return (
        f"{markdown(head, body)}\n\nGoal: at most {STEP} of the step of one "
        f"network with as many parameters, at most {CACHED} with cached "
        "features. Medians of paired ratios over 20 to 40 rounds; quartiles."
    )


TABLES: dict[str, Callable[[], str]] = {
    "progressive growth": growth,
    "progressive step time": steps,
}
