"""Trains auxiliary models on a subset of the data, for difficulty scores."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.curriculum.curriculum_data import CurriculumData
from keras_netopt.curriculum.epoch_plan import make_plan
from keras_netopt.curriculum.sample_source import Samples, SampleSource


class SubsetSource:
    """A subset of the samples of a source, with ids from 0.

    Args:
        source: All samples.
        ids: Ids of the subset in `source`.
    """

    buffer_size: int | None = None
    y: Any = None
    sample_weight: Any = None

    def __init__(self, source: SampleSource, ids: np.ndarray):
        self.unit = source.unit
        self.samples = len(ids)
        self._source, self._ids = source, ids

    def fetch(self, ids: np.ndarray) -> Samples:
        """Returns the samples with these ids, in this order."""
        return self._source.fetch(self._ids[ids])


class _ShuffledEpochs(keras.callbacks.Callback):
    """Plans shuffled epochs that are equal on every backend."""

    def __init__(self, data: CurriculumData, seed: int):
        super().__init__()
        self._data, self._seed = data, seed

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        data = self._data
        scores = np.zeros(data.source.samples)
        steps: np.ndarray = np.ones(int(data.steps or 1))
        size = int(data.batch_size or 1)
        self._data.set_plan(
            make_plan(
                scores, steps, batch_size=size, seed=self._seed, epoch=epoch
            )
        )


def train_on_subset(
    model: keras.Model,
    source: SampleSource,
    ids: np.ndarray,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
) -> None:
    """Trains a model on a subset of the samples.

    Args:
        model: A compiled model.
        source: All samples.
        ids: Ids of the samples to train on.
        epochs: Number of epochs.
        batch_size: Samples per batch; at most the size of the subset is used.
        seed: Seed of the sample order.

    Raises:
        ValueError: If the source can only be read in order.
    """
    if source.buffer_size is not None:
        raise ValueError(
            "Argument `difficulty` must not train auxiliary models on a "
            "`StreamingDataset`, which has no random access: pass scores, a "
            "function or a `Teacher`, or pass the data as arrays. "
            f"Received: x={source!r}"
        )
    part = CurriculumData(SubsetSource(source, ids))
    size = 1 if source.unit == "batch" else min(batch_size, len(ids))
    model.fit(
        part.make_adapter(size),
        epochs=epochs,
        verbose=0,
        callbacks=[_ShuffledEpochs(part, seed)],
    )


def build_compiled(build_model: Callable[[], Any]) -> keras.Model:
    """Calls a model-building function and checks that the model is compiled.

    Args:
        build_model: A function without arguments.

    Raises:
        TypeError: If it does not return a Keras model.
        ValueError: If the model is not compiled.
    """
    model = build_model()
    if not isinstance(model, keras.Model):
        raise TypeError(
            "Argument `build_model` must be a function that returns a Keras "
            f"model. Received: build_model returned {type(model).__name__}"
        )
    if not model.compiled:
        raise ValueError(
            "Argument `build_model` must be a function that returns a "
            "compiled model. "
            f"Received: build_model returned model {model.name}, not compiled"
        )
    return model


def check_training_arguments(
    build_model: Any, *, optional: bool, **counts: int
) -> dict[str, int]:
    """Checks the arguments of difficulties that train auxiliary models.

    Args:
        build_model: A function that returns a model.
        optional: Whether it may be `None`.
        **counts: Integers of at least 1 by name, `seed` of at least 0.

    Returns:
        The integers.

    Raises:
        TypeError: If `build_model` is not callable, or a count no integer.
        ValueError: If a count is too small.
    """
    if not callable(build_model) and not (optional and build_model is None):
        raise TypeError(
            "Argument `build_model` must be a function that returns a compiled "
            f"model. Received: build_model={build_model!r}"
        )
    return {
        name: check_integer(value, name, minimum=int(name != "seed"))
        for name, value in counts.items()
    }
