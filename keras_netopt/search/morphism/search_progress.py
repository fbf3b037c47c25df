"""The progress of a morphism search in one line."""

import keras

from keras_netopt.search.morphism.morphism_trial import MorphismTrial


class SearchProgress:
    """Shows finished networks, and the best one.

    Args:
        total: Number of networks of the search, the parent included.
        verbose: 0 shows nothing, 1 a bar, 2 a line per network.
    """

    def __init__(self, total: int, verbose: int) -> None:
        self._total = total
        self._verbose = verbose
        self._bar = None
        if verbose == 1:
            self._bar = keras.utils.Progbar(
                total, unit_name="network", stateful_metrics=["best", "params"]
            )

    def update(
        self, trial: MorphismTrial, best: MorphismTrial | None, done: int
    ) -> None:
        """Called when a network has been trained.

        Args:
            trial: The network.
            best: The best one so far.
            done: Number of finished networks of the search.
        """
        if self._verbose == 2:
            score = "failed" if trial.score is None else f"{trial.score:.4f}"
            print(
                f"{trial.role} {trial.number}: {score}, {trial.params:,} "
                f"parameters, from {trial.parent}: {trial.title}",
                flush=True,
            )
        if self._bar is not None and trial.is_searched:
            shown = []
            if best is not None and best.score is not None:
                shown = [("best", best.score), ("params", best.params)]
            self._bar.update(min(done, self._total), shown)

    def say(self, text: str) -> None:
        """Shows a remark on a line of its own."""
        if self._verbose:
            print(f"\n{text}" if self._bar is not None else text, flush=True)
