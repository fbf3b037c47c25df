"""Scores by models that have not seen the sample."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_netopt.curriculum.difficulty import (
    Difficulty,
    Scoring,
    progress_bar,
)
from keras_netopt.curriculum.model_difficulty import model_losses
from keras_netopt.curriculum.plan import epoch_generator
from keras_netopt.curriculum.side_training import (
    SubsetSource,
    built,
    check_training,
    train_on,
)


class CrossScored(Difficulty):
    """The loss of each sample under a model that was trained without it.

    The data are split into folds; each fold is scored by a model trained on
    the others, so no model scores a label that it has fitted. Scored once,
    before the first step, which costs `folds` trainings of `epochs` epochs.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> def build():
    ...     model = keras.Sequential(
    ...         [keras.Input((1,)), keras.layers.Dense(1)]
    ...     )
    ...     model.compile("adam", "mse")
    ...     return model
    >>> x = np.arange(8.0).reshape(8, 1)
    >>> curriculum = netopt.callbacks.Curriculum(
    ...     x, 2 * x, difficulty=netopt.curriculum.CrossScored(build)
    ... )
    >>> curriculum.scores.shape
    (8,)

    Args:
        build: A function without arguments that returns a compiled model.
        folds: How many parts, at least 2. Defaults to `2`.
        epochs: Epochs of each training, at least 1. Defaults to `5`.
        batch_size: Samples of a batch, at least 1. Defaults to `64`.
        seed: Seed of the folds and of the order. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range.

    Reference:
        Hacohen and Weinshall, 2019, https://arxiv.org/abs/1904.03626
        (transfer scoring; the folds keep the label unseen).
    """

    name = "cross_scored"
    costly = True

    def __init__(
        self,
        build: Callable[[], keras.Model],
        folds: int = 2,
        *,
        epochs: int = 5,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        check_training(
            build,
            optional=False,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            folds=folds,
        )
        if folds < 2:
            raise ValueError(
                "Argument `folds` must be at least 2, or a sample would be "
                f"scored by a model that has seen it. Received: folds={folds}"
            )
        self.build = build
        self.folds = folds
        self.epochs = epochs
        self.batch_size = batch_size
        self.seed = seed

    def __deepcopy__(self, memo: dict[int, Any]) -> "CrossScored":
        """CurriculumSettings alone; nothing in it changes."""
        return self

    def score(self, scoring: Scoring) -> np.ndarray:
        """Trains a model for each fold and scores the fold with it."""
        samples = scoring.source.samples
        if samples < self.folds:
            raise ValueError(
                "Argument `folds` must be at most the number of samples. "
                f"Received: folds={self.folds}, {samples} samples"
            )
        order = epoch_generator(self.seed, 0).permutation(samples)
        found: np.ndarray = np.zeros(samples)
        bar = progress_bar(self.folds, scoring.verbose, "fold")
        for fold in range(self.folds):
            inside = np.sort(order[fold :: self.folds])
            outside = np.setdiff1d(order, inside)
            model = built(self.build)
            train_on(
                model,
                scoring.source,
                outside,
                epochs=self.epochs,
                batch_size=self.batch_size,
                seed=self.seed + fold,
            )
            part = SubsetSource(scoring.source, inside)
            found[inside] = model_losses(model, Scoring(part, model, {}))
            bar.add(1)
        return found
