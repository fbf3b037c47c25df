"""Trains auxiliary models on a subset of the data, for difficulty scores."""

from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.curriculum.curriculum_data import CurriculumData
from keras_netopt.curriculum.difficulty import Difficulty
from keras_netopt.curriculum.epoch_plan import make_plan
from keras_netopt.curriculum.sample_source import Samples, SampleSource


class SubsetSource(SampleSource):
    """A subset of the samples of a source, with ids from 0."""

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
        plan = make_plan(
            np.zeros(data.source.samples),
            np.ones(int(data.steps or 1)),
            batch_size=int(data.batch_size or 1),
            seed=self._seed,
            epoch=epoch,
        )
        data.set_plan(plan)


class AuxiliaryTraining(Difficulty):
    """Base of difficulties that train auxiliary models."""

    expensive = True

    def __init__(
        self,
        build_model: Callable[[], keras.Model] | None,
        *,
        epochs: int,
        batch_size: int,
        seed: int,
    ) -> None:
        self.build_model = build_model
        self.epochs = check_integer(epochs, "epochs", minimum=1)
        self.batch_size = check_integer(batch_size, "batch_size", minimum=1)
        self.seed = check_integer(seed, "seed")

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Returns itself: it holds no state."""
        return self

    def train(
        self, model: keras.Model, source: SampleSource, ids: Any, number: int
    ) -> None:
        """Trains the model of a number from 0 on a subset of the samples.

        A batch holds at most the whole subset.
        """
        if source.buffer_size is not None:
            raise ValueError(
                "Argument `difficulty` must not train auxiliary models on a "
                "`StreamingDataset`, which has no random access: pass scores, "
                "a function or a `Teacher`, or pass the data as arrays. "
                f"Received: x={source!r}"
            )
        part = CurriculumData(SubsetSource(source, ids))
        size = 1 if source.unit == "batch" else min(self.batch_size, len(ids))
        model.fit(
            part.make_adapter(size),
            epochs=self.epochs,
            verbose=0,
            callbacks=[_ShuffledEpochs(part, self.seed + number)],
        )


def check_build_model(build_model: Any) -> None:
    """Raises TypeError for anything but a model-building function."""
    if not callable(build_model) or isinstance(build_model, keras.Model):
        raise TypeError(
            "Argument `build_model` must be a function without arguments that "
            "returns a new compiled model for each training. "
            f"Received: build_model={build_model!r}"
        )


def build_compiled(build_model: Any) -> keras.Model:
    """Calls a model-building function and checks the model."""
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
