"""One row a setting of a public layer; `test_layers` reads it.

A new layer is a new row here and in `keras_netopt.registry`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers as core

from keras_netopt import layers, registry

Arguments = Mapping[str, Any]
SHAPE = (6, 4)
NOT_A_LAYER: Any = "block"


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerSetting:
    """How one layer is tried, in the middle of a small model.

    Args:
        name: What the tests are called after.
        piece: The registry row, as in "layers.StochasticDepth".
        arguments: Makes the constructor's arguments, blocks and all.
        effect: `(layer, inputs) -> bool`: whether the layer does what it is
            for, on a trained model.
        neutral: Arguments with which the layer computes `plain`.
        plain: What the model computes in the layer's place where the layer
            does nothing, from its inputs and the neutral arguments.
        bad: One wrong value an argument, as arguments.
    """

    name: str
    piece: str
    arguments: Callable[[], Arguments]
    effect: Callable[[Any, np.ndarray], bool]
    neutral: Callable[[], Arguments]
    plain: Callable[[Any, Arguments], Any]
    bad: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    @property
    def row(self) -> registry.Method:
        found = registry.get(self.piece)
        assert found is not None
        return found

    @property
    def kind(self) -> Any:
        return getattr(layers, self.row.short_name)

    def build(self, **changed: Any) -> Any:
        return self.kind(**{**self.arguments(), **changed})


def block(width: int = 4) -> keras.layers.Layer:
    """A small block; batch statistics move fast, no dropout."""
    return keras.Sequential(
        [
            core.Dense(8, activation="relu"),
            core.BatchNormalization(momentum=0.9),
            core.Dense(width),
        ]
    )


def drops_samples(layer: Any, x: np.ndarray) -> bool:
    """At the rate given, and none at all in inference."""
    dropped = _unchanged(layer(x, training=True), x).mean()
    return 0.0 < dropped < 1.0 and not _unchanged(layer(x), x).any()


def drops_steps(layer: Any, x: np.ndarray) -> bool:
    steps = [_unchanged(layer(x, training=True), x).mean() for _ in range(12)]
    return set(steps) == {0.0, 1.0} and not _unchanged(layer(x), x).any()


def _unchanged(outputs: Any, x: np.ndarray) -> np.ndarray:
    """Which samples came out as they went in."""
    outputs = keras.ops.convert_to_numpy(keras.ops.stop_gradient(outputs))
    return (np.asarray(outputs) == x).reshape(len(x), -1).all(axis=1)


def _stochastic(**changed: Any) -> Callable[[], Arguments]:
    return lambda: {"block": block(), "rate": 0.5, "seed": 3, **changed}


_BAD_STOCHASTIC = {
    "block": NOT_A_LAYER,
    "rate": 1.5,
    "mode": "step",
    "scale": "both",
    "residual": 1,
    "seed": -1,
}
LAYERS = (
    LayerSetting(
        name="StochasticDepth",
        piece="layers.StochasticDepth",
        arguments=_stochastic(mode="batch"),
        effect=drops_steps,
        neutral=_stochastic(mode="batch", rate=0.0),
        plain=lambda x, given: x + given["block"](x),
        bad=_BAD_STOCHASTIC,
    ),
    LayerSetting(
        name="StochasticDepth sample",
        piece="layers.StochasticDepth",
        arguments=_stochastic(scale="inference"),
        effect=drops_samples,
        neutral=_stochastic(rate=0.0),
        plain=lambda x, given: x + given["block"](x),
    ),
)
BY_PIECE = {setting.piece: setting for setting in reversed(LAYERS)}
