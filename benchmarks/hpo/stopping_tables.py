"""Tables of stopped searches, from their JSON alone."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NAME = "hpo_stopping"
NOT_YET = "Not measured yet."
SHARE, POINTS = 0.4, 0.3
SAME_POINTS = ("asha", "median")
TITLES = {
    "whole": "random points, all epochs",
    "asha": "the same points, `ASHA(eta=3)`",
    "median": "the same points, `MedianStopping(3)`",
    "tpe_asha": "`TPE` with `ASHA(eta=3)`",
}


def table() -> str:
    """Returns epochs and best accuracy by stopper."""
    if not (RESULTS / f"{NAME}.json").exists():
        return NOT_YET
    rows = load(NAME)["rows"]
    body, goals = [], []
    for arm, title in TITLES.items():
        own = [row for row in rows if row["arm"] == arm]
        if not own:
            continue
        best = [row["best"] for row in own]
        cells = [
            title,
            f"{statistics.mean(best):.4f} ({min(best):.4f}-{max(best):.4f})",
            f"{statistics.mean(sum(row['epochs']) for row in own):.0f}",
        ]
        pairs = shares(rows, arm)
        if arm == "whole" or not pairs:
            body.append([*cells, "-", "-"])
            continue
        share, lost = (
            statistics.mean(part) for part in zip(*pairs, strict=True)
        )
        each = ", ".join(f"{0.0 - gap:+.2f}" for _, gap in pairs)
        body.append([*cells, f"{share:.0%}", each])
        if arm in SAME_POINTS:
            met = share <= SHARE and lost <= POINTS
            goals.append(
                f"{title}: {share:.0%} of the epochs, {0.0 - lost:+.2f} "
                f"points, {'met' if met else '**not met**'}"
            )
    head = [
        "search",
        "best validation accuracy",
        "epochs",
        "of all",
        "points against all epochs, by seed",
    ]
    note = (
        f"Goal: at most {SHARE:.0%} of the epochs at a loss of at most "
        f"{POINTS} points. {'; '.join(goals)}."
    )
    return f"{markdown(head, body)}\n\n{note}"


def shares(rows: list[dict[str, Any]], arm: str) -> list[tuple[float, float]]:
    """Returns epochs as a share of all, and points lost, by seed."""
    whole = {row["seed"]: row for row in rows if row["arm"] == "whole"}
    return [
        (
            sum(row["epochs"]) / sum(base["epochs"]),
            100 * (base["best"] - row["best"]),
        )
        for row in rows
        if row["arm"] == arm and (base := whole.get(row["seed"]))
    ]


TABLES: dict[str, Callable[[], str]] = {"hpo stopping": table}
