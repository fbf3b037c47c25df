"""Right arguments of every public constructor.

Those of callbacks, layers, oracles and tuners are the contract's.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
from contract import callback_setting, layer_settings, oracles, settings
from environments_by_hand import Chain

import keras_netopt as netopt
from keras_netopt import registry, search

Arguments = Mapping[str, Any]
ROWS = {row.name: row for row in registry.METHODS if row.kind != "function"}


def small(*units: int) -> keras.Model:
    inputs = x = keras.Input((3,))
    for n in units or (4, 2):
        x = keras.layers.Dense(n)(x)
    model = keras.Model(inputs, x)
    model.compile("sgd", "mse")
    return model


def column(inputs: Any) -> Any:
    return [keras.layers.Dense(4, "relu")(inputs)]


def _agent(folder: Path) -> Arguments:
    return {"model": small(2), "environment": Chain}


def _hyper(hp: Any) -> keras.Model:
    hp.Float("rate", 0.1, 1.0)
    return small(2)


def _column(folder: Path) -> Arguments:
    return {"column": column, "inputs": keras.Input((3,))}


def _nothing(folder: Path) -> Arguments:
    return {}


OTHERS: dict[str, Callable[[Path], Arguments]] = {
    "callbacks.ArchitectureSearch": _nothing,
    "callbacks.ElasticWeightConsolidation": _nothing,
    "curriculum.SuperLoss": lambda folder: {"base_loss": "mse", "tau": 0.1},
    "progressive.ProgressiveNetwork": _column,
    "progressive.ProgressCompress": _column,
    "rl.PolicyGradient": _agent,
    "rl.DQN": _agent,
    "rl.PolicyGradientLoss": _nothing,
    "rl.QLoss": _nothing,
    "learning_rate.OneCycle": lambda folder: {
        "max_learning_rate": 0.1,
        "total_steps": 10,
    },
    "learning_rate.Triangular": lambda folder: {
        "min_learning_rate": 0.1,
        "max_learning_rate": 0.2,
        "half_cycle": 4,
    },
    "learning_rate.Warmup": lambda folder: {
        "schedule": 0.1,
        "warmup_steps": 5,
    },
    "learning_rate.WarmupStableDecay": lambda folder: {
        "max_learning_rate": 0.1,
        "total_steps": 10,
        "warmup_steps": 2,
        "decay_steps": 3,
    },
    "learning_rate.InverseSquareRoot": lambda folder: {
        "max_learning_rate": 0.1,
        "warmup_steps": 4,
    },
    "search.Tuner": lambda folder: {
        "hypermodel": _hyper,
        "oracle": search.RandomSearchOracle("val_loss", 2),
        "directory": folder,
    },
    "search.Morphism": lambda folder: {"parent": small(4, 2)},
    "search.ASHA": _nothing,
    "search.MedianStopping": _nothing,
    "search.PatienceStopping": _nothing,
    "search.RayExecutor": _nothing,
    "search.MaxParams": lambda folder: {"at_most": 100},
    "search.MaxMACs": lambda folder: {"at_most": 100},
    "search.MaxBytes": lambda folder: {"at_most": 100},
    "search.MaxLatency": lambda folder: {"at_most": 1.0},
    "search.LatencyTable": lambda folder: {
        "blocks": {"a": {"b": 1.0}},
        "fixed": 1.0,
    },
}


@functools.cache
def find(name: str) -> Any:
    """The class of a row."""
    found: Any = netopt
    for part in name.split("."):
        found = getattr(found, part)
    return found


def parameters(name: str) -> list[str]:
    """Names of its arguments; those of an oracle's base included."""
    own = inspect.signature(find(name)).parameters
    names = [p.name for p in own.values() if p.kind is not p.VAR_KEYWORD]
    if ROWS[name].kind == "oracle" and "options" in own:
        names += inspect.signature(search.SearchOracle).parameters
        if not oracles.BY_COMPONENT[name].takes_trials:
            names.remove("max_trials")
    return list(dict.fromkeys(names))


def arguments(name: str, folder: Path) -> Arguments:
    """Right arguments of a constructor, made anew."""
    if name in OTHERS:
        return OTHERS[name](folder)
    if name in settings.COMPONENTS:
        case = callback_setting.case("mlp", folder)
        return settings.COMPONENTS[name].arguments(case)
    for layer in layer_settings.LAYERS:
        if layer.component == name:
            return layer.arguments()
    setting = oracles.BY_COMPONENT[name.removesuffix("Oracle") + "Oracle"]
    given = {"objective": setting.objective, **setting.arguments}
    if ROWS[name].kind == "tuner":
        return {"hypermodel": _hyper, "directory": folder, **given}
    return given
