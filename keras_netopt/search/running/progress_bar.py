"""The progress of a search in one line."""

from typing import Any

import keras

from keras_netopt.search.running.oracle_proxy import STOPPED


class ProgressBar:
    """Shows ended, stopped and failed trials, and the best score."""

    def __init__(self, oracle: Any, verbose: int) -> None:
        self._oracle = oracle
        self._bar = None
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
        trials = [self._oracle.trials[name] for name in self._oracle.end_order]
        if not trials:
            return
        shown = []
        if best := self._oracle.get_best_trials(1):
            shown.append(("best", best[0].score))
        stopped = sum(trial.metrics.exists(STOPPED) for trial in trials)
        failed = sum(trial.status == "FAILED" for trial in trials)
        shown += [("stopped", stopped)] if stopped else []
        shown += [("failed", failed)] if failed else []
        self._bar.update(len(trials), shown)

    def close(self) -> None:
        """Ends the line if the search ends before `max_trials`."""
        if self._bar is None:
            return
        done = len(self._oracle.end_order)
        if done and done != self._oracle.max_trials:
            self._bar.update(done, finalize=True)
