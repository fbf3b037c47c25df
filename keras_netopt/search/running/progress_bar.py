"""The progress of a search in one line."""

from typing import Any

import keras

from keras_netopt.search.running.oracle_proxy import STOPPED


class ProgressBar:
    """Shows ended, stopped and failed trials, and the best score."""

    def __init__(self, oracle: Any, verbose: int) -> None:
        self._oracle = oracle
        self._bar = None
        # Of the first ended trials, and their number.
        self._seen = self._stopped = self._failed = 0
        self._best: tuple[tuple[bool, float], float] | None = None
        if verbose:
            self._bar = keras.utils.Progbar(
                oracle.max_trials,
                unit_name="trial",
                stateful_metrics=["best", "stopped", "failed"],
            )

    def update(self) -> None:
        """Called when a trial has ended."""
        if self._bar is None:
            return
        ended = self._oracle.end_order
        for name in ended[self._seen :]:
            self._count(self._oracle.trials[name])
        self._seen = len(ended)
        if not ended:
            return
        known = (("stopped", self._stopped), ("failed", self._failed))
        shown: list[tuple[str, Any]] = [(k, n) for k, n in known if n]
        if self._best is not None:
            shown.insert(0, ("best", self._best[1]))
        self._bar.update(len(ended), shown)

    def _count(self, trial: Any) -> None:
        """Counts an ended trial; complete trials rank before stopped ones."""
        is_stopped = trial.metrics.exists(STOPPED)
        self._stopped += is_stopped
        self._failed += trial.status == "FAILED"
        if trial.status != "COMPLETED":
            return
        sign = -1.0 if self._oracle.objective.direction == "max" else 1.0
        rank = (is_stopped, sign * trial.score)
        if self._best is None or rank < self._best[0]:
            self._best = rank, trial.score

    def close(self) -> None:
        """Ends the line if the search ends before `max_trials`."""
        if self._bar is None:
            return
        done = len(self._oracle.end_order)
        if done and done != self._oracle.max_trials:
            self._bar.update(done, finalize=True)
