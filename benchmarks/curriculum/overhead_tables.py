"""Tables of the time per epoch, made from their JSON files."""

import statistics
from typing import Any

from benchmarks.curriculum import overhead
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

Rows = list[dict[str, Any]]
NOT_YET = "Not measured yet."
BACKENDS = ("jax", "tensorflow", "torch")


def table() -> str:
    """Returns time ratios to arrays, and the time of scoring."""
    body, notes = [], []
    for backend in BACKENDS:
        rows = _rows(backend)
        for name in dict.fromkeys(row["arm"] for row in rows):
            if name not in ("plain", "scoring"):
                cells = [_ratio(rows, name, clock) for clock in ("wall", "cpu")]
                body.append([backend, name, *cells])
        scoring = [r["wall"] for r in rows if r["arm"] == "scoring"]
        if scoring:
            epoch = [r["wall"] for r in rows if r["arm"] == "plain"]
            share = statistics.median(scoring) / statistics.median(epoch)
            notes.append(
                f"Scoring all {overhead.SAMPLES:,} samples by the model on "
                f"{backend}: {statistics.median(scoring):.2f} s, "
                f"{share:.0%} of an epoch."
            )
    if not body:
        return NOT_YET
    head = ["backend", "data", "wall time / arrays", "CPU time / arrays"]
    return "\n\n".join([markdown(head, body), *notes])


def goals() -> list[list[str]]:
    """Returns the rows of the table of goals."""
    found = []
    for backend in BACKENDS:
        rows = _rows(backend)
        if rows:
            middle, _, _ = _quartiles(rows, "easy_first", "wall")
            found.append(
                [
                    f"data set costs at most 3 % on {backend}",
                    f"{middle - 1:+.1%}",
                    "yes" if middle <= overhead.LIMIT else "**no**",
                ]
            )
    return found


def _ratio(rows: Rows, name: str, clock: str) -> str:
    middle, low, high = _quartiles(rows, name, clock)
    return f"{middle:.3f} ({low:.2f}-{high:.2f})"


def _quartiles(rows: Rows, arm: str, clock: str) -> tuple[float, float, float]:
    times = {(r["arm"], r["round"]): r[clock] for r in rows if clock in r}
    rounds = sorted({r["round"] for r in rows if r["arm"] == arm})
    ratios = [times[arm, r] / times["plain", r] for r in rounds]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return middle, low, high


def _rows(backend: str) -> Rows:
    name = f"curriculum_overhead_{backend}"
    return load(name)["rows"] if (RESULTS / f"{name}.json").exists() else []
