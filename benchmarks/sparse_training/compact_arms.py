"""Data, networks and arms of the benchmark of `sparsity.compact`."""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_netopt as netopt

L = keras.layers
TRAINED, POOLED, BATCH = 12_000, 6_000, 64
EPOCHS, CUT = 6, 0.5
RATE, MOMENTUM = 0.05, 0.9
WIDTHS = (16, 16, 32, 32)
SHARE, LEAST = 0.5, 4
# Three times what was found in longer runs on seed 100.
SLIMMING, LASSO = 0.3, 0.03
SPARSITIES = (0.9, 0.95, 0.98)


@functools.cache
def data(pooled: bool) -> tuple[np.ndarray, ...]:
    """Returns training and test images; pooled ones are 14 x 14."""
    (x, y), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    count = POOLED if pooled else TRAINED
    images = [one.astype("float32") / 255 for one in (x[:count], x_test)]
    if pooled:
        images = [
            one.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))[..., None]
            for one in images
        ]
    return images[0], y[:count], images[1], y_test


def compile_model(model: keras.Model, rate: Any) -> keras.Model:
    """Compiles a classifier with SGD."""
    model.compile(
        keras.optimizers.SGD(rate, momentum=MOMENTUM),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def build_dense(seed: int) -> keras.Model:
    """Returns the 784-300-100-10 network."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            L.Flatten(),
            L.Dense(300, activation="relu", name="hidden_1"),
            L.Dense(100, activation="relu", name="hidden_2"),
            L.Dense(10, name="out"),
        ]
    )
    return compile_model(model, RATE)


def build_cnn(seed: int, widths: tuple[int, ...] = WIDTHS) -> keras.Model:
    """Returns four convolutions with batch normalization."""
    keras.utils.set_random_seed(seed)
    layers: list[Any] = [keras.Input((14, 14, 1))]
    for number, width in enumerate(widths, start=1):
        layers += [
            L.Conv2D(
                width, 3, padding="same", use_bias=False, name=f"conv_{number}"
            ),
            L.BatchNormalization(momentum=0.9, name=f"norm_{number}"),
            L.ReLU(),
        ]
        if number == 1:
            layers.append(L.MaxPooling2D())
    layers += [L.GlobalAveragePooling2D(), L.Dense(10, name="out")]
    steps = EPOCHS * -(-POOLED // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    return compile_model(keras.Sequential(layers), rate)


def fit(
    model: keras.Model, pooled: bool, callback: Any = None, epochs: int = EPOCHS
) -> dict[str, list[float]]:
    """Trains a model and returns the history."""
    x, y, *_ = data(pooled)
    found: dict[str, list[float]] = model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=epochs,
        verbose=0,
        callbacks=[] if callback is None else [callback],
    ).history
    return found


def accuracy(model: keras.Model, pooled: bool) -> float:
    """Returns the test accuracy."""
    *_, x, y = data(pooled)
    logits = model.predict(x, batch_size=1000, verbose=0)
    return round(float((logits.argmax(axis=1) == y).mean()), 4)


def latencies(models: dict[str, keras.Model]) -> dict[str, float]:
    """Returns the LiteRT latency of models, interleaved, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for name, model in models.items():
            paths[name] = Path(folder, f"{name}.tflite")
            netopt.export.to_litert(model, paths[name])
        report = netopt.cost.measure_latency(paths, rounds=60)
        return {name: report[name].median for name in models}


def _channels(**arguments: Any) -> Callable[[], Any]:
    return lambda: netopt.callbacks.ChannelSparsity(
        end=CUT, min_channels=LEAST, **arguments
    )


def _pruning(score: str) -> Callable[[], Any]:
    """The same cut at the same point, without a penalty."""
    return lambda: netopt.callbacks.ChannelPruning(
        netopt.schedules.Steps({CUT: SHARE}),
        score=score,
        allocation="global",
        min_channels=LEAST,
        include=".",
    )


CALLBACKS: dict[str, tuple[str, Callable[[], Any]]] = {
    "slimming": (
        f"network slimming, {SLIMMING:g}, half of the channels",
        _channels(strength=SLIMMING, sparsity=SHARE),
    ),
    "lasso": (
        f"group lasso, {LASSO:g}, half of the channels",
        _channels(strength=LASSO, regularizer="group_lasso", sparsity=SHARE),
    ),
    "slimming zeros": (
        f"network slimming, {SLIMMING:g}, channels that are zero",
        _channels(strength=SLIMMING),
    ),
    "lasso zeros": (
        f"group lasso, {LASSO:g}, channels that are zero",
        _channels(strength=LASSO, regularizer="group_lasso"),
    ),
    "magnitude": (
        "ChannelPruning, magnitude, half of the channels",
        _pruning("magnitude"),
    ),
    "bn_scale": (
        "ChannelPruning, scale without a penalty, half of the channels",
        _pruning("bn_scale"),
    ),
}
