"""Difficulty scores by models that were not trained on the sample."""

from collections.abc import Callable

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.curriculum.auxiliary_training import (
    AuxiliaryTraining,
    SubsetSource,
    build_compiled,
    check_build_model,
)
from keras_netopt.curriculum.difficulty import ScoringContext
from keras_netopt.curriculum.epoch_plan import epoch_generator
from keras_netopt.curriculum.model_difficulty import model_losses


class CrossValidatedLoss(AuxiliaryTraining):
    """The out-of-fold loss of each sample.

    The data are split into folds; each fold is scored by a model trained on
    the other folds, so no model scores a label that it has fitted. Scores are
    computed once, before the first step: `folds` trainings of `epochs` epochs.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> def build_model():
    ...     model = keras.Sequential(
    ...         [keras.Input((1,)), keras.layers.Dense(1)]
    ...     )
    ...     model.compile("adam", "mse")
    ...     return model
    >>> x = np.arange(8.0).reshape(8, 1)
    >>> loss = netopt.curriculum.CrossValidatedLoss(build_model)
    >>> curriculum = netopt.callbacks.Curriculum(x, 2 * x, difficulty=loss)
    >>> curriculum.scores.shape
    (8,)

    Args:
        build_model: A function without arguments that returns a compiled
            model.
        folds: Number of folds, at least 2. Defaults to `2`.
        epochs: Epochs of each training, at least 1. Defaults to `5`.
        batch_size: Samples of a batch, at least 1. Defaults to `64`.
        seed: Seed of the folds and of the sample order. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range.

    Reference:
        Hacohen and Weinshall, 2019, https://arxiv.org/abs/1904.03626
        (transfer scoring).
    """

    name = "cross_validated_loss"

    def __init__(
        self,
        build_model: Callable[[], keras.Model],
        folds: int = 2,
        *,
        epochs: int = 5,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        check_build_model(build_model)
        super().__init__(
            build_model, epochs=epochs, batch_size=batch_size, seed=seed
        )
        if check_integer(folds, "folds", minimum=1) < 2:
            raise ValueError(
                "Argument `folds` must be at least 2, so that no "
                "sample is scored by a model trained on it. "
                f"Received: folds={folds}"
            )
        self.folds = folds

    def score(self, context: ScoringContext) -> np.ndarray:
        """Trains one model per fold on the other folds and scores the fold."""
        samples = context.source.samples
        if samples < self.folds:
            raise ValueError(
                "Argument `folds` must be at most the number of samples. "
                f"Received: folds={self.folds}, {samples} samples"
            )
        order = epoch_generator(self.seed, 0).permutation(samples)
        found: np.ndarray = np.zeros(samples)
        bar = keras.utils.Progbar(
            self.folds, verbose=context.verbose, unit_name="fold"
        )
        for fold in range(self.folds):
            inside = np.sort(order[fold :: self.folds])
            outside = np.setdiff1d(order, inside)
            model = build_compiled(self.build_model)
            self.train(model, context.source, outside, fold)
            part = ScoringContext(
                SubsetSource(context.source, inside), model, {}
            )
            found[inside] = model_losses(model, part)
            bar.add(1)
        return found
