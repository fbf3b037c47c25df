"""One row a public function: what it does to a model, and what it refuses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import zoo

from keras_netopt import cost, export, registry, sparsity

Call = Callable[[keras.Model, Path], Any]
NOT_A_MODEL: Any = "model"


@dataclass(frozen=True, kw_only=True, eq=False)
class FunctionSetting:
    """How one function is tried.

    Args:
        piece: The registry row, as in "sparsity.prune".
        call: Applies it to a model; the folder holds `pruned.keras` of a
            pruned twin.
        prepare: Brings a pruned or dense model into the state it is for.
        changes: Whether it changes the model.
        once: Whether a second call is refused: nothing is left to do.
        bad: One wrong value an argument.
        free: Arguments of which any value is right.
        tensorflow: Whether it works under TensorFlow only.
    """

    piece: str
    call: Call
    prepare: Callable[[keras.Model], None] = lambda model: None
    is_pruned: bool = True
    changes: bool = False
    once: bool = False
    bad: Mapping[str, Call] = field(default_factory=dict)
    free: tuple[str, ...] = ()
    tensorflow: bool = False

    def __str__(self) -> str:
        return self.piece

    @property
    def row(self) -> registry.Method:
        found = registry.get(self.piece)
        assert found is not None
        return found


def _make_dense(model: keras.Model) -> None:
    """Writes weights over a pruned model, masks stay."""
    model.set_weights([np.ones_like(w) for w in model.get_weights()])


def _prune(**changed: Any) -> Call:
    return lambda model, folder: sparsity.prune(
        model, **{"sparsity": 0.3, **changed}
    )


def _select(**changed: Any) -> Call:
    return lambda model, folder: sparsity.select(model, **changed)


def _litert(**changed: Any) -> Call:
    return lambda model, folder: export.to_litert(
        model, **{"path": folder / "model.tflite", **changed}
    )


def _latency(**changed: Any) -> Call:
    def call(model, folder):
        arguments = {"models": model, "rounds": 2, "warmup": 0, **changed}
        cost.measure_latency(**arguments)

    return call


def _save_dense(model: keras.Model, folder: Path) -> Path:
    path = folder / "dense.keras"
    zoo.compiled().save(path)
    return path


FUNCTIONS = (
    FunctionSetting(
        piece="sparsity.prune",
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
            "data": _prune(score="saliency"),
            "min_size": _prune(min_size=-1),
            "min_kept": _prune(min_kept=0.5),
            "seed": _prune(seed="one"),
        },
    ),
    FunctionSetting(
        piece="sparsity.select",
        call=_select(),
        bad={
            "model": lambda model, folder: sparsity.select(NOT_A_MODEL),
            "include": _select(include="no_such_weight"),
            "exclude": _select(exclude="no_such_weight"),
            "min_size": _select(min_size=-1),
        },
    ),
    FunctionSetting(
        piece="sparsity.report",
        call=lambda model, folder: str(sparsity.report(model)),
        bad={"model": lambda model, folder: sparsity.report(NOT_A_MODEL)},
    ),
    FunctionSetting(
        piece="sparsity.finalize",
        call=lambda model, folder: sparsity.finalize(model),
        prepare=_make_dense,
        changes=True,
        bad={"model": lambda model, folder: sparsity.finalize(zoo.compiled())},
    ),
    FunctionSetting(
        piece="sparsity.strip",
        call=lambda model, folder: sparsity.strip(model),
        changes=True,
        once=True,
        bad={"model": lambda model, folder: sparsity.strip(zoo.compiled())},
    ),
    FunctionSetting(
        piece="sparsity.load_masks",
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
    FunctionSetting(
        piece="export.to_litert",
        call=lambda model, folder: _litert()(model, folder).size,
        tensorflow=True,
        bad={
            "model": lambda model, folder: _litert()(NOT_A_MODEL, folder),
            "path": _litert(path="model.pb"),
            "quantize": _litert(quantize="int3"),
            "sparse": _litert(sparse=True, quantize="int16x8"),
            "representative_data": _litert(
                representative_data=np.zeros((4, 9), "float32")
            ),
            "quantized_io": _litert(quantized_io=True),
            "input_signature": _litert(
                input_signature=[keras.InputSpec(shape=(1, 8))] * 2
            ),
        },
        free=("allow_select_tf_ops", "seed"),
    ),
    FunctionSetting(
        piece="cost.summarize",
        call=lambda model, folder: str(cost.summarize(model)),
        bad={
            "model": lambda model, folder: cost.summarize(NOT_A_MODEL),
            "input_shape": lambda model, folder: cost.summarize(
                model, input_shape=((1, 8), (1, 8))
            ),
        },
    ),
    FunctionSetting(
        piece="cost.measure_latency",
        call=lambda model, folder: _latency(x=zoo.data("mlp")[0])(
            model, folder
        ),
        bad={
            "models": _latency(models=3),
            "x": _latency(models=sum),
            "rounds": _latency(rounds=0),
            "warmup": _latency(warmup=-1),
        },
    ),
)
BY_PIECE = {setting.piece: setting for setting in FUNCTIONS}
