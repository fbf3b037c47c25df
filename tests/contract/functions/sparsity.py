"""Rows of the contract for pruning."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import zoo
from contract.function_setting import NOT_A_MODEL, Call, FunctionSetting
from keras import ops

from keras_netopt import sparsity


def _make_dense(model: keras.Model) -> None:
    """Writes weights over a pruned model, masks stay."""
    model.set_weights([np.ones_like(w) for w in model.get_weights()])


def _prune(**changed: Any) -> Call:
    return lambda model, folder: sparsity.prune(
        model, **{"sparsity": 0.3, **changed}
    )


def _select(**changed: Any) -> Call:
    return lambda model, folder: sparsity.select(model, **changed)


def _compact(**changed: Any) -> Call:
    return lambda model, folder: sparsity.compact(model, **changed)


def _compact_dead(model: keras.Model, folder: Path) -> None:
    """Compacts a model with dead units, unless that is done."""
    layer = model.layers[0]
    if layer.units == zoo.compiled().layers[0].units:
        kernel = np.array(ops.convert_to_numpy(layer.kernel))
        kernel[:, :4] = 0
        layer.kernel.assign(kernel)
        sparsity.compact(model)


def _enable_lora(**changed: Any) -> Call:
    return lambda model, folder: sparsity.enable_lora(model, **changed)


def _save_dense(model: keras.Model, folder: Path) -> Path:
    path = folder / "dense.keras"
    zoo.compiled().save(path)
    return path


FUNCTIONS = (
    FunctionSetting(
        component="sparsity.prune",
        call=_prune(),
        is_pruned=False,
        changes=True,
        bad={
            "model": lambda model, folder: sparsity.prune(NOT_A_MODEL, 0.3),
            "sparsity": _prune(sparsity=1.0),
            "score": _prune(score="best"),
            "allocation": _prune(allocation="fair"),
            "pattern": _prune(pattern="diamond"),
            "include": _prune(include="no_such_weight"),
            "exclude": _prune(exclude="no_such_weight"),
            "calibration_data": _prune(score="taylor"),
            "min_size": _prune(min_size=-1),
            "min_kept": _prune(min_kept=0.5),
            "seed": _prune(seed="one"),
        },
    ),
    FunctionSetting(
        component="sparsity.compact",
        call=_compact_dead,
        is_pruned=False,
        changes=True,
        bad={
            "model": lambda model, folder: sparsity.compact(NOT_A_MODEL),
            "include": _compact(include="no_such_layer"),
            "exclude": _compact(exclude="no_such_layer"),
            "dry_run": _compact(dry_run=1),
        },
    ),
    FunctionSetting(
        component="sparsity.enable_lora",
        call=_enable_lora(rank=2),
        changes=True,
        once=True,
        bad={
            "model": lambda model, folder: sparsity.enable_lora(NOT_A_MODEL),
            "rank": _enable_lora(rank=0),
            "alpha": _enable_lora(alpha=-1.0),
            "include": _enable_lora(include="no_such_layer"),
            "exclude": _enable_lora(exclude="no_such_layer"),
        },
    ),
    FunctionSetting(
        component="sparsity.merge_lora",
        call=lambda model, folder: sparsity.merge_lora(model),
        prepare=lambda model: sparsity.enable_lora(model, rank=2),
        changes=True,
        once=True,
        bad={"model": lambda model, folder: sparsity.merge_lora(NOT_A_MODEL)},
    ),
    FunctionSetting(
        component="sparsity.select",
        call=_select(),
        bad={
            "model": lambda model, folder: sparsity.select(NOT_A_MODEL),
            "include": _select(include="no_such_weight"),
            "exclude": _select(exclude="no_such_weight"),
            "min_size": _select(min_size=-1),
        },
    ),
    FunctionSetting(
        component="sparsity.report",
        call=lambda model, folder: str(sparsity.report(model)),
        bad={"model": lambda model, folder: sparsity.report(NOT_A_MODEL)},
    ),
    FunctionSetting(
        component="sparsity.apply_masks",
        call=lambda model, folder: sparsity.apply_masks(model),
        prepare=_make_dense,
        changes=True,
        bad={
            "model": lambda model, folder: sparsity.apply_masks(zoo.compiled())
        },
    ),
    FunctionSetting(
        component="sparsity.remove_masks",
        call=lambda model, folder: sparsity.remove_masks(model),
        changes=True,
        once=True,
        bad={
            "model": lambda model, folder: sparsity.remove_masks(zoo.compiled())
        },
    ),
    FunctionSetting(
        component="sparsity.shuffle_masks",
        call=lambda model, folder: sparsity.shuffle_masks(model),
        changes=True,
        bad={
            "model": lambda model, folder: sparsity.shuffle_masks(
                zoo.compiled()
            ),
            "seed": lambda model, folder: sparsity.shuffle_masks(
                model, seed="one"
            ),
            "pattern": lambda model, folder: sparsity.shuffle_masks(
                model, pattern="diamond"
            ),
        },
    ),
    FunctionSetting(
        component="sparsity.load_masks",
        call=lambda model, folder: sparsity.load_masks(
            model, folder / "pruned.keras"
        ),
        is_pruned=False,
        changes=True,
        bad={
            "model": lambda model, folder: sparsity.load_masks(
                zoo.build("mlp"), folder / "pruned.keras"
            ),
            "path": lambda model, folder: sparsity.load_masks(
                zoo.compiled(), _save_dense(model, folder)
            ),
        },
    ),
)
