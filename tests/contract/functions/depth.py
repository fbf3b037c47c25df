"""Contract settings of the adaptive-depth functions."""

from typing import Any

import keras
import numpy as np
from contract import zoo
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting

from keras_netopt import depth, layers


def _droppable() -> keras.Model:
    blocks = [keras.layers.Dense(4) for _ in range(3)]
    stack = layers.LayerDrop(blocks)
    return keras.Sequential([keras.Input((4,)), stack])


def _dropping(**changed: Any) -> Call:
    def call(model, folder):
        inputs = keras.Input((4,))
        total = inputs + keras.layers.Dense(4)(inputs)
        residual = keras.Model(inputs, total)
        return depth.add_stochastic_depth(residual, **changed)

    return call


def _add_exits(**changed: Any) -> Call:
    return lambda model, folder: (
        depth.add_exits(model, **{"layers": ["hidden"], **changed}).exit_names
    )


def _calibrate(**changed: Any) -> Call:
    x, y = zoo.data("mlp", samples=120)

    def call(model, folder):
        keras.utils.set_random_seed(7)  # The heads are initialized anew.
        arguments = {
            "exit_model": depth.add_exits(model, layers=["hidden"]),
            "x": x,
            "y": y,
            "max_macs": 200,
            **changed,
        }
        return depth.calibrate(**arguments).thresholds

    return call


FUNCTIONS = (
    FunctionSetting(
        component="depth.add_stochastic_depth",
        call=lambda model, folder: _dropping()(model, folder).count_params(),
        bad={
            "model": lambda model, folder: depth.add_stochastic_depth(
                NOT_A_MODEL
            ),
            "rate": _dropping(rate=1.5),
            "mode": _dropping(mode="step"),
            "scale": _dropping(scale="both"),
            "seed": _dropping(seed=-1),
        },
    ),
    FunctionSetting(
        component="depth.extract_subnetwork",
        call=lambda model, folder: depth.extract_subnetwork(
            _droppable()
        ).count_params(),
        bad={
            "model": lambda model, folder: depth.extract_subnetwork(
                NOT_A_MODEL
            ),
            "keep": lambda model, folder: depth.extract_subnetwork(
                _droppable(), [9]
            ),
            "copy": lambda model, folder: depth.extract_subnetwork(
                _droppable(), copy=1
            ),
        },
    ),
    FunctionSetting(
        component="depth.linear_rates",
        call=lambda model, folder: depth.linear_rates(3, 0.5),
        bad={
            "count": lambda model, folder: depth.linear_rates(0, 0.5),
            "last": lambda model, folder: depth.linear_rates(3, 1.5),
        },
    ),
    FunctionSetting(
        component="depth.add_exits",
        call=_add_exits(),
        is_pruned=False,
        bad={
            "model": lambda model, folder: depth.add_exits(NOT_A_MODEL),
            "layers": _add_exits(layers=["hiden"]),
            "heads": _add_exits(heads=[NOT_A_MODEL]),
            "loss_weights": _add_exits(loss_weights=-1),
            "distill_temperature": _add_exits(distill_temperature=0),
            "freeze_backbone": _add_exits(freeze_backbone=1),
        },
        free=("name",),
    ),
    FunctionSetting(
        component="depth.calibrate",
        call=_calibrate(),
        is_pruned=False,
        bad={
            "exit_model": _calibrate(exit_model=NOT_A_MODEL),
            "x": _calibrate(x=np.zeros((0, 8), "float32")),
            "y": _calibrate(y=np.zeros(3)),
            "max_accuracy_drop": _calibrate(
                max_macs=None, max_accuracy_drop=1.0
            ),
            "max_macs": _calibrate(max_macs=-1),
            "max_latency_ms": _calibrate(max_macs=None, max_latency_ms=0),
            "criterion": _calibrate(criterion="gut"),
            "confidence_level": _calibrate(confidence_level=0.9),
        },
    ),
)
