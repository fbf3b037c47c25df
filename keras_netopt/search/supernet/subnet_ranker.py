"""Ranks architectures by the weights that they share."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.metric_direction import metric_sign
from keras_netopt.search.supernet.search_arguments import check_monitor
from keras_netopt.search.supernet.subnet_evaluator import SubnetEvaluator

Architecture = dict[str, int]
SAMPLES = 512  # Samples of the first score; at least two batches.
FINALISTS = 32  # Architectures that are scored on all samples.


class SubnetRanker:
    """Scores architectures of a trained supernet on held-out data.

    The first score uses a random part of the data, `final_scores` all of
    them. Statistics of batch normalization are computed anew for each
    architecture: those of the supernet belong to no architecture.

    Args:
        model: The supernet.
        validation: Inputs, targets and sample weights or `None`.
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
        validation: tuple[Any, Any, Any],
        calibration: Any,
        *,
        monitor: str = "auto",
        mode: str = "auto",
        verbose: bool = False,
        total: int = 0,
    ) -> None:
        self._count = len(keras.tree.flatten(validation[0])[0])
        order = np.random.default_rng(0).permutation(self._count)
        x, y, weight = keras.tree.map_structure(
            lambda one: None if one is None else np.asarray(one)[order],
            validation,
        )
        # A tuple, because a list of inputs would be one of batches.
        self._evaluator = SubnetEvaluator(
            model,
            x,
            y,
            calibration_data=(calibration,),
            sample_weight=weight,
        )
        self._calibration = len(keras.tree.flatten(calibration)[0])
        # Samples of all evaluations, those of the statistics included.
        self.samples = 0
        self.monitor = monitor
        self._mode = mode
        self._bar = keras.utils.Progbar(total) if verbose else None
        self._evaluated = 0
        self._best: float | None = None

    @property
    def has_finals(self) -> bool:
        """Whether `final_scores` uses more data than `scores`."""
        return self._count > SAMPLES

    def values(
        self,
        architectures: Sequence[Architecture],
        samples: int | None = None,
    ) -> list[float]:
        """Returns the metric of each architecture, by default on all data."""
        rows = [self._evaluator.evaluate(one, samples) for one in architectures]
        used = min(samples or self._count, self._count) + self._calibration
        self.samples += len(rows) * used
        if self.monitor == "auto":
            self.monitor = choose_metric(rows[0])
        check_monitor(self.monitor, rows[0])
        return [float(row[self.monitor]) for row in rows]

    def scores(self, architectures: Sequence[Architecture]) -> list[float]:
        """Returns the metric with its sign changed if smaller is better."""
        found = []
        for one in architectures:
            (value,) = self.values([one], SAMPLES)
            self._evaluated += 1
            found.append(self.sign * value)
            if self._best is None or found[-1] > self._best:
                self._best = found[-1]
            if self._bar is not None:
                self._bar.stateful_metrics.add("best")
                shown = [("best", self.sign * self._best)]
                at = min(self._evaluated, self._bar.target)
                self._bar.update(at, shown)
        return found

    def end_progress(self) -> None:
        """Ends the bar if limits left fewer architectures than it expects."""
        bar = self._bar
        if bar is not None and 0 < self._evaluated < bar.target:
            bar.target = self._evaluated
            bar.update(self._evaluated, finalize=True)

    def final_scores(
        self, architectures: Sequence[Architecture]
    ) -> list[float]:
        """Returns the scores of architectures on all data."""
        return [self.sign * value for value in self.values(architectures)]

    @property
    def sign(self) -> float:
        """1 if larger values are better, else -1."""
        if self._mode != "auto":
            return 1.0 if self._mode == "max" else -1.0
        return float(metric_sign(self.monitor))


def choose_metric(row: dict[str, float]) -> str:
    """Returns the first metric of classification, or "loss"."""
    words = ("acc", "accuracy", "auc", "f1_score")
    found = (n for n in row if n.lower().endswith(words) and metric_sign(n) > 0)
    return next(found, "loss")
