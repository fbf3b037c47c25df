"""Tables of transfer between cart poles, made from their JSON alone."""

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NAME = "progressive_cart_pole"
ARMS = {
    "scratch": "scratch",
    "progressive": "progressive, alpha 1",
    "progressive_03": "progressive, alpha 0.3",
    "random": "progressive on a random frozen column, alpha 1",
    "wide": "scratch, twice as wide",
    "fine_tune": "fine-tuning of all layers",
    "head_only": "new head on frozen layers",
}
TITLES = {
    "gravity": "gravity x 2",
    "long_pole": "pole x 2",
    "weak_force": "force x 0.5",
    "mirrored": "actions exchanged",
    "scaled": "observations scaled",
    "noisy": "observations noisy",
}
Rows = list[dict[str, Any]]


def ratio_table() -> str:
    """Returns the transfer score of each arm on each variant."""
    body = []
    for arm, title in ARMS.items():
        found = ratios(arm)
        if not found:
            continue
        every = [one for values in found.values() for one in values]
        means = _means_by_seed(arm)
        body.append(
            [
                title,
                *(_median(found.get(variant, [])) for variant in TITLES),
                f"{statistics.mean(every):.2f}",
                f"{statistics.median(every):.2f}",
                f"{min(means):.2f}-{max(means):.2f}",
            ]
        )
    head = ["arm", *TITLES.values(), "mean", "median", "seeds, lowest-highest"]
    note = (
        "Area under the curve of returns over environment steps, divided by "
        "that of scratch with the same seed. By variant: median over the "
        "seeds. Mean and median: over all seeds and variants; last column: "
        "mean over the variants, by seed."
    )
    return f"{markdown(head, body)}\n\n{note}"


def return_table() -> str:
    """Returns the mean returns, and what is left of the first task."""
    body = []
    for arm, title in ARMS.items():
        rows = [row for row in _rows() if row["arm"] == arm]
        if not rows:
            continue
        kept = [row for row in rows if "first_task_change" in row]
        curves = [row["curve"] for row in rows]
        changes = [row["first_task_change"] for row in kept]
        left = [row["first_task_return"] for row in kept]
        body.append(
            [
                title,
                f"{statistics.median(r['parameters'] for r in rows):,.0f}",
                f"{statistics.mean(np.mean(one) for one in curves):.0f}",
                f"{statistics.mean(np.mean(one[-3:]) for one in curves):.0f}",
                f"{max(changes):.3g}" if changes else "-",
                f"{min(left):.0f}" if left else "-",
            ]
        )
    head = ["arm", "parameters", "mean return", "last three epochs"]
    head += ["largest change of logits of the first task"]
    head += ["lowest return of the first task afterwards"]
    firsts = [r["greedy"] for r in _rows() if r["arm"] == "first"]
    note = (
        f"{len(firsts)} seeds; greedy returns of the first policies: "
        f"{', '.join(f'{one:.0f}' for one in firsts)}."
    )
    return f"{markdown(head, body)}\n\n{note}"


def ratios(arm: str) -> dict[str, list[float]]:
    """Returns the ratios to scratch by variant, in the order of the seeds."""
    areas = {
        (row["arm"], row["variant"], row["seed"]): float(np.mean(row["curve"]))
        for row in _rows()
    }
    found: dict[str, list[float]] = {}
    for (name, variant, seed), area in sorted(areas.items()):
        if name == arm and ("scratch", variant, seed) in areas:
            ratio = area / areas["scratch", variant, seed]
            found.setdefault(variant, []).append(ratio)
    return found


def _means_by_seed(arm: str) -> list[float]:
    by_variant = list(ratios(arm).values())
    seeds = min(len(one) for one in by_variant)
    return [
        statistics.mean(one[seed] for one in by_variant)
        for seed in range(seeds)
    ]


def _median(values: list[float]) -> str:
    return f"{statistics.median(values):.2f}" if values else "-"


def _rows() -> Rows:
    if not (RESULTS / f"{NAME}.json").exists():
        return []
    rows: Rows = load(NAME)["rows"]
    return [{**row, "curve": _fill(row["curve"])} for row in rows]


def _fill(curve: list[float | None]) -> list[float]:
    """Returns a curve whose first epochs, without an end, have its next value.

    A policy that starts well ends no episode in its first epoch.
    """
    first = next(one for one in curve if one is not None)
    return [first if one is None else one for one in curve]


def environment_note() -> str:
    """Returns date, command and environment of the measurements."""
    if not (RESULTS / f"{NAME}.json").exists():
        return "Not measured yet."
    lines = []
    for run in load(NAME)["runs"]:
        facts = run["environment"]
        lines.append(
            f"- `{run['command']}`, {run['date'][:10]}, backend "
            f"{facts['backend']}: {facts['cores']} cores of "
            f"{facts['processor']}, Python {facts['python']}, keras "
            f"{facts['keras']}, jax {facts['jax']}."
        )
    return "\n".join(dict.fromkeys(lines))


TABLES: dict[str, Callable[[], str]] = {
    "cart pole environment": environment_note,
    "cart pole ratios": ratio_table,
    "cart pole returns": return_table,
}
