"""Table of what our tuner adds, from its JSON alone."""

import statistics
from collections.abc import Callable

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NAME = "hpo_tuner_cost"
TRIAL = 5.0  # Seconds of the trial that the goal speaks of.
GOALS = {"ratio": 1.02, "growth": 1.05, "read": 2.0}


def table() -> str:
    """Returns the measured costs beside their goals."""
    if not (RESULTS / f"{NAME}.json").exists():
        return "Not measured yet."
    found = load(NAME)
    settings, rows = found["settings"], found["rows"]
    cpu = {
        arm: {r["round"]: r["cpu"] for r in rows if r.get("arm") == arm}
        for arm in ("kerastuner", "ours")
    }
    more = [cpu["ours"][k] - cpu["kerastuner"][k] for k in cpu["ours"]]
    middle = statistics.median(more)
    ratio = (TRIAL + middle) / TRIAL
    body = [
        [
            "CPU s a trial more than KerasTuner's, median of "
            f"{len(more)} rounds of {settings['trials']} trials",
            f"{middle:.3f} ({min(more):.3f} to {max(more):.3f}), of "
            f"{statistics.median(cpu['kerastuner'].values()):.3f}",
            "-",
        ],
        [
            f"so that a trial of {TRIAL:g} s takes",
            f"{ratio:.3f} x",
            _goal(ratio, GOALS["ratio"], " x"),
        ],
    ]
    for row in rows:
        if row.get("part") == "memory":
            seen = row["megabytes"]
            growth = seen[-1] / seen[0]
            body.append(
                [
                    f"MB after {settings['every']} to {settings['long']} "
                    "trials in one process",
                    ", ".join(f"{one:.0f}" for one in seen),
                    _goal(growth, GOALS["growth"], " x"),
                ]
            )
        if row.get("part") == "reading":
            body.append(
                [
                    "CPU s of reading 2,000 trials, and of ranking them",
                    f"{row['read']:.2f}, {row['ranked']:.2f}",
                    _goal(row["read"], GOALS["read"], " s"),
                ]
            )
    return markdown(["", "measured", "goal"], body)


def _goal(value: float, most: float, unit: str) -> str:
    return f"at most {most:g}{unit}: " + ("met" if value <= most else "**no**")


TABLES: dict[str, Callable[[], str]] = {"hpo tuner cost": table}
