"""Table of the architectures of a policy, from its JSON."""

import statistics
from collections.abc import Callable

from benchmarks.progressive import policy_architecture
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load


def table() -> str:
    """Returns episode returns by arm, with equal environment steps."""
    name = policy_architecture.NAME
    if not (RESULTS / f"{name}.json").exists():
        return "Not measured yet."
    rows = load(name)["rows"]
    body = []
    for arm in policy_architecture.ARMS:
        own = [row for row in rows if row["arm"] == arm]
        if not own:
            continue
        cells = [arm]
        for key in ("area", "last", "greedy"):
            values = [row[key] for row in own]
            cells.append(
                f"{statistics.mean(values):.0f} "
                f"({min(values):.0f}-{max(values):.0f})"
            )
        sizes = sorted({row["parameters"] for row in own})
        text = ", ".join(f"{size:,}" for size in sizes)
        body.append([*cells, text, str(len(own))])
    head = [
        *("policy", "mean return of all epochs", "of the last 4 epochs"),
        *("greedy, 10 episodes", "parameters at the end", "seeds"),
    ]
    return markdown(head, body)


TABLES: dict[str, Callable[[], str]] = {"policy architecture": table}
