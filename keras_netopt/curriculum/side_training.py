"""Trains other models on a part of the data, for difficulties that need it."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.curriculum.data import CurriculumData
from keras_netopt.curriculum.plan import make_plan
from keras_netopt.curriculum.sources import Fetched, Source


class SubsetSource:
    """Some samples of a source, numbered anew.

    Args:
        source: All samples.
        ids: The numbers of those to take.
    """

    buffer: int | None = None
    y: Any = None
    sample_weight: Any = None

    def __init__(self, source: Source, ids: np.ndarray):
        self.unit = source.unit
        self.samples = len(ids)
        self._source, self._ids = source, ids

    def fetch(self, ids: np.ndarray) -> Fetched:
        """Returns some samples, in this order."""
        return self._source.fetch(self._ids[ids])


class _Shuffling(keras.callbacks.Callback):
    """Plans ordinary epochs, the same ones on every backend."""

    def __init__(self, data: CurriculumData, seed: int):
        super().__init__()
        self._data, self._seed = data, seed

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        data = self._data
        scores = np.zeros(data.source.samples)
        steps: np.ndarray = np.ones(int(data.steps or 1))
        size = int(data.batch_size or 1)
        self._data.begin(
            make_plan(
                scores, steps, batch_size=size, seed=self._seed, epoch=epoch
            )
        )


def train_on(
    model: keras.Model,
    source: Source,
    ids: np.ndarray,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
) -> None:
    """Trains a model on some of the samples.

    Args:
        model: A compiled model.
        source: All samples.
        ids: The numbers of those to train on.
        epochs: How often.
        batch_size: Samples of a batch; all of them where there are fewer.
        seed: Seed of their order.

    Raises:
        ValueError: If samples cannot be had in any order.
    """
    if source.buffer is not None:
        raise ValueError(
            "Argument `difficulty` must not train models of its own on a "
            "`Stream`, which cannot give samples by number: give scores, a "
            "function or a `Teacher`, or the data themselves. "
            f"Received: x={source!r}"
        )
    part = CurriculumData(SubsetSource(source, ids))
    size = 1 if source.unit == "batch" else min(batch_size, len(ids))
    model.fit(
        part.open(size),
        epochs=epochs,
        verbose=0,
        callbacks=[_Shuffling(part, seed)],
    )


def built(build: Callable[[], Any]) -> keras.Model:
    """Returns what a user's function builds, if it can be trained.

    Args:
        build: A function without arguments.

    Raises:
        TypeError: If it returns no Keras model.
        ValueError: If the model is not compiled.
    """
    model = build()
    if not isinstance(model, keras.Model):
        raise TypeError(
            "Argument `build` must be a function that returns a Keras model. "
            f"Received: a {type(model).__name__}"
        )
    if not model.compiled:
        raise ValueError(
            "Argument `build` must be a function that returns a compiled "
            f"model. Received: model {model.name}, not compiled"
        )
    return model


def check_training(
    build: Any, *, optional: bool, **counts: int
) -> dict[str, int]:
    """Checks the arguments that such difficulties share.

    Args:
        build: The function that makes a model.
        optional: Whether it may be `None`.
        **counts: Integers of at least 1 by name, `seed` of at least 0.

    Returns:
        The integers.

    Raises:
        TypeError: If `build` cannot be called, or a count is no integer.
        ValueError: If a count is too small.
    """
    if not callable(build) and not (optional and build is None):
        raise TypeError(
            "Argument `build` must be a function that returns a compiled "
            f"model. Received: build={build!r}"
        )
    return {
        name: check_integer(value, name, minimum=int(name != "seed"))
        for name, value in counts.items()
    }
