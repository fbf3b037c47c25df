"""The table of real training by search, from its JSON alone."""

import itertools
import math
import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.hpo.titles import ARMS
from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NAME = "hpo_training"
NOT_YET = "Not measured yet."
HEAD = [
    "search",
    "held-out accuracy @15",
    "@30",
    "@60",
    "test accuracy of the best",
    "trials to the grid's end",
    "training until then / all of the grid's",
    "training to random's end / all of random's",
    "asking / training, CPU",
    "seeds",
]


def table() -> str:
    """Returns accuracy and training time by search."""
    if not (RESULTS / f"{NAME}.json").exists():
        return NOT_YET
    rows = load(NAME)["rows"]
    by_arm = {
        arm: {row["seed"]: row for row in rows if row["arm"] == arm}
        for arm in ARMS
    }
    grid, random = by_arm["grid"], by_arm["random"]
    if not grid:
        return NOT_YET
    body = []
    for arm, found in by_arm.items():
        seeds = [seed for seed in found if seed in grid and seed in random]
        if not seeds:
            continue
        own = [found[seed] for seed in seeds]
        ends = [_until(found[seed], grid[seed]) for seed in seeds]
        late = [_until(found[seed], random[seed]) for seed in seeds]
        asking = statistics.median(
            row["asking"] / sum(row["seconds"]) for row in own
        )
        body.append(
            [
                ARMS[arm],
                *(_best(own, trials) for trials in (15, 30, 60)),
                f"{statistics.median(row['test'] for row in own):.4f}",
                _median([trials for trials, _ in ends], ".0f"),
                _median([share for _, share in ends], ".2f"),
                _median([share for _, share in late], ".2f"),
                f"{asking:.1%}",
                str(len(seeds)),
            ]
        )
    return f"{markdown(HEAD, body)}\n\n{_note()}"


def _until(row: dict[str, Any], other: dict[str, Any]) -> tuple[float, float]:
    """Trials until another search's best accuracy, and its share of time."""
    target, whole = max(other["held_out"]), sum(other["seconds"])
    spent = itertools.accumulate(row["seconds"])
    pairs = zip(row["held_out"], spent, strict=True)
    for count, (accuracy, seconds) in enumerate(pairs, 1):
        if accuracy >= target:
            return count, seconds / whole
    return math.inf, math.inf


def _best(rows: list[dict[str, Any]], trials: int) -> str:
    best = [max(row["held_out"][:trials]) for row in rows]
    text = f"{statistics.median(best):.4f}"
    return f"{text} ({min(best):.4f}-{max(best):.4f})" if trials == 60 else text


def _median(values: list[float], form: str) -> str:
    middle = statistics.median(values)
    missed = sum(math.isinf(value) for value in values)
    never = f", {missed} of {len(values)} never" if missed else ""
    return (f"{middle:{form}}" if math.isfinite(middle) else "-") + never


def _note() -> str:
    return (
        "Medians over seeds, range in brackets. The grid's end, random's end: "
        "the held-out accuracy that `GridSearch` and `RandomSearch` have after "
        "all their trials, seed by seed. Training is CPU time."
    )


TABLES: dict[str, Callable[[], str]] = {"hpo training": table}
