"""Difficulty scores from training dynamics: EL2N and forgetting events."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.curriculum.auxiliary_training import (
    AuxiliaryTraining,
    build_compiled,
    check_build_model,
)
from keras_netopt.curriculum.difficulty import Difficulty, ScoringContext
from keras_netopt.curriculum.model_difficulty import (
    predict_undisturbed,
    target_classes,
    to_probabilities,
)


class EL2N(AuxiliaryTraining):
    """Error L2 norm early in training: `difficulty="el2n"`.

    The L2 norm of the class probabilities minus the one-hot label, averaged
    over several short trainings.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> def build_model():
    ...     model = keras.Sequential(
    ...         [keras.Input((2,)), keras.layers.Dense(2, "softmax")]
    ...     )
    ...     model.compile("adam", "sparse_categorical_crossentropy")
    ...     return model
    >>> x, y = np.random.normal(size=(8, 2)), np.arange(8) % 2
    >>> curriculum = netopt.callbacks.Curriculum(
    ...     x, y, difficulty=netopt.curriculum.EL2N(build_model, runs=1)
    ... )
    >>> bool((curriculum.scores <= 2**0.5).all())
    True

    Args:
        build_model: A function without arguments that returns a compiled
            model. Defaults to `None`: a copy of the model being trained with
            newly initialized weights.
        runs: Trainings to average over, at least 1. Defaults to `3`.
        epochs: Epochs of each training, at least 1. Defaults to `1`.
        batch_size: Samples of a batch, at least 1. Defaults to `64`.
        seed: Seed of the sample order. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range.

    Reference:
        Paul, Ganguli and Dziugaite, "Deep learning on a data diet", 2021,
        https://arxiv.org/abs/2107.07075.
    """

    name = "el2n"

    def __init__(
        self,
        build_model: Callable[[], keras.Model] | None = None,
        *,
        runs: int = 3,
        epochs: int = 1,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        if build_model is not None:
            check_build_model(build_model)
        super().__init__(
            build_model, epochs=epochs, batch_size=batch_size, seed=seed
        )
        self.runs = check_integer(runs, "runs", minimum=1)

    @property
    def needs_model(self) -> bool:
        """Whether it copies the model being trained."""
        return self.build_model is None

    def score(self, context: ScoringContext) -> np.ndarray:
        """Trains `runs` models and averages their error norms."""
        all_ids = np.arange(context.source.samples)
        total: np.ndarray = np.zeros(context.source.samples)
        bar = keras.utils.Progbar(
            self.runs, verbose=context.verbose, unit_name="run"
        )
        silent = replace(context, verbose=0)
        for run in range(self.runs):
            if self.build_model is None:
                model = _reinitialized_copy(context.require_model(self.name))
            else:
                model = build_compiled(self.build_model)
            self.train(model, context.source, all_ids, run)
            total += _error_norms(model, silent)
            bar.add(1)
        return total / self.runs


class ForgettingEvents(Difficulty):
    """Number of forgetting events per sample: `difficulty="forgetting"`.

    A forgetting event is a sample classified correctly at one scoring and
    wrongly at the next. Samples that were never classified correctly have
    the highest score.

    Example:

    >>> ForgettingEvents().dynamic
    True

    Reference:
        Toneva et al., "An empirical study of example forgetting during deep
        neural network learning", 2018, https://arxiv.org/abs/1812.05159.
    """

    name = "forgetting"
    dynamic = True

    def score(self, context: ScoringContext) -> np.ndarray:
        """Adds the forgetting events since the previous scoring."""
        model, state = context.require_model(self.name), context.state
        accuracy = context.scores_per_unit(
            [
                (_predict(model, x).argmax(axis=1) == target_classes(y)) * 1.0
                for _, (x, y, _) in context.chunks()
            ]
        )
        correct = accuracy >= 0.5
        never: np.ndarray = np.zeros(len(correct), bool)
        forgotten = state.get("correct", never).astype(bool) & ~correct
        counts = state.get("counts", never).astype("int64") + forgotten
        learnt = state.get("learnt", never).astype(bool) | correct
        state["correct"] = correct.astype("uint8")
        state["learnt"] = learnt.astype("uint8")
        state["counts"] = counts
        return np.where(learnt, counts, counts.max() + 1).astype("float64")


def _error_norms(model: keras.Model, context: ScoringContext) -> np.ndarray:
    found = []
    for _, (x, y, _) in context.chunks():
        error = _predict(model, x)
        error[np.arange(len(error)), target_classes(y)] -= 1.0
        found.append(np.linalg.norm(error, axis=1))
    return context.scores_per_unit(found)


def _predict(model: keras.Model, x: Any) -> np.ndarray:
    return to_probabilities(predict_undisturbed(model, x)).copy()


def _reinitialized_copy(model: keras.Model) -> keras.Model:
    """Returns a compiled copy with newly initialized weights."""
    try:
        copy = keras.models.clone_model(model)
        optimizer = type(model.optimizer)
        copy.compile(
            optimizer.from_config(model.optimizer.get_config()), model.loss
        )
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ValueError(
            'Argument `difficulty` "el2n" could not copy the model; pass '
            "`keras_netopt.curriculum.EL2N(build_model)` with a function "
            f"that builds it. Received: model {model.name}"
        ) from error
    return copy
