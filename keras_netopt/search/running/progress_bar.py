"""The progress of a search in one line."""

from typing import Any

import keras

from keras_netopt.search.oracles.hyperband_budget import HyperbandBudget
from keras_netopt.search.running.oracle_proxy import STOPPED
from keras_netopt.search.running.trial_rank import rank_training


class Count(float):
    """A number that `keras.utils.Progbar` shows without decimals."""

    def __truediv__(self, other: Any) -> "Count":
        return Count(float(self) / other)

    def __format__(self, spec: str) -> str:
        return f"{float(self):.0f}"


class ProgressBar:
    """Shows ended, stopped and failed trials, and the best score."""

    def __init__(self, oracle: Any, verbose: int) -> None:
        self._oracle = oracle
        self._bar = None
        # Of the first ended trials, and their number.
        self._seen = self._stopped = self._failed = 0
        self._best: tuple[Any, float] | None = None
        # Hyperband knows its trials, but has no `max_trials`.
        budget = getattr(oracle, "budget", None)
        self._target = (
            budget.trials
            if isinstance(budget, HyperbandBudget)
            else oracle.max_trials
        )
        if verbose:
            self._bar = keras.utils.Progbar(
                self._target,
                unit_name="trial",
                stateful_metrics=["best", "stopped", "failed"],
            )

    def update(self, *, finalize: bool | None = None) -> None:
        """Called when a trial has ended."""
        ended = self._oracle.end_order
        if self._bar is None or not ended:
            return
        for name in ended[self._seen :]:
            self._count(self._oracle.trials[name])
        self._seen = len(ended)
        known = (("stopped", self._stopped), ("failed", self._failed))
        shown: list[tuple[str, Any]] = [(k, Count(n)) for k, n in known if n]
        if self._best is not None:
            shown.insert(0, ("best", self._best[1]))
        self._bar.update(len(ended), shown, finalize)

    def _count(self, trial: Any) -> None:
        """Counts an ended trial; the longest trainings rank first."""
        self._stopped += trial.metrics.exists(STOPPED)
        self._failed += trial.status == "FAILED"
        if trial.status != "COMPLETED":
            return
        sign = -1.0 if self._oracle.objective.direction == "max" else 1.0
        rank = (*rank_training(trial), sign * trial.score)
        if self._best is None or rank < self._best[0]:
            self._best = rank, trial.score

    def close(self) -> None:
        """Ends the line if the search ends before its last trial."""
        if len(self._oracle.end_order) != self._target:
            self.update(finalize=True)
