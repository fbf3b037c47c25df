"""Table of the cost of training steps of a supernet."""

import statistics
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import load

BACKENDS = ("tensorflow", "jax", "torch")
BASE = "largest network"
GOAL = 1.1
TITLES = {
    BASE: "the largest network alone",
    "largest network again": "the same again (noise)",
    "fixed to the largest": "supernet, fixed to the largest network",
    "single path": "supernet, one network sampled per step",
    "mixture": "supernet, weighted sum of all candidates",
}


def table() -> str:
    """Times and memory relative to the largest network, by backend."""
    body: dict[str, list[str]] = {arm: [] for arm in TITLES}
    verdicts = []
    size: dict[str, Any] = {}
    for backend in BACKENDS:
        rows = load(f"nas_step_overhead_{backend}")["rows"]
        rounds: dict[int, dict[str, float]] = defaultdict(dict)
        for row in rows:
            if row["what"] == "time":
                rounds[row["round"]][row["arm"]] = row["cpu"]
        memory = {r["arm"]: r["MB"] for r in rows if r["what"] == "memory"}
        size = next(row for row in rows if row["what"] == "size")
        for arm in TITLES:
            ratios = [one[arm] / one[BASE] for one in rounds.values()]
            low, middle, high = statistics.quantiles(ratios, n=4)
            time = f"{middle:.2f} ({low:.2f}-{high:.2f})"
            held = f"{memory[arm]:.0f}" if arm in memory else "-"
            body[arm] += ["1" if arm == BASE else time, held]
            if arm in ("fixed to the largest", "single path"):
                met = "met" if middle <= GOAL else "**not met**"
                verdicts.append(f"{backend}, {arm}: {middle:.2f}, {met}")
    head = ["step"]
    for backend in BACKENDS:
        head += [f"{backend}: CPU time", "MB"]
    lines = markdown(
        head, [[TITLES[arm], *cells] for arm, cells in body.items()]
    )
    return (
        f"{lines}\n\nGoal: at most {GOAL} of the largest network's step. "
        f"{'; '.join(verdicts)}. The largest network has {size['params']:,} "
        f"weights and {size['macs']:,} MACs, the supernet "
        f"{size['supernet params']:,} weights. Medians and quartiles over "
        "rounds; MB is the growth of the peak memory of a process, "
        "compilation included."
    )


TABLES: dict[str, Callable[[], str]] = {"nas step overhead": table}
