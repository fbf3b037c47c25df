"""Trains a small model around each layer once, for all checks."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import probes, zoo
from contract.layer_settings import SHAPE, LayerSetting

SAMPLES, BATCH_SIZE = 32, 8
HALF, EPOCHS = 1, 2


@functools.cache
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((SAMPLES, *SHAPE)).astype("float32")
    return x, (np.arange(SAMPLES) % 3).astype("int32")


def compiled(inner: Any, **arguments: Any) -> keras.Model:
    """A model with `inner`, a layer or a function, between two layers."""
    inputs = keras.Input(SHAPE)
    x = inner(keras.layers.Dense(SHAPE[-1], name="first")(inputs))
    x = keras.layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, keras.layers.Dense(3, name="out")(x))
    model.compile(
        keras.optimizers.SGD(0.1, 0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **{"jit_compile": zoo.JIT, **arguments},
    )
    return model


def around(setting: LayerSetting, **arguments: Any) -> keras.Model:
    keras.utils.set_random_seed(7)
    inner = setting.place(setting.build(name="tried"))
    return compiled(inner, **arguments)


def fit(model: keras.Model, **changed: Any) -> dict[str, list[float]]:
    x, y = data()
    arguments = {"epochs": EPOCHS, "batch_size": BATCH_SIZE, **changed}
    return model.fit(x, y, shuffle=False, verbose=0, **arguments).history


def predictions(model: keras.Model) -> np.ndarray:
    if keras.backend.backend() == "jax":
        return model.predict(data()[0], batch_size=SAMPLES, verbose=0)
    return probes.to_numpy(model(data()[0], training=False))


@dataclass(frozen=True)
class LayerTrial:
    """A trained model, and its weights before and after training."""

    model: keras.Model
    history: dict[str, list[float]]
    before: probes.Arrays
    weights: probes.Arrays
    has_effect: bool


class LayerTrials:
    """Trains each setting once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.done: dict[str, LayerTrial] = {}

    def get(self, setting: LayerSetting) -> LayerTrial:
        if setting.name not in self.done:
            self.done[setting.name] = self._run(setting)
        return self.done[setting.name]

    def _run(self, setting: LayerSetting) -> LayerTrial:
        folder = self.root / setting.name
        folder.mkdir()
        model = around(setting)
        before = probes.weights(model)
        history = fit(model, epochs=HALF)
        model.save(folder / "half.keras")
        half = {"half": predictions(model)}
        for name, value in probes.weights(model).items():
            half[f"half {name}"] = value
        for name, values in fit(model, initial_epoch=HALF).items():
            history[name] = history[name] + values
        np.savez(folder / "expected.npz", **half, **probes.weights(model))
        weights = probes.weights(model)
        # `effect` may run training steps, so it comes last.
        has_effect = setting.effect(model.get_layer("tried"), data()[0])
        return LayerTrial(model, history, before, weights, has_effect)
