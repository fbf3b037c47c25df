"""Every layer, in the middle of a model, and exits and searches on them."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import keras_netopt as netopt
from benchmarks.distribution.piece import (
    BATCH,
    CLASSES,
    Piece,
    compiled,
    data,
)
from keras_netopt import callbacks as ours
from keras_netopt import layers

TOKENS = (6, 8)


def block(name: str = "hidden") -> keras.layers.Layer:
    """A residual branch whose first kernel and bias can be sharded."""
    return keras.Sequential(
        [
            keras.layers.Dense(16, "tanh", name=name),
            keras.layers.Dense(8, name=f"{name}_out"),
        ],
        name=f"block_{name}",
    )


def _around(
    make: Callable[[], Any], shape: tuple[int, ...] = (8,)
) -> Callable[[], keras.Model]:
    """A model with the layer between two dense layers."""

    def build() -> keras.Model:
        keras.utils.set_random_seed(7)
        inputs = keras.Input(shape)
        x = keras.layers.Dense(8, "tanh", name="hidden_first")(inputs)
        x = make()(x)
        if len(x.shape) > 2:
            x = keras.layers.GlobalAveragePooling1D()(x)
        outputs = keras.layers.Dense(CLASSES, name="last")(x)
        return compiled(keras.Model(inputs, outputs))

    return build


def _exits(**changed: Any) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        keras.utils.set_random_seed(7)
        inputs = keras.Input((8,))
        x = keras.layers.Dense(16, "tanh", name="hidden")(inputs)
        head = keras.layers.Dense(CLASSES, "softmax", name="early_head")
        x = layers.EarlyExit(head, name="early")(x)
        x = keras.layers.Dense(16, "tanh", name="hidden_deep")(x)
        x = keras.layers.Dense(CLASSES, "softmax", name="last")(x)
        model = netopt.depth.add_exits(keras.Model(inputs, x), **changed)
        return compiled(model, loss="sparse_categorical_crossentropy")

    return build


def _calibrate(model: Any, x: Any, y: Any, listed: Any) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    held = np.repeat(x, 2, axis=0) + rng.normal(size=(2 * len(x), 8)) * 0.5
    found = netopt.depth.calibrate(
        model, held.astype("float32"), np.repeat(y, 2), max_accuracy_drop=0.02
    )
    thresholds = [
        np.nan if one is None else one for one in found.thresholds.values()
    ]
    return {
        "thresholds": np.nan_to_num(np.array(thresholds, float), nan=-1.0),
        "fractions": list(found.fractions.values()),
        "accuracy": found.accuracy,
        # "auto" would choose by time.
        "predictions": found.predict(x[:BATCH], mode="stages"),
    }


def _ponder() -> keras.Model:
    keras.utils.set_random_seed(7)
    inputs = keras.Input((8,))
    layer = layers.AdaptiveComputation(block(), 3, mode="ponder", seed=3)
    x = keras.layers.Dense(CLASSES, name="last")(layer(inputs))
    model = netopt.depth.PonderModel(inputs, x)
    return compiled(model)


def _supernet(**changed: Any) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        keras.utils.set_random_seed(7)
        inputs = keras.Input((8,))
        x = keras.layers.Dense(8, "tanh", name="hidden_first")(inputs)
        options = [block(), keras.layers.Dense(8, "tanh", name="hidden_b")]
        x = layers.Choice(options, name="edge", seed=3)(x)
        outputs = keras.layers.Dense(CLASSES, name="last")(x)
        return compiled(keras.Model(inputs, outputs), **changed)

    return build


def _search(method: str, **changed: Any) -> Callable[..., list[Any]]:
    class Source(keras.callbacks.Callback):
        def dataset(self, size: int) -> Any:
            order = changed.get("order", 1)
            return netopt.search.dataset(*data(), batch_size=size, order=order)

    return lambda model, x, y, folder: [
        Source(),
        ours.ArchitectureSearch(method, evaluations=3, verbose=0, **changed),
    ]


def _found(model: Any, x: Any, y: Any, listed: Any) -> dict[str, Any]:
    return {"architecture": list(listed[-1].architecture.values())}


def _column() -> keras.Model:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8,))
    return keras.Model(
        inputs, [keras.layers.Dense(8, "tanh", name="column")(inputs)]
    )


def _frozen() -> Any:
    layer = layers.FrozenColumn(_column())
    return lambda x: x + layer(x)[0]


def _lateral() -> Any:
    layer = layers.LateralConnection(adapter_width=4)
    side = keras.layers.Dense(8, "tanh", name="side")
    return lambda x: layer([x, side(x)])


def _decided() -> Any:
    decision = layers.ArchitectureWeights(2, sampling="fair", seed=3)
    choice = layers.Choice([block(), keras.layers.Identity()])
    return lambda x: choice([x, decision(x)])


def _elastic_convolution() -> Any:
    layer = layers.ElasticConv2D(
        4, 3, widths=(2, 4), kernel_sizes=(1, 3), sampling="fair", seed=3
    )
    image = keras.layers.Reshape((2, 4, 1))
    return lambda x: keras.layers.Flatten()(layer(image(x)))


LAYERS: tuple[tuple[str, Callable[[], Any]], ...] = (
    (
        "StochasticDepth per sample",
        lambda: layers.StochasticDepth(block(), 0.5, seed=3),
    ),
    (
        "StochasticDepth per batch",
        lambda: layers.StochasticDepth(block(), 0.5, mode="batch", seed=3),
    ),
    (
        "LayerDrop",
        lambda: layers.LayerDrop(
            [block(), block("hidden_b")], 0.5, residual=True, seed=3
        ),
    ),
    ("SkipGate", lambda: layers.SkipGate(block(), cost_weight=5.0)),
    (
        "SkipGate in LayerDrop",
        lambda: layers.LayerDrop(
            [layers.SkipGate(block(), cost_weight=5.0)], 0.5, seed=3
        ),
    ),
    ("AdaptiveComputation", lambda: layers.AdaptiveComputation(block(), 3)),
    (
        "AdaptiveComputation ponder",
        lambda: layers.AdaptiveComputation(
            block(), 3, mode="ponder", halt_at="sample", seed=3
        ),
    ),
    (
        "Choice fair",
        lambda: layers.Choice(
            [block(), keras.layers.Identity()], sampling="fair", seed=3
        ),
    ),
    (
        "Choice mixture",
        lambda: layers.Choice([block(), keras.layers.Identity()], seed=3),
    ),
    ("ArchitectureWeights", _decided),
    (
        "ElasticDense",
        lambda: layers.ElasticDense(
            8, widths=(4, 8), activation="tanh", sampling="uniform", seed=3
        ),
    ),
    ("ElasticConv2D", _elastic_convolution),
    (
        "ElasticDepth",
        lambda: layers.ElasticDepth(
            [block(), block("hidden_b")],
            (0, 2),
            residual=True,
            sampling="uniform",
            seed=3,
        ),
    ),
    (
        "WeightNormalization",
        lambda: layers.WeightNormalization(
            keras.layers.Dense(8, "tanh", name="hidden")
        ),
    ),
    ("FrozenColumn", _frozen),
    ("LateralConnection", _lateral),
)
TOKEN_LAYERS: tuple[tuple[str, Callable[[], Any]], ...] = (
    ("MixtureOfDepths", lambda: layers.MixtureOfDepths(block(), 0.5)),
    (
        "MixtureOfDepths causal",
        lambda: layers.MixtureOfDepths(block(), 0.5, causal=True),
    ),
)
PIECES = (
    *(Piece(name=name, model=_around(make)) for name, make in LAYERS),
    *(
        Piece(name=name, model=_around(make, TOKENS), shape=TOKENS)
        for name, make in TOKEN_LAYERS
    ),
    Piece(name="PonderModel", model=_ponder),
    Piece(name="EarlyExit, calibrate", model=_exits(), after=_calibrate),
    Piece(
        name="EarlyExit, distillation",
        model=_exits(distill_temperature=2.0),
        after=_calibrate,
    ),
    Piece(
        name="ArchitectureSearch single path",
        model=_supernet(),
        callbacks=_search("single_path"),
        after=_found,
    ),
    Piece(
        name="ArchitectureSearch darts",
        model=_supernet(),
        callbacks=_search("darts"),
        after=_found,
    ),
    Piece(
        name="ArchitectureSearch darts, order 2",
        model=_supernet(),
        callbacks=_search("darts", order=2),
        after=_found,
    ),
)
