"""Trains every callback and layer once, as the checks of devices need it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from callback_tools import supernets
from contract import (
    callback_setting,
    layer_settings,
    layer_trials,
    probes,
    settings,
    zoo,
)

import keras_netopt as netopt

History = dict[str, list[float]]
Fit = Callable[..., tuple[keras.Model, History]]


def cases() -> Iterator[tuple[str, str, Fit]]:
    """Yields component, name of the setting, and a function that trains.

    It takes a folder and arguments of `compile`, checks the effect of a
    callback and returns the model and the history.
    """
    for setting in settings.CALLBACKS:
        yield setting.component, setting.name, _callback(setting)
    for method in ("single_path", "darts"):
        component = "callbacks.ArchitectureSearch"
        yield component, f"ArchitectureSearch {method}", _search(method)
    component = "callbacks.ElasticWeightConsolidation"
    yield component, "ElasticWeightConsolidation", _consolidate
    for layer in layer_settings.LAYERS:
        yield layer.component, layer.name, _layer(layer)


def _callback(setting: callback_setting.Setting) -> Fit:
    def fit(folder: Path, **options: Any) -> tuple[keras.Model, History]:
        model = zoo.light(dropout=0.0, **options)
        callbacks = setting.callbacks(callback_setting.case("mlp", folder))
        epochs = setting.whole(2)
        history = probes.fit(model, "mlp", callbacks, epochs=epochs)
        assert setting.effect(zoo.build("mlp"), model, callbacks[-1])
        return model, history

    return fit


def _layer(setting: layer_settings.LayerSetting) -> Fit:
    def fit(folder: Path, **options: Any) -> tuple[keras.Model, History]:
        model = layer_trials.around(setting, **options)
        return model, layer_trials.fit(model)

    return fit


def _search(method: str) -> Fit:
    def fit(folder: Path, **options: Any) -> tuple[keras.Model, History]:
        model = supernets.build_supernet(edges=1, **options)
        arguments: dict[str, Any] = {"evaluations": 3}
        if method == "darts":
            own = keras.optimizers.Adam(0.05, beta_1=0.5)
            arguments = {"architecture_optimizer": own}
        data = netopt.search.dataset(*supernets.make_data(), batch_size=12)
        component = netopt.callbacks.ArchitectureSearch(method, **arguments)
        return model, model.fit(data, verbose=0, callbacks=[component]).history

    return fit


def _consolidate(folder: Path, **options: Any) -> tuple[keras.Model, History]:
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
    y = (np.arange(24) % 3).astype("int32")
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(6, "relu", name="hidden")(inputs)
    first, second = (
        keras.Model(inputs, keras.layers.Dense(3, name=f"head{i}")(hidden))
        for i in range(2)
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for model in (first, second):
        model.compile(keras.optimizers.SGD(0.05, 0.9), loss, **options)
    ewc = netopt.callbacks.ElasticWeightConsolidation(
        strength=100.0, fisher_samples=8
    )
    ewc.consolidate(first, x)
    fitted = second.fit(x, y, batch_size=8, verbose=0, callbacks=[ewc])
    return second, fitted.history
