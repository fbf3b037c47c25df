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
MIN_TRIALS, MIN_IN_BIN = 10, 3
WHAT = "main effects, which need not add up to 100 %"


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

    `share` is the share of the variance of the scores that lies between the
    bins, in [0, 1], less what chance alone puts there (epsilon squared).
    `low` and `high` are its 95 % interval, by leaving out one trial at a time.
    """

    name: str
    share: float
    low: float
    high: float
    bins: tuple[ScoreBin, ...]

    @property
    def trials(self) -> int:
        """Number of trials in which the hyperparameter was active."""
        return sum(one.count for one in self.bins)


def main_effects(project: Project) -> list[MainEffect]:
    """Computes the main effects, largest first.

    Uses complete trials in which the hyperparameter was active. Numbers are
    divided into at most 8 quantile bins with at least 3 trials each. A
    hyperparameter with one value, with fewer than 10 trials, or with fewer
    than 3 trials per bin has no effect.

    Reference:
        Kelley 1935, *An Unbiased Correlation Ratio Measure*, PNAS 21.
    """
    found = [_effect(project, dimension) for dimension in project.space]
    kept = [effect for effect in found if effect is not None]
    return sorted(kept, key=lambda effect: -effect.share)


def explain_missing(project: Project) -> str | None:
    """Says why there is no importance of any hyperparameter, if so."""
    trials = project.complete_trials()
    values = [
        {t.parameters[d.name] for t in trials if d.name in t.parameters}
        for d in project.space
    ]
    if all(len(one) < 2 for one in values) or main_effects(project):
        return None
    return (
        f"Importance for {project.objective}: too few trials. {len(trials)} "
        f"complete trials; at least {MIN_TRIALS} are needed in which a "
        f"hyperparameter was active, and {MIN_IN_BIN} for each of its values."
    )


def render_main_effects(found: list[MainEffect], objective: str) -> str:
    """Renders main effects on the score `objective` as a table."""
    rows = [
        [
            effect.name,
            f"{effect.share:.0%}",
            f"{effect.low:.0%} to {effect.high:.0%}",
            effect.trials,
            ", ".join(
                f"{one.label}: {one.mean:.4g} (n={one.count})"
                for one in effect.bins
            ),
        ]
        for effect in found
    ]
    return render(
        ["hyperparameter", "share", "95 % interval", "trials", "mean per bin"],
        rows,
        title=f"Importance for {objective}: {WHAT}",
    )


def _effect(
    project: Project, dimension: HyperparameterRecord
) -> MainEffect | None:
    trials = [
        t for t in project.complete_trials() if dimension.name in t.parameters
    ]
    groups = _groups(dimension, trials)
    if len(groups) < 2 or len(trials) < max(
        MIN_TRIALS, MIN_IN_BIN * len(groups)
    ):
        return None
    held = [[float(t.score or 0.0) for t in members] for _, members in groups]
    best = min if project.direction == "min" else max
    bins = tuple(
        ScoreBin(label, len(scores), statistics.fmean(scores), best(scores))
        for (label, _), scores in zip(groups, held, strict=True)
    )
    share, error = _share_and_error(held)
    low, high = share - 1.96 * error, share + 1.96 * error
    return MainEffect(
        dimension.name, share, max(low, 0.0), min(high, 1.0), bins
    )


def _share_and_error(held: list[list[float]]) -> tuple[float, float]:
    """Returns epsilon squared and its standard error, by the jackknife."""
    where: Any = np.repeat(np.arange(len(held)), [len(one) for one in held])
    scores = np.concatenate([np.asarray(one) for one in held])
    scores = scores - scores.mean()
    counts = np.bincount(where).astype("float64")
    sums = np.bincount(where, weights=scores)
    share = _shares(counts[None], sums[None], np.square(scores).sum())
    n, rows = len(scores), np.arange(len(scores))
    counts = np.tile(counts, (n, 1))
    sums = np.tile(sums, (n, 1))
    counts[rows, where] -= 1
    sums[rows, where] -= scores
    squares = np.square(scores).sum() - np.square(scores)
    left = _shares(counts, sums, squares)
    error = float(np.sqrt((n - 1) / n * np.square(left - left.mean()).sum()))
    return float(np.clip(share[0], 0.0, 1.0)), error


def _shares(counts: np.ndarray, sums: np.ndarray, squares: Any) -> np.ndarray:
    """Returns epsilon squared for each row of counts and sums of the bins."""
    n = counts.sum(axis=1)
    mean = np.square(sums.sum(axis=1)) / n
    means = np.divide(np.square(sums), counts, where=counts > 0, out=0 * sums)
    between, total = means.sum(axis=1) - mean, squares - mean
    share = np.divide(between, total, where=total > 0, out=0 * total)
    bins = (counts > 0).sum(axis=1)
    return 1.0 - (1.0 - share) * (n - 1) / np.maximum(n - bins, 1)


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
