"""The table of the search under a latency limit, from its JSON alone."""

import statistics
from collections.abc import Callable

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NAME = "nas_latency"
ARMS = {
    "base": "the base network",
    "found": "`RegularizedEvolution` with `MaxLatency(ratio=0.5, ...)`",
    "random": "the first random network that keeps the limit",
    "narrow": "the base, narrower until it keeps the limit",
}


def table() -> str:
    """Returns accuracy and latency of each network by seed."""
    if not (RESULTS / f"{NAME}.json").exists():
        return "Not measured yet."
    rows = load(NAME)["rows"]
    body = []
    for arm, title in ARMS.items():
        every = [100 * row["accuracy"][arm] for row in rows]
        gaps = [
            100 * (row["accuracy"][arm] - row["accuracy"]["base"])
            for row in rows
        ]
        ratios = [statistics.median(row["ratio"][arm]) for row in rows]
        macs = [row["macs"][arm] / row["macs"]["base"] for row in rows]
        body.append(
            [
                title,
                " / ".join(f"{one:.1f}" for one in every),
                f"{statistics.fmean(gaps):+.2f}",
                " / ".join(f"{one:+.1f}" for one in gaps),
                " / ".join(f"{one:.3f}" for one in ratios),
                " / ".join(f"{one:.2f}" for one in macs),
            ]
        )
    head = ["network", "test accuracy %", "mean gap, points", "gap by seed"]
    head += ["latency over the base's", "MACs over the base's"]
    rejected = " / ".join(str(row["rejected"]) for row in rows)
    return f"{markdown(head, body)}\n\nRejected candidates: {rejected}."


TABLES: dict[str, Callable[[], str]] = {"nas latency": table}
