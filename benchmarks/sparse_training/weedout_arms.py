"""Data, networks and rows of the benchmark of Weedout."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_netopt.graph.layers import variable_keys
from keras_netopt.training.compiled_clone import clone_compiled
from keras_netopt.training.mask_store import MaskStore

# Fixed before the first run.
SEEDS = tuple(range(24))
TRAINED, TESTED = 9_600, 10_000
BATCH, STEPS, PART = 64, 600, 50
RATE = 0.1
CANDIDATES, SCORED = 100, 512
SPARSITIES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Row:
    """One question to Weedout.

    Args:
        title: For the tables.
        arguments: Of `search.weedout`.
        width: Factor of the widths of the parent.
        cuts: Steps of training before each search; the last search leaves
            `sparsity` of the units.
        nets: The networks it is measured on.
    """

    title: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    width: int = 1
    cuts: tuple[int, ...] = (0,)
    nets: tuple[str, ...] = ("mlp", "cnn")

    @property
    def sparsity(self) -> float:
        """The share that is removed."""
        return float(self.arguments.get("sparsity", 0.8))


def _weights(**more: Any) -> dict[str, Any]:
    return {"granularity": "weight", **more}


ROWS = {
    **{
        f"sparsity {one:g}": Row(f"{one:.0%} of the nodes", {"sparsity": one})
        for one in SPARSITIES
    },
    "genetic": Row("genetic algorithm", {"heuristic": "genetic"}),
    "genetic 1000": Row(
        "genetic algorithm, 1,000 evaluations",
        {"heuristic": "genetic", "candidates": 1000},
    ),
    "best of 10": Row("random, 10 evaluations", {"candidates": 10}),
    "best of 1000": Row("random, 1,000 evaluations", {"candidates": 1000}),
    "global": Row("global, nodes", {"scope": "global"}),
    "erk": Row("non-uniform (ERK), nodes", {"allocation": "erk"}),
    "weights": Row("unstructured, uniform", _weights()),
    "weights global": Row("unstructured, global", _weights(scope="global")),
    "weights erk": Row("unstructured, ERK", _weights(allocation="erk")),
    "inputs": Row("inputs masked, too", {"mask_inputs": True}, nets=("mlp",)),
    "width 2": Row("parent twice as wide", width=2),
    "width 4": Row("parent four times as wide", width=4),
    "warm": Row("after 100 steps of training", cuts=(100,)),
    "late": Row("after 300 steps of training", cuts=(300,)),
    "during": Row("in two parts, after 200 and 400 steps", cuts=(200, 400)),
}
TITLES = {"mlp": "MLP 784-300-100-10", "cnn": "CNN 16-32-64"}


def build(
    net: str, width: int, seed: int, sparsity: float = 0.0
) -> keras.Model:
    """Returns a fresh network, compiled, as narrow as a sub-network of it."""
    keras.utils.set_random_seed(seed)

    def units(count: int) -> int:
        return max(1, round(count * width * (1 - sparsity)))

    relu = {"activation": "relu"}
    if net == "mlp":
        parts = [
            keras.Input((784,)),
            layers.Dense(units(300), name="first", **relu),
            layers.Dense(units(100), name="second", **relu),
        ]
    else:
        conv = {"kernel_size": 3, "strides": 2, "padding": "same", **relu}
        parts = [
            keras.Input((14, 14, 1)),
            layers.Conv2D(units(16), name="first", **conv),
            layers.Conv2D(units(32), name="second", **conv),
            layers.Flatten(),
            layers.Dense(units(64), name="third", **relu),
        ]
    model = keras.Sequential([*parts, layers.Dense(10, name="out")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rate = keras.optimizers.schedules.CosineDecay(RATE, STEPS)
    model.compile(keras.optimizers.SGD(rate), loss, metrics=["accuracy"])
    return model


@functools.cache
def data(net: str) -> tuple[np.ndarray, ...]:
    """Returns training and test arrays, pixels in [0, 1]."""
    (x, y), (xt, yt) = keras.datasets.fashion_mnist.load_data()
    x, xt = x[:TRAINED], xt[:TESTED]
    shape = (lambda a: a.reshape(len(a), 784)) if net == "mlp" else _pooled
    return (
        shape(x).astype("float32") / 255,
        y[:TRAINED].astype("int32"),
        shape(xt).astype("float32") / 255,
        yt[:TESTED].astype("int32"),
    )


def _pooled(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), 14, 2, 14, 2).mean((2, 4))[..., None]


class Trainer:
    """Trains networks; those of the same shapes share a compiled step.

    Args:
        net: "mlp" or "cnn".
    """

    def __init__(self, net: str) -> None:
        self._data = data(net)
        self._traced: dict[Any, keras.Model] = {}

    def fit(
        self, model: keras.Model, steps: int, seed: int, begin: int = 0
    ) -> list[float]:
        """Trains a model, and returns the loss of each 50 steps.

        `begin` is the number of steps before, for the learning rate.
        """
        traced = self._borrow(model)
        keras.utils.set_random_seed(seed)
        traced.optimizer.iterations.assign(begin)
        losses = self._fit(traced, steps // PART)
        model.set_weights(traced.get_weights())
        return [round(float(one), 4) for one in losses]

    def _fit(self, model: keras.Model, parts: int) -> list[float]:
        x, y, *_ = self._data
        history = model.fit(
            x,
            y,
            batch_size=BATCH,
            steps_per_epoch=PART,
            epochs=parts,
            verbose=0,
        )
        return list(history.history["loss"])

    def test(self, model: keras.Model) -> float:
        """Returns the test accuracy."""
        traced = self._borrow(model)
        *_, x, y = self._data
        _, accuracy = traced.evaluate(x, y, batch_size=1000, verbose=0)
        return round(float(accuracy), 4)

    def _borrow(self, model: keras.Model) -> keras.Model:
        """Returns a model of the same shapes, masks and weights."""
        store = MaskStore.of(model)
        shapes = tuple(tuple(v.shape) for v in model.weights)
        key = shapes, () if store is None else store.keys
        if key not in self._traced:
            traced = clone_compiled(model)
            if store is not None:
                MaskStore.attach(traced, _masked(traced, store))
            # The first `fit` of a model draws other batches than later ones.
            self._fit(traced, 1)
            self._traced[key] = traced
        traced = self._traced[key]
        traced.set_weights(model.get_weights())
        held = MaskStore.of(traced)
        if store is not None and held is not None:
            held.assign(store.masks())
        return traced


def _masked(model: keras.Model, store: MaskStore) -> dict[str, Any]:
    keys = {key: id_ for id_, key in variable_keys(model).items()}
    weights = {id(v): v for v in model.weights}
    return {key: weights[keys[key]] for key in store.keys}
