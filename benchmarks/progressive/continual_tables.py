"""Markdown tables of the continual benchmark, made from its JSON alone."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.progressive import continual, continual_arms
from benchmarks.pruning.tables import markdown
from benchmarks.records import load

HEAD = [
    "arm",
    "mean accuracy at the end",
    "against fine-tuning in turn, points",
    "accuracy when learned",
    "backward transfer, points",
    "parameters",
    "seeds",
]


def make_table(order: str) -> str:
    """Returns accuracy, forgetting and size of each arm."""
    rows = [
        row for row in load(continual.NAME)["rows"] if row["order"] == order
    ]
    base = {r["seed"]: r["accuracy"] for r in rows if r["arm"] == "naive"}
    body = []
    for name, (title, _) in continual_arms.ARMS.items():
        own = [row for row in rows if row["arm"] == name]
        if own:
            body.append([title, *_cells(own, base)])
    return "\n\n".join(
        [
            markdown(HEAD, body),
            "Means over seeds (lowest-highest), test accuracy; differences "
            "paired by seed. Parameters are those after the last task.",
        ]
    )


def _cells(own: list[dict[str, Any]], base: dict[int, float]) -> list[str]:
    gaps = [100 * (r["accuracy"] - base[r["seed"]]) for r in own]
    gap = "-"
    if any(gaps):
        gap = (
            f"{statistics.mean(gaps):+.1f} ({min(gaps):+.1f} to "
            f"{max(gaps):+.1f})"
        )
    values = [r["accuracy"] for r in own]
    return [
        f"{statistics.mean(values):.4f} ({min(values):.4f}-{max(values):.4f})",
        gap,
        f"{statistics.mean(r['learned'] for r in own):.4f}",
        f"{100 * statistics.mean(r['backward_transfer'] for r in own):+.1f}",
        f"{own[0]['parameters']:,}",
        str(len(own)),
    ]


TABLES: dict[str, Callable[[], str]] = {
    "continual permuted": lambda: make_table("permuted"),
    "continual splits": lambda: make_table("splits"),
}
