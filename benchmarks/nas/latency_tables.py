"""The table of the search under a latency limit, from its JSON alone."""

import statistics
from collections.abc import Callable

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NAME = "nas_latency"
ARMS = {
    "base": "the base network",
    "found": "`RegularizedEvolution` with `MaxLatency(ratio=0.5, ...)`",
    "stride": "the base with a stride of 2 in its first layer",
    "random": "the first random network that keeps the limit",
}


def table() -> str:
    """Returns accuracy and latency of each network by seed."""
    if not (RESULTS / f"{NAME}.json").exists():
        return "Not measured yet."
    rows = load(NAME)["rows"]
    search = next(row for row in rows if row["part"] == "search")
    latency = next(row for row in rows if row["part"] == "latency")
    by_arm = {
        arm: [r["accuracy"] for r in rows if r.get("arm") == arm]
        for arm in ARMS
    }
    body = []
    for arm, title in ARMS.items():
        pairs = zip(by_arm[arm], by_arm["base"], strict=False)
        gaps = [100 * (own - base) for own, base in pairs]
        macs = search["macs"][arm] / search["macs"]["base"]
        body.append(
            [
                title,
                " / ".join(f"{100 * one:.1f}" for one in by_arm[arm]),
                f"{statistics.fmean(gaps):+.2f}",
                " / ".join(f"{one:+.1f}" for one in gaps),
                " / ".join(f"{one:.3f}" for one in latency["ratio"][arm]),
                f"{macs:.2f}",
            ]
        )
    head = ["network", "test accuracy % by seed", "mean gap, points"]
    head += ["gap by seed", "latency over the base's, three loops", "MACs"]
    note = f"Candidates above the limit: {search['rejected']}."
    return f"{markdown(head, body)}\n\n{note}"


TABLES: dict[str, Callable[[], str]] = {"nas latency": table}
