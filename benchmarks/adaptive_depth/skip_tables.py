"""Tables of skip gates, from their JSON alone."""

import statistics
from collections.abc import Callable

from benchmarks.adaptive_depth import skip_gate
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NOT_YET = "Not measured yet."
SKIPPED, POINTS = 0.3, 0.5
TITLES = {
    "plain": "no gates",
    "half": "no gates, half of the blocks",
}


def table() -> str:
    """Returns accuracy and compute by the target of the gates."""
    if not (RESULTS / f"{skip_gate.NAME}.json").exists():
        return NOT_YET
    rows = load(skip_gate.NAME)["rows"]
    base = {row["seed"]: row for row in rows if row["arm"] == "plain"}
    body, best = [], None
    for arm in skip_gate.ARMS:
        own = [r for r in rows if r["arm"] == arm and r["seed"] in base]
        if not own:
            continue
        accuracies = [row["accuracy"] for row in own]
        gaps = [
            100 * (row["accuracy"] - base[row["seed"]]["accuracy"])
            for row in own
        ]
        macs = statistics.mean(
            row["macs"] / base[row["seed"]]["macs"] for row in own
        )
        skipped = "-"
        if own[0]["shares"]:
            share = 1 - statistics.mean(
                statistics.mean(row["shares"]) for row in own
            )
            skipped = f"{share:.0%}"
            if share >= SKIPPED:
                best = max(best or -100.0, statistics.mean(gaps))
        body.append(
            [
                TITLES.get(arm, f"`target={arm}`"),
                f"{statistics.mean(accuracies):.4f} "
                f"({min(accuracies):.4f}-{max(accuracies):.4f})",
                "-" if arm == "plain" else f"{statistics.mean(gaps):+.2f}",
                skipped,
                f"{macs:.2f}",
            ]
        )
    head = [
        "arm",
        "test accuracy",
        "minus no gates, points",
        "blocks skipped",
        "MACs of a sample / no gates",
    ]
    told = "not measured" if best is None else f"{best:+.2f} points"
    verdict = "met" if best is not None and best >= -POINTS else "**not met**"
    note = (
        f"Goal: at least {SKIPPED:.0%} of the blocks skipped at a loss of at "
        f"most {POINTS} points: {told}, {verdict}. Means of "
        f"{len(base)} seeds, gates counted in the MACs."
    )
    return f"{markdown(head, body)}\n\n{note}"


TABLES: dict[str, Callable[[], str]] = {"skip gate": table}
