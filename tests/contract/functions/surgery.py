"""Rows of the contract for channel surgery."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import zoo
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting

from keras_netopt import surgery


def _remove(**changed: Any) -> Call:
    def call(model, folder):
        units = {model.layers[0]: [0, 3]}
        surgery.remove(model, **{"units": units, **changed})

    return call


def _prune_channels(**changed: Any) -> Call:
    return lambda model, folder: surgery.prune_channels(
        model, **{"sparsity": 0.5, "min_channels": 1, **changed}
    )


def _widen(**changed: Any) -> Call:
    def call(model, folder):
        surgery.widen(model, **{"layer": model.layers[0], "add": 2, **changed})

    return call


def _deepen(**changed: Any) -> Call:
    def call(model, folder):
        surgery.deepen(model, **{"layer": model.layers[0], **changed})

    return call


def _replay(model: keras.Model, folder: Path) -> None:
    surgery.replay(model, _save_smaller(folder))


def _save_smaller(folder: Path) -> Path:
    """The weights of an equal model after a removal."""
    path = folder / "cut.weights.h5"
    twin = zoo.compiled()
    twin.optimizer.build(twin.trainable_variables)
    surgery.remove(twin, {twin.layers[0]: [1]})
    twin.save_weights(path)
    return path


class _Own(keras.layers.Layer):
    """A layer without a handler."""


FUNCTIONS = (
    FunctionSetting(
        component="surgery.prune_channels",
        call=_prune_channels(),
        is_pruned=False,
        changes=True,
        bad={
            "model": lambda model, folder: surgery.prune_channels(
                NOT_A_MODEL, 0.5
            ),
            "sparsity": _prune_channels(sparsity=1.0),
            "input_shape": _prune_channels(input_shape="long"),
            "score": _prune_channels(score="best"),
            "allocation": _prune_channels(allocation="fair"),
            "resource": _prune_channels(resource="speed"),
            "round_to": _prune_channels(round_to=0),
            "min_channels": _prune_channels(min_channels=0),
            "include": _prune_channels(include="no_such_layer"),
            "exclude": _prune_channels(exclude="no_such_layer"),
            "calibration_data": _prune_channels(score="taylor"),
            "meter": _prune_channels(resource="latency"),
            "recalibrate": _prune_channels(recalibrate="yes"),
            "seed": _prune_channels(seed=-1),
            "allow_inexact": _prune_channels(allow_inexact=1),
        },
        free=("dry_run",),
    ),
    FunctionSetting(
        component="surgery.widen",
        layers=("layer", "kind"),
        call=_widen(),
        is_pruned=False,
        changes=True,
        bad={
            "model": lambda model, folder: surgery.widen(
                NOT_A_MODEL, "a", add=1
            ),
            "layer": _widen(layer="missing"),
            "to": _widen(add=None, to=1),
            "factor": _widen(add=None, factor=0.5),
            "add": _widen(add=0),
            "new_units": _widen(new_units="even"),
            "round_to": _widen(round_to=0),
            "kind": _widen(kind="heads"),
            "calibration_data": _widen(new_units="gradmax"),
            "seed": _widen(seed="one"),
        },
        free=("dry_run",),
    ),
    FunctionSetting(
        component="surgery.deepen",
        layers=("layer",),
        call=_deepen(),
        is_pruned=False,
        changes=True,
        bad={
            "model": lambda model, folder: surgery.deepen(NOT_A_MODEL, "a"),
            "layer": _deepen(layer="missing"),
            "copies": _deepen(copies=0),
            "init": _deepen(init="zero"),
            "block": _deepen(block=3),
            "seed": _deepen(seed="one"),
        },
        free=("dry_run",),
    ),
    FunctionSetting(
        component="surgery.remove",
        layers=("units",),
        call=_remove(),
        is_pruned=False,
        changes=True,
        bad={
            "model": lambda model, folder: surgery.remove(NOT_A_MODEL, {}),
            "units": _remove(units={0: [1]}),
        },
        free=("allow_inexact", "dry_run"),
    ),
    FunctionSetting(
        component="surgery.explain",
        layers=("layer", "kind"),
        call=lambda model, folder: str(surgery.explain(model, model.layers[0])),
        bad={
            "model": lambda model, folder: surgery.explain(NOT_A_MODEL, "a"),
            "layer": lambda model, folder: surgery.explain(model, "missing"),
            "kind": lambda model, folder: surgery.explain(
                model, model.layers[0], kind="value_size"
            ),
        },
    ),
    FunctionSetting(
        component="surgery.snapshot",
        call=lambda model, folder: surgery.snapshot(model).inference[0].shape,
        bad={
            "model": lambda model, folder: surgery.snapshot(NOT_A_MODEL),
            "x": lambda model, folder: surgery.snapshot(
                model, np.zeros((0, 8))
            ),
        },
    ),
    FunctionSetting(
        component="surgery.check_preserved",
        call=lambda model, folder: surgery.check_preserved(model, model),
        bad={
            "before": lambda model, folder: surgery.check_preserved(
                NOT_A_MODEL, model
            ),
            "after": lambda model, folder: surgery.check_preserved(
                surgery.snapshot(model), NOT_A_MODEL
            ),
            "x": lambda model, folder: surgery.check_preserved(
                model, model, np.zeros((0, 8))
            ),
            "tolerance": lambda model, folder: surgery.check_preserved(
                model, model, tolerance=0
            ),
        },
    ),
    FunctionSetting(
        component="surgery.replay",
        call=lambda model, folder: _replay(model, folder),
        is_pruned=False,
        changes=True,
        bad={
            "model": lambda model, folder: surgery.replay(NOT_A_MODEL, []),
            "edits": lambda model, folder: surgery.replay(
                model, [{"operation": "explode"}]
            ),
        },
    ),
    FunctionSetting(
        component="surgery.register",
        call=lambda model, folder: (
            surgery.register(_Own, surgery.Handler) is surgery.Handler
        ),
        bad={
            "layer_class": lambda model, folder: surgery.register("Dense"),
            "handler": lambda model, folder: surgery.register(_Own, _Own),
        },
    ),
)
