"""Contract settings of LayerwiseLearningRates."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import zoo
from contract.callback_setting import Case, Setting

from keras_netopt.callbacks import LayerwiseLearningRates
from keras_netopt.fine_tuning.layer_groups import find_weighted_layers

COMPONENT = "callbacks.LayerwiseLearningRates"
BACKEND = keras.backend.backend()


def first_layer_moved_less(before: Any, after: Any, callback: Any) -> bool:
    """Than the layer that moved most."""
    moved = []
    for model in zip(
        find_weighted_layers(before), find_weighted_layers(after), strict=True
    ):
        then, now = (list(map(_read, layer.trained)) for layer in model)
        gaps = [
            float(np.sqrt(np.mean((new - old) ** 2)))
            for old, new in zip(then, now, strict=True)
        ]
        moved.append(max(gaps))
    return moved[0] < 0.75 * max(moved[1:])


def _read(variable: Any) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(variable), "float32")


def _rates(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: LayerwiseLearningRates(
        **{"rates": {"first": 0.05}, **changed}
    )


class _NoOptimizer(keras.Sequential):
    if BACKEND == "jax":

        def train_step(self, state: Any, data: Any) -> Any:
            return {"loss": 0.0}, state

    else:

        def train_step(self, data: Any) -> Any:
            return {"loss": 0.0}


def _step_without_an_optimizer(
    folder: Path,
) -> tuple[keras.Model, list[Any]]:
    model = _NoOptimizer(zoo.build("mlp").layers)
    model.build((None, 8))
    model.compile("sgd", jit_compile=False)
    return model, [LayerwiseLearningRates({"first": 0.05})]


SETTINGS = (
    Setting(
        name="LayerwiseLearningRates",
        component=COMPONENT,
        arguments=lambda case: {"rates": {"first": 0.05}},
        neutral=lambda case: {"rates": {"first": 1.0}, "decay": 1.0},
        effect=first_layer_moved_less,
        reference=False,
    ),
)

IDLE = (_step_without_an_optimizer, "`optimizer.apply`")

BAD: dict[str, Callable[[Case], Any]] = {
    "rates": _rates(rates={"no_such_layer": 0.5}),
    "decay": _rates(decay=1.5),
    "groups": _rates(decay=0.5, groups=["no_such_layer", "out"]),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "rates": (_rates(), _rates(rates={"first": 0.5})),
    "decay": (
        _rates(rates={"first": 0.5}),
        _rates(rates={"first": 0.5}, decay=0.5),
    ),
    "groups": (
        _rates(rates=None, decay=0.5),
        _rates(rates=None, decay=0.5, groups=["hidden", "out"]),
    ),
}
