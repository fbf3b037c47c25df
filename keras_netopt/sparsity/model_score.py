"""Base class of scores that are measured on the whole model."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.sparsity.scores import Score, ScoreInputs
from keras_netopt.sparsity.selection import WeightTarget

Masks = Sequence[np.ndarray] | None
Measure = Callable[[Masks], list[np.ndarray]]


class ModelScore(Score):
    """A score measured on the model at once, before it is trained.

    A subclass overrides `open`. With `rounds` above one, the sparsity grows
    over so many rounds, and each round measures the model with the masks of
    the round before.
    """

    needs = "model"
    rounds: int = 1

    @contextlib.contextmanager
    def open(
        self, model: keras.Model, targets: Sequence[WeightTarget], data: Any
    ) -> Iterator[Measure]:
        """Prepares measurements.

        Args:
            model: The model; it does not change.
            targets: The targets.
            data: The calibration data, or `None`.

        Yields:
            A function of the masks, in the shapes of the weights or `None`,
            that returns one array of scores per target.
        """
        raise NotImplementedError
        yield

    def compute(self, inputs: ScoreInputs) -> np.ndarray:
        """Returns what was measured."""
        return np.asarray(inputs.statistic)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ModelScore":
        """Creates the score from `get_config`."""
        return cls(**config)
