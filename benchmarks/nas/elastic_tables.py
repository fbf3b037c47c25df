"""Markdown tables of the elastic supernets, made from their JSON alone."""

import statistics
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NAME = "nas_elastic"
ARMS = {
    "uniform": "no shrinking, uniform",
    "sandwich": "no shrinking, sandwich",
    "long": "no shrinking, sandwich, twice the epochs",
    "shrinking": "shrinking, a stage per axis",
    "restarts": "shrinking, learning rate restarts",
    "gradual": "shrinking, a stage per option",
    "unsorted": "shrinking, units not sorted",
}


def subnets_table() -> str:
    """Returns the accuracy of each network, alone and inherited."""
    if not (RESULTS / f"{NAME}.json").exists():
        return "Not measured yet."
    data = load(NAME)
    rows = {(r["arm"], r["seed"]): r for r in data["rows"]}
    arms = [a for a in ("alone", *ARMS) if any(k[0] == a for k in rows)]
    first = next(iter(rows.values()))
    count = len(first["macs"])
    head = [
        "training",
        "seeds",
        *(f"{macs / 1e3:.0f} k" for macs in first["macs"]),
        "mean difference",
        "worst",
        "training MACs",
    ]
    body = []
    for arm in arms:
        seeds = [s for a, s in rows if a == arm]
        own = [rows[arm, s] for s in seeds]
        means = [
            statistics.fmean(r["accuracies"][k] for r in own)
            for k in range(count)
        ]
        body.append(
            [
                "each alone" if arm == "alone" else ARMS[arm],
                str(len(seeds)),
                *(f"{100 * value:.1f}" for value in means),
                *_differences(rows, arm, seeds),
                f"{statistics.fmean(_shares(rows, arm, seeds)):.2f}",
            ]
        )
    epochs = data["settings"]["epochs"]
    note = (
        "Test accuracy in percent of six networks, from the smallest to the "
        "largest, by their MACs; mean over the seeds. Differences from the "
        "same network trained alone, in points, of the same seeds: mean over "
        "the networks (lowest-highest seed), and the worst network. Training "
        "MACs are relative to those of the six trainings. "
        f"{epochs['supernet']} epochs of the supernet, {epochs['alone']} of "
        f"each network alone, on {data['settings']['train']:,} images."
    )
    return f"{markdown(head, body)}\n\n{note}"


def _differences(rows: Any, arm: str, seeds: list[int]) -> list[str]:
    both = [
        (rows[arm, s]["accuracies"], rows["alone", s]["accuracies"])
        for s in seeds
        if ("alone", s) in rows
    ]
    if arm == "alone" or not both:
        return ["-", "-"]
    gaps = [
        [100 * (a - b) for a, b in zip(one, alone, strict=True)]
        for one, alone in both
    ]
    means = [statistics.fmean(gap) for gap in gaps]
    worst = min(statistics.fmean(column) for column in zip(*gaps, strict=True))
    mean = f"{statistics.fmean(means):+.1f}"
    return [f"{mean} ({min(means):+.1f} to {max(means):+.1f})", f"{worst:+.1f}"]


def _shares(rows: Any, arm: str, seeds: list[int]) -> list[float]:
    return [
        rows[arm, s]["training_macs"] / rows["alone", s]["training_macs"]
        for s in seeds
        if ("alone", s) in rows
    ]


TABLES = {"architecture search, elastic": subnets_table}
