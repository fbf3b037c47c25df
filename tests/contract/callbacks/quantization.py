"""Rows of the contract for Quantization."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from contract.callback_setting import Case, Setting, idle_model

import keras_netopt as netopt
from keras_netopt.callbacks import Quantization

COMPONENT = "callbacks.Quantization"


def on_grid(bits: int) -> Callable[[Any, Any, Any], bool]:
    def is_met(before: Any, after: Any, callback: Any) -> bool:
        rows = netopt.quantization.report(after).rows
        was = netopt.quantization.report(before).rows
        return all(row.bits is None for row in was) and all(
            row.bits == bits for row in rows
        )

    return is_met


def few_values(before: Any, after: Any, callback: Any) -> bool:
    rows = netopt.quantization.report(after).rows
    return all(row.values is not None and row.values <= 6 for row in rows)


def _quantize(**changed: Any) -> Callable[[Case], Any]:
    return lambda case: Quantization(**{"bits": 4, **changed})


def _nothing_to_quantize(folder: Path) -> tuple[keras.Model, list[Any]]:
    return idle_model(), [Quantization(4)]


def _setting(name: str, bits: int) -> Setting:
    return Setting(
        name=name,
        component=COMPONENT,
        arguments=lambda case: {"bits": bits},
        effect=on_grid(bits),
        twin=lambda model, case: netopt.quantization.quantize(model, bits),
        reference=False,  # A last digit decides between two steps of a grid.
    )


SETTINGS = (
    _setting("Quantization", 4),
    _setting("Quantization ternary", 2),
    Setting(
        name="Quantization clusters",
        component=COMPONENT,
        arguments=lambda case: {"clusters": 6},
        effect=few_values,
        twin=lambda model, case: netopt.quantization.quantize(
            model, clusters=6
        ),
        reference=False,
    ),
)

IDLE = (_nothing_to_quantize, "`include`")

BAD: dict[str, Callable[[Case], Any]] = {
    "bits": _quantize(bits=5),
    "grid": _quantize(grid="twn"),
    "clusters": _quantize(clusters=4),
    "include": _quantize(include="no_such_weight"),
    "exclude": _quantize(exclude="no_such_weight"),
    "begin": _quantize(begin=1.5),
    "activations": _quantize(activations=1.5),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "bits": (_quantize(), _quantize(bits=3)),
    "grid": (_quantize(), _quantize(grid="mse")),
    "clusters": (
        lambda case: Quantization(clusters=4),
        lambda case: Quantization(clusters=5),
    ),
    "include": (_quantize(), _quantize(include="first")),
    "exclude": (_quantize(), _quantize(exclude="last")),
    "begin": (_quantize(), _quantize(begin=0.5)),
    "activations": (_quantize(), _quantize(activations=0.5)),
}
