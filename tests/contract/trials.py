"""Trains each setting on each model of the zoo once, for all checks."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from contract import callback_setting, probes, resume, zoo
from keras.src.trainers.data_adapters.array_data_adapter import (
    ArrayDataAdapter,
)

from keras_netopt.warnings import LayerCollapseWarning

KERAS_KEYS = {"loss", "accuracy", "val_loss", "val_accuracy"}


@dataclass(frozen=True)
class Trial:
    """A model of the zoo after four epochs with a callback.

    One setting of each callback trains the MLP as users do, with an optimizer
    that is not built, a metric and validation data; the others do so faster.
    `folder` holds the trained model's files; `whole` is the state at the end,
    which a resumed run must reach.
    """

    model: keras.Model
    callback: Any
    has_effect: bool
    history: dict[str, list[float]]
    layers: list[keras.Layer]
    keras_keys: set[str]
    folder: Path
    warnings: list[str]
    whole: probes.Arrays

    @property
    def epochs(self) -> int:
        """Epochs that the callback lets `fit` train."""
        stopped = getattr(self.callback, "stopped_epoch", None)
        return resume.EPOCHS if stopped is None else stopped + 1


class Trials:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.done: dict[tuple[str, str], Trial] = {}

    def get(self, setting: callback_setting.Setting, model: str) -> Trial:
        key = (setting.name, model)
        if key not in self.done:
            folder = self.root / f"{model} {setting.name}".replace(":", "")
            (folder / "work").mkdir(parents=True)
            self.done[key] = _run(setting, model, folder)
        return self.done[key]


@contextlib.contextmanager
def keras_fit() -> Iterator[None]:
    """The `fit` of users, without what `tests/levers.py` does for speed."""
    with pytest.MonkeyPatch.context() as patch:
        if keras.backend.backend() == "tensorflow":
            patch.setattr(keras.Model, "fit", keras.Model.fit.__wrapped__)
            feed = ArrayDataAdapter.get_tf_dataset.__wrapped__
            patch.setattr(ArrayDataAdapter, "get_tf_dataset", feed)
        yield


def _run(setting: callback_setting.Setting, name: str, folder: Path) -> Trial:
    is_first = resume.is_first(setting, name)
    metrics = ["accuracy"] if is_first else None
    model = resume.compiled(setting, name, metrics=metrics)
    fit_of = keras_fit if is_first else contextlib.nullcontext
    layers = list(model.layers)
    callbacks, recorder = resume.callbacks(setting, name, folder)
    with warnings.catch_warnings(record=True) as told, fit_of():
        warnings.simplefilter("always")
        history = probes.fit(
            model,
            name,
            callbacks,
            epochs=resume.EPOCHS,
            validation_data=zoo.data(name) if is_first else None,
        )
    whole = resume.result(model, recorder)
    component = recorder.component
    has_effect = setting.effect(zoo.build(name), model, component)
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    np.savez(
        folder / "expected.npz",
        probes.predictions(model, name),
        *probes.keras_slots(model),
    )
    # Half of the weights of a few units may leave a layer almost none.
    shown = [
        str(w.message)
        for w in told
        if "__array__" not in str(w)
        and not issubclass(w.category, LayerCollapseWarning)
    ]
    return Trial(
        model=model,
        callback=component,
        has_effect=has_effect,
        history=history,
        layers=layers,
        keras_keys=KERAS_KEYS if is_first else {"loss"},
        folder=folder,
        warnings=shown,
        whole=whole,
    )
