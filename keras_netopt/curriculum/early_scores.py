"""Scores that are read off early or during training."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras_netopt.curriculum.difficulty import (
    Difficulty,
    Scoring,
    progress_bar,
)
from keras_netopt.curriculum.model_difficulty import (
    classes_of,
    predicted,
    probabilities,
)
from keras_netopt.curriculum.side_training import (
    built,
    check_training,
    train_on,
)


class EL2N(Difficulty):
    """How far the answers of models trained for a moment are from the class.

    The length of the error vector, probabilities minus the one-hot class,
    averaged over a few short trainings: `difficulty="el2n"`.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> def build():
    ...     model = keras.Sequential(
    ...         [keras.Input((2,)), keras.layers.Dense(2, "softmax")]
    ...     )
    ...     model.compile("adam", "sparse_categorical_crossentropy")
    ...     return model
    >>> x, y = np.random.normal(size=(8, 2)), np.arange(8) % 2
    >>> curriculum = netopt.callbacks.Curriculum(
    ...     x, y, difficulty=netopt.curriculum.EL2N(build, runs=1)
    ... )
    >>> bool((curriculum.scores <= 2**0.5).all())
    True

    Args:
        build: A function without arguments that returns a compiled model.
            Defaults to `None`: a copy of the model being trained with new
            weights.
        runs: Trainings to average over, at least 1. Defaults to `3`.
        epochs: Epochs of each, at least 1. Defaults to `1`.
        batch_size: Samples of a batch, at least 1. Defaults to `64`.
        seed: Seed of the order. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a value is out of range.

    Reference:
        Paul, Ganguli and Dziugaite, "Deep learning on a data diet", 2021,
        https://arxiv.org/abs/2107.07075.
    """

    name = "el2n"
    costly = True

    def __init__(
        self,
        build: Callable[[], keras.Model] | None = None,
        *,
        runs: int = 3,
        epochs: int = 1,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        check_training(
            build,
            optional=True,
            runs=runs,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
        )
        self.build = build
        self.runs = runs
        self.epochs = epochs
        self.batch_size = batch_size
        self.seed = seed

    def __deepcopy__(self, memo: dict[int, Any]) -> "EL2N":
        """CurriculumSettings alone; nothing in it changes."""
        return self

    @property
    def needs_model(self) -> bool:
        """Whether it copies the model being trained."""
        return self.build is None

    def score(self, scoring: Scoring) -> np.ndarray:
        """Trains a few models and averages their errors."""
        everything = np.arange(scoring.source.samples)
        total: np.ndarray = np.zeros(scoring.source.samples)
        bar = progress_bar(self.runs, scoring.verbose, "run")
        quiet = replace(scoring, verbose=0)
        for run in range(self.runs):
            if self.build is None:
                model = _fresh(scoring.needed_model(self.name))
            else:
                model = built(self.build)
            train_on(
                model,
                scoring.source,
                everything,
                epochs=self.epochs,
                batch_size=self.batch_size,
                seed=self.seed + run,
            )
            total += _errors(model, quiet)
            bar.add(1)
        return total / self.runs


class Forgetting(Difficulty):
    """How often a sample was right once and then wrong: "forgetting".

    Counted from one scoring to the next; samples that were never right are
    the hardest.

    Example:

    >>> Forgetting().follows_training
    True

    Reference:
        Toneva et al., "An empirical study of example forgetting during deep
        neural network learning", 2018, https://arxiv.org/abs/1812.05159.
    """

    name = "forgetting"
    follows_training = True

    def score(self, scoring: Scoring) -> np.ndarray:
        """Counts what was forgotten since the last time."""
        model, state = scoring.needed_model(self.name), scoring.state
        right = _per_unit(
            [
                (_likely(model, x).argmax(axis=1) == classes_of(y)) * 1.0
                for _, (x, y, _) in scoring.chunks()
            ],
            scoring,
        )
        right = right >= 0.5
        nothing: np.ndarray = np.zeros(len(right), bool)
        forgotten = state.get("right", nothing).astype(bool) & ~right
        counts = state.get("counts", nothing).astype("int64") + forgotten
        learnt = state.get("learnt", nothing).astype(bool) | right
        state["right"] = right.astype("uint8")
        state["learnt"] = learnt.astype("uint8")
        state["counts"] = counts
        return np.where(learnt, counts, counts.max() + 1).astype("float64")


def _errors(model: keras.Model, scoring: Scoring) -> np.ndarray:
    found = []
    for _, (x, y, _) in scoring.chunks():
        error = _likely(model, x)
        error[np.arange(len(error)), classes_of(y)] -= 1.0
        found.append(np.linalg.norm(error, axis=1))
    return _per_unit(found, scoring)


def _likely(model: keras.Model, x: Any) -> np.ndarray:
    return probabilities(predicted(model, x)).copy()


def _per_unit(found: list[np.ndarray], scoring: Scoring) -> np.ndarray:
    if scoring.source.unit == "batch":
        found = [np.array([part.mean()]) for part in found]
    return np.concatenate(found)


def _fresh(model: keras.Model) -> keras.Model:
    """The same network with new weights, ready to train."""
    try:
        copy = keras.models.clone_model(model)
        optimizer = type(model.optimizer)
        copy.compile(
            optimizer.from_config(model.optimizer.get_config()), model.loss
        )
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ValueError(
            'Argument `difficulty` "el2n" could not copy the model; pass '
            "`keras_netopt.curriculum.EL2N(build)` with a function that "
            f"builds it. Received: model {model.name}"
        ) from error
    return copy
