"""Which hyperparameters the scores went with, and how."""

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.search.reports.history import Project, TrialRecord
from keras_netopt.search.reports.space_record import RecordedDimension
from keras_netopt.tables import render

BINS = 8


@dataclass(frozen=True)
class Bin:
    """A stretch of one hyperparameter and the scores found there.

    Args:
        label: The choice, or the smallest and largest value.
        count: Number of trials.
        mean: Their mean score.
        best: The best of their scores.
    """

    label: str
    count: int
    mean: float
    best: float


@dataclass(frozen=True)
class Effect:
    """The main effect of one hyperparameter.

    Args:
        name: Its name.
        share: Variance of the mean scores of the bins over the variance of
            the scores, in [0, 1].
        chance: What `share` is on average where there is no effect at all.
        bins: The bins, in order.
    """

    name: str
    share: float
    chance: float
    bins: tuple[Bin, ...]

    @property
    def trials(self) -> int:
        """Number of trials in which it was active."""
        return sum(one.count for one in self.bins)


def effects(project: Project) -> list[Effect]:
    """Computes the main effects, the largest first.

    Only full trials count, and for a conditional hyperparameter only those
    in which it was active. Numbers are cut into at most 8 bins of as many
    trials each, and into fewer where there would be less than 3 in one.

    Example:

    >>> from pathlib import Path
    >>> trials = tuple(
    ...     TrialRecord(str(i), "COMPLETED", float(kind == "sgd"),
    ...                 values={"optimizer": kind})
    ...     for i, kind in enumerate(["sgd", "adam"] * 3))
    >>> space = (RecordedDimension("optimizer", choices=("sgd", "adam")),)
    >>> (effect,) = effects(Project(Path("p"), trials, space))
    >>> effect.share, effect.chance, [one.count for one in effect.bins]
    (1.0, 0.2, [3, 3])

    Args:
        project: What `keras_netopt.search.read` returns.

    Returns:
        One effect a hyperparameter that had at least two values, and more
        trials than bins.
    """
    found = [_effect(project, dimension) for dimension in project.space]
    kept = [effect for effect in found if effect is not None]
    return sorted(kept, key=lambda effect: -effect.share)


def effects_table(found: list[Effect], objective: str) -> str:
    """Renders effects as text, with the number of trials of every bin.

    Args:
        found: What `effects` returns.
        objective: Name of the score.

    Returns:
        The table.
    """
    rows = [
        [
            effect.name,
            f"{effect.share:.2f}",
            f"{effect.chance:.2f}",
            effect.trials,
            ", ".join(
                f"{one.label}: {one.mean:.4g} (n={one.count})"
                for one in effect.bins
            ),
        ]
        for effect in found
    ]
    return render(
        ["hyperparameter", "share", "by chance", "trials", "mean a bin"],
        rows,
        title=f"Importance for {objective}, main effects only",
    )


def _effect(project: Project, dimension: RecordedDimension) -> Effect | None:
    trials = [t for t in project.full() if dimension.name in t.parameters]
    groups = _groups(dimension, trials)
    if not 2 <= len(groups) < len(trials):
        return None  # A trial a bin explains everything, and says nothing.
    scores = np.array([trial.score for trial in trials], dtype="float64")
    total = float(scores.var())
    best = min if project.direction == "min" else max
    bins, between = [], 0.0
    for label, members in groups:
        held = [float(trial.score or 0.0) for trial in members]
        mean = statistics.fmean(held)
        bins.append(Bin(label, len(held), mean, best(held)))
        between += len(held) * (mean - float(scores.mean())) ** 2
    share = between / len(trials) / total if total > 0 else 0.0
    chance = (len(groups) - 1) / (len(trials) - 1)
    return Effect(dimension.name, min(share, 1.0), chance, tuple(bins))


def _groups(
    dimension: RecordedDimension, trials: list[TrialRecord]
) -> list[tuple[str, list[TrialRecord]]]:
    name = dimension.name
    values = {trial.parameters[name] for trial in trials}
    if dimension.choices or len(values) <= 2:
        order = dimension.choices or tuple(sorted(values))
        parted = [
            (_shown(v), [t for t in trials if t.parameters[name] == v])
            for v in order
        ]
        return [(label, members) for label, members in parted if members]
    return _quantiles(name, trials)


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _quantiles(
    name: str, trials: list[TrialRecord]
) -> list[tuple[str, list[TrialRecord]]]:
    """Bins of as many trials each; equal values stay together."""
    values = np.array([t.parameters[name] for t in trials], dtype="float64")
    count = max(2, min(BINS, len(trials) // 3))
    cuts = np.unique(np.quantile(values, np.linspace(0, 1, count + 1)[1:-1]))
    where = np.searchsorted(cuts, values, side="right")
    found = []
    for place in np.unique(where):
        chosen = np.flatnonzero(where == place)
        low, high = values[chosen].min(), values[chosen].max()
        label = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
        found.append((label, [trials[i] for i in chosen]))
    return found
