"""Table of the skip gate benchmark, from its JSON."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.adaptive_depth import skip_gate
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NOT_YET = "Not measured yet."
SKIPPED, POINTS = 0.3, 0.5
TITLES = {
    "plain": "no gates",
    "half": "no gates, half of the blocks",
    "long plain": "no gates, 3 times as long",
    "long 0.65": "`target_rate=0.65`, 3 times as long",
    "long dial": "the same, `ParameterScheduler` increases `cost_weight` over "
    "the first half",
    "long after": "the same, a first third without gates",
    "long later": "`target_rate=0.35`, in the last half of the blocks only",
    "long both": "`target_rate=0.38` there, a first third without gates",
    "long fewer": "no gates, 4 of the 6 blocks, 3 times as long",
    "long half": "no gates, half of the blocks, 3 times as long",
}


def table() -> str:
    """Returns accuracy and MACs by target rate."""
    if not (RESULTS / f"{skip_gate.NAME}.json").exists():
        return NOT_YET
    rows = {
        (row["arm"], row["seed"]): row for row in load(skip_gate.NAME)["rows"]
    }
    body, enough = [], []
    for arm in skip_gate.ARMS:
        base = "long plain" if arm.startswith("long") else "plain"
        pairs = [
            (row, rows[base, seed])
            for (name, seed), row in rows.items()
            if name == arm and (base, seed) in rows
        ]
        if not pairs:
            continue
        accuracies = [row["accuracy"] for row, _ in pairs]
        gap = 100 * statistics.mean(
            row["accuracy"] - other["accuracy"] for row, other in pairs
        )
        macs = statistics.mean(
            row["macs"] / other["macs"] for row, other in pairs
        )
        share = statistics.mean(_skipped(row) for row, _ in pairs)
        if share >= SKIPPED:
            enough.append(gap)
        body.append(
            [
                TITLES.get(arm, f"`target_rate={arm}`"),
                f"{statistics.mean(accuracies):.4f} "
                f"({min(accuracies):.4f}-{max(accuracies):.4f})",
                "-" if arm == base else f"{gap:+.2f}",
                f"{share:.0%}" if share else "-",
                f"{macs:.2f}",
                str(len(pairs)),
            ]
        )
    head = [
        "arm",
        "test accuracy",
        "minus no gates, points",
        "blocks skipped",
        "MACs per sample / no gates",
        "seeds",
    ]
    return f"{markdown(head, body)}\n\n{_verdict(enough)}"


def _skipped(row: dict[str, Any]) -> float:
    """The mean share of blocks that a test image skips."""
    skips = [1 - share for share in row["shares"]]
    return sum(skips) / skip_gate.ARMS[row["arm"]].blocks


def _verdict(gaps: list[float]) -> str:
    best = f"{max(gaps):+.2f} points at best" if gaps else "not measured"
    verdict = "met" if gaps and max(gaps) >= -POINTS else "**not met**"
    return (
        f"Goal: at least {SKIPPED:.0%} of the blocks skipped, at most {POINTS} "
        f"points lost: {best}, {verdict}. Means over seeds, range in "
        "brackets. The MACs include the gates; every arm is compared with no "
        "gates at the same training length."
    )


TABLES: dict[str, Callable[[], str]] = {"skip gate": table}
