"""Main effects of the hyperparameters on the score."""

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.search.reports.hyperparameter_record import (
    HyperparameterRecord,
)
from keras_netopt.search.reports.project import Project, TrialRecord
from keras_netopt.tables import render

BINS = 8


@dataclass(frozen=True)
class ScoreBin:
    """A range of one hyperparameter, and the scores of its trials.

    `label` is the choice, or the minimum and maximum.
    """

    label: str
    count: int
    mean: float
    best: float


@dataclass(frozen=True)
class MainEffect:
    """The main effect of one hyperparameter.

    `share` is the variance between the bins divided by the variance of the
    scores, in [0, 1]; `chance` is its expected value without any effect.
    """

    name: str
    share: float
    chance: float
    bins: tuple[ScoreBin, ...]

    @property
    def trials(self) -> int:
        """Number of trials in which the hyperparameter was active."""
        return sum(one.count for one in self.bins)


def main_effects(project: Project) -> list[MainEffect]:
    """Computes the main effects, largest first.

    Uses complete trials in which the hyperparameter was active. Numbers are
    divided into at most 8 quantile bins with at least 3 trials each. A
    hyperparameter with one value, or with as many bins as trials, has no
    effect.
    """
    found = [_effect(project, dimension) for dimension in project.space]
    kept = [effect for effect in found if effect is not None]
    return sorted(kept, key=lambda effect: -effect.share)


def render_main_effects(found: list[MainEffect], objective: str) -> str:
    """Renders main effects on the score `objective` as a table."""
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
        ["hyperparameter", "share", "by chance", "trials", "mean per bin"],
        rows,
        title=f"Importance for {objective}, main effects only",
    )


def _effect(
    project: Project, dimension: HyperparameterRecord
) -> MainEffect | None:
    trials = [
        t for t in project.complete_trials() if dimension.name in t.parameters
    ]
    groups = _groups(dimension, trials)
    if not 2 <= len(groups) < len(trials):
        return None  # One trial per bin explains all of the variance.
    scores = np.array([trial.score for trial in trials], dtype="float64")
    total = float(scores.var())
    best = min if project.direction == "min" else max
    bins, between = [], 0.0
    for label, members in groups:
        held = [float(trial.score or 0.0) for trial in members]
        mean = statistics.fmean(held)
        bins.append(ScoreBin(label, len(held), mean, best(held)))
        between += len(held) * (mean - float(scores.mean())) ** 2
    share = between / len(trials) / total if total > 0 else 0.0
    chance = (len(groups) - 1) / (len(trials) - 1)
    return MainEffect(dimension.name, min(share, 1.0), chance, tuple(bins))


def _groups(
    dimension: HyperparameterRecord, trials: list[TrialRecord]
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
    """Quantile bins; equal values share a bin."""
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
