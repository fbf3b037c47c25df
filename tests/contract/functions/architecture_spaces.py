"""Contract settings of search spaces and compound scaling."""

from collections.abc import Callable
from typing import Any

import keras
from contract.function_setting import Call, FunctionSetting

from keras_netopt import search
from keras_netopt.search import spaces

IMAGE = {"input_shape": (8, 8, 1), "outputs": 2}
SEQUENCE = {"input_shape": (5, 2), "outputs": 2}
# Wrong values of the arguments of several spaces.
BAD: dict[str, Any] = {
    "input_shape": (0,),
    "outputs": 0,
    "task": "text",
    "learning_rate": 0.0,
    "layers": 0,
    "units": (4, 4),
    "activation": "softmax",
    "dropout": 1.0,
    "stages": (),
    "blocks": 0,
    "width": 0,
    "kernel": 0,
    "expansion": 0,
    "stem_strides": 0,
    "channels": 0,
    "cells": 0,
    "operations": ["none"],
    "vocabulary": 1,
    "causal": 1,
    "per_token": 1,
    "heads": 3,
    "mlp_ratio": 0,
    "cell": "rnn",
    "direction": "backward",
    "embedding": 0,
}
SHARED = ("input_shape", "outputs", "task", "learning_rate")
STAGES = ("stages", "blocks", "width", "kernel", "stem_strides")
SEQUENCES = (*SHARED, "vocabulary", "per_token", "dropout")
ARGUMENTS = {
    "mlp": (*SHARED, "layers", "units", "activation", "dropout"),
    "resnet": (*SHARED, *STAGES),
    "mobilenet": (*SHARED, *STAGES, "expansion"),
    "nas_bench_201": (*SHARED, "stages", "channels", "cells", "operations"),
    "transformer_encoder": (
        *SEQUENCES,
        *("causal", "blocks", "width", "heads", "mlp_ratio"),
    ),
    "rnn": (
        *SEQUENCES,
        *("layers", "units", "cell", "direction", "embedding"),
    ),
}


def _space(name: str) -> Callable[..., Call]:
    """The default values of a space."""
    sequence = name in ("transformer_encoder", "rnn")

    def changed(**other: Any) -> Call:
        arguments = {**(SEQUENCE if sequence else IMAGE), **other}
        make = getattr(spaces, name)
        return lambda model, folder: make(**arguments).defaults()

    return changed


def _setting(name: str) -> FunctionSetting:
    space = _space(name)
    return FunctionSetting(
        component=f"search.spaces.{name}",
        call=space(),
        is_pruned=False,
        bad={one: space(**{one: BAD[one]}) for one in ARGUMENTS[name]},
    )


def _network(scale: Any) -> keras.Model:
    size = scale.size(8)
    inputs = keras.Input((size, size, 1))
    x = inputs
    for _ in range(scale.repeats(1)):
        x = keras.layers.Conv2D(scale.channels(8), 1)(x)
    return keras.Model(inputs, x)


def _compound(**other: Any) -> Call:
    arguments = {"build": _network, "phi": (0, 1), **other}
    return lambda model, folder: spaces.compound(**arguments).phi


def _scale(**other: Any) -> Call:
    arguments = {"build": _network, "phi": 1, **other}
    return lambda model, folder: search.compound_scale(
        **arguments
    ).count_params()


def _fit(**other: Any) -> Call:
    arguments = {"build": _network, "step": 0.5, "tolerance": 0.2, **other}
    return lambda model, folder: str(search.fit_coefficients(**arguments))


FACTORS = {"alpha": 0.9, "beta": 0.9, "gamma": 0.9, "round_to": 0}
FUNCTIONS = (
    *map(_setting, ARGUMENTS),
    FunctionSetting(
        component="search.spaces.compound",
        call=_compound(),
        is_pruned=False,
        bad={
            "build": _compound(build=3),
            "phi": _compound(phi=1),
            "macs_factor": _compound(macs_factor=1.0),
            **{one: _compound(**{one: bad}) for one, bad in FACTORS.items()},
        },
    ),
    FunctionSetting(
        component="search.compound_scale",
        call=_scale(),
        is_pruned=False,
        bad={
            "build": _scale(build=3),
            "phi": _scale(phi=-1),
            "macs_factor": _scale(macs_factor=1.0),
            **{one: _scale(**{one: bad}) for one, bad in FACTORS.items()},
        },
    ),
    FunctionSetting(
        component="search.fit_coefficients",
        call=_fit(),
        is_pruned=False,
        bad={
            "build": _fit(build=3),
            "evaluate": _fit(evaluate=3),
            "macs_factor": _fit(macs_factor=1.0),
            "step": _fit(step=0.0),
            "tolerance": _fit(tolerance=0.0),
            "round_to": _fit(round_to=0),
        },
    ),
)
