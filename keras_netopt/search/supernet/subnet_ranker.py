"""Ranks architectures by the weights that they share."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_netopt.search.supernet.search_arguments import check_monitor
from keras_netopt.search.supernet.subnet_evaluator import SubnetEvaluator

Architecture = dict[str, int]


class SubnetRanker:
    """Scores architectures of a trained supernet on held-out data.

    Statistics of batch normalization are computed anew for each architecture:
    those of the supernet belong to no architecture.

    Args:
        model: The supernet.
        validation: Inputs and targets.
        calibration: Training inputs for the statistics.
        monitor: Name of the metric, or "auto": an accuracy if there is one,
            else the loss.
        mode: "max", "min" or "auto".
        verbose: Whether a progress bar is shown.
        total: Number of architectures that the bar expects.
    """

    def __init__(
        self,
        model: keras.Model,
        validation: tuple[Any, Any],
        calibration: Any,
        *,
        monitor: str = "auto",
        mode: str = "auto",
        verbose: bool = False,
        total: int = 0,
    ) -> None:
        self._evaluator = SubnetEvaluator(
            model, *validation, calibration_data=calibration
        )
        parts = (validation[0], calibration)
        # Samples of an evaluation, those of the statistics included.
        self.samples = sum(len(keras.tree.flatten(one)[0]) for one in parts)
        self.monitor = monitor
        self._mode = mode
        self._bar = keras.utils.Progbar(total) if verbose else None
        self.evaluated = 0
        self._best: float | None = None

    def values(self, architectures: Sequence[Architecture]) -> list[float]:
        """Returns the metric of each architecture."""
        rows = [self._evaluator.evaluate(one) for one in architectures]
        self.evaluated += len(rows)
        if self.monitor == "auto":
            self.monitor = choose_metric(rows[0])
        check_monitor(self.monitor, rows[0])
        return [float(row[self.monitor]) for row in rows]

    def scores(self, architectures: Sequence[Architecture]) -> list[float]:
        """Returns the metric with its sign changed if smaller is better."""
        found = []
        for one in architectures:
            (value,) = self.values([one])
            found.append(self.sign * value)
            if self._best is None or found[-1] > self._best:
                self._best = found[-1]
            if self._bar is not None:
                self._bar.stateful_metrics.add("best")
                shown = [("best", self.sign * self._best)]
                at = min(self.evaluated, self._bar.target)
                self._bar.update(at, shown)
        return found

    @property
    def sign(self) -> float:
        """1 if larger values are better, else -1."""
        if self._mode != "auto":
            return 1.0 if self._mode == "max" else -1.0
        return 1.0 if _is_larger_better(self.monitor) else -1.0


def choose_metric(row: dict[str, float]) -> str:
    """Returns the first metric of classification, or "loss"."""
    return next((name for name in row if _is_larger_better(name)), "loss")


def _is_larger_better(name: str) -> bool:
    # As Keras' callbacks decide, for the metrics of classification.
    return name.endswith(("acc", "accuracy", "auc")) or name == "f1_score"
