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
    "training until then / the grid's",
    "/ random",
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
    target = {seed: max(row["held_out"]) for seed, row in grid.items()}
    body = []
    for arm, found in by_arm.items():
        seeds = [seed for seed in found if seed in target and seed in random]
        if not seeds:
            continue
        own = [found[seed] for seed in seeds]
        ends = [_until(found[seed], target[seed]) for seed in seeds]
        whole = [sum(grid[seed]["seconds"]) for seed in seeds]
        others = [_until(random[seed], target[seed])[1] for seed in seeds]
        asking = statistics.median(
            row["asking"] / sum(row["seconds"]) for row in own
        )
        body.append(
            [
                ARMS[arm],
                *(_best(own, trials) for trials in (15, 30, 60)),
                f"{statistics.median(row['test'] for row in own):.4f}",
                _median([trials for trials, _ in ends], ".0f"),
                _ratio([seconds for _, seconds in ends], whole),
                _ratio([seconds for _, seconds in ends], others),
                f"{asking:.1%}",
                str(len(seeds)),
            ]
        )
    return f"{markdown(HEAD, body)}\n\n{_note()}"


def _until(row: dict[str, Any], target: float) -> tuple[float, float]:
    """Trials and CPU seconds of training until an accuracy is reached."""
    spent = itertools.accumulate(row["seconds"])
    pairs = zip(row["held_out"], spent, strict=True)
    for count, (accuracy, seconds) in enumerate(pairs, 1):
        if accuracy >= target:
            return count, seconds
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


def _ratio(values: list[float], others: list[float]) -> str:
    pairs = [
        value / other if math.isfinite(other) else 0.0
        for value, other in zip(values, others, strict=True)
    ]
    middle = statistics.median(pairs)
    return f"{middle:.2f}" if math.isfinite(middle) else "-"


def _note() -> str:
    return (
        "Medians over seeds, range in brackets. The grid's end: the held-out "
        "accuracy that the grid has after all its trials, seed by seed; what "
        "the grid spends is the CPU time of all its trainings."
    )


TABLES: dict[str, Callable[[], str]] = {"hpo training": table}
