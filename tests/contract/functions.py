"""One row a public function: what it does to a model, and what it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import search_functions, zoo
from contract.function_setting import Call, FunctionSetting

from keras_netopt import (
    cost,
    curriculum,
    depth,
    export,
    layers,
    learning_rate,
    schedules,
    sparsity,
    surgery,
)

NOT_A_MODEL: Any = "model"


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


def _remove(**changed: Any) -> Call:
    def call(model, folder):
        units = {model.layers[0]: [0, 3]}
        surgery.remove(model, **{"units": units, **changed})

    return call


def _prune_channels(**changed: Any) -> Call:
    return lambda model, folder: surgery.prune_channels(
        model, **{"ratio": 0.5, "min_channels": 1, **changed}
    )


def _widen(**changed: Any) -> Call:
    def call(model, folder):
        surgery.widen(model, **{"layer": model.layers[0], "add": 2, **changed})

    return call


def _deepen(**changed: Any) -> Call:
    def call(model, folder):
        surgery.deepen(model, **{"after": model.layers[0], **changed})

    return call


def _replay(model: keras.Model, folder: Path) -> None:
    surgery.replay(model, _cut_twin(folder))


def _cut_twin(folder: Path) -> Path:
    """The weights of a twin that an edit has made smaller."""
    path = folder / "cut.weights.h5"
    twin = zoo.compiled()
    twin.optimizer.build(twin.trainable_variables)
    surgery.remove(twin, {twin.layers[0]: [1]})
    twin.save_weights(path)
    return path


class _Own(keras.layers.Layer):
    """A layer that the channel graph has never heard of."""


def _save_dense(model: keras.Model, folder: Path) -> Path:
    path = folder / "dense.keras"
    zoo.compiled().save(path)
    return path


def _losses(**changed: Any) -> Call:
    x, y = zoo.data("mlp")
    return lambda model, folder: curriculum.sample_losses(
        **{"model": model, "x": x, "y": y, **changed}
    )


def _super_loss(**changed: Any) -> Call:
    return lambda model, folder: curriculum.SuperLoss(
        **{"base_loss": "mse", "tau": 1.0, **changed}
    ).get_config()


def _choose(**changed: Any) -> Call:
    def call(model, folder):
        losses = keras.ops.convert_to_tensor([0.1, 0.7, 0.3, 0.5])
        arguments = {"losses": losses, "keep": 0.5, "method": "top", **changed}
        chosen = curriculum.select_samples(**arguments)
        return keras.ops.convert_to_numpy(chosen).tolist()

    return call


def _compare(**changed: Any) -> Call:
    x, y = zoo.data("mlp", samples=16)

    def call(model, folder):
        arguments = {
            "build": lambda: zoo.compiled(eager=True),
            "x": x,
            "y": y,
            "validation_data": (x, y),
            "arms": ("shuffle", "easy_first"),
            "difficulty": np.arange(16) * 7 % 16,
            "pacing": schedules.Linear(initial=0.5, final=1.0),
            "seeds": 1,
            "epochs": 1,
            "batch_size": 4,
            **changed,
        }
        return curriculum.compare_arms(**arguments)

    return call


def _add_exits(**changed: Any) -> Call:
    return lambda model, folder: (
        depth.add_exits(model, **{"at": ["hidden"], **changed}).exit_names
    )


def _calibrate(**changed: Any) -> Call:
    x, y = zoo.data("mlp", samples=120)

    def call(model, folder):
        keras.utils.set_random_seed(7)  # The heads are new each time.
        arguments = {
            "exit_model": depth.add_exits(model, at=["hidden"]),
            "x_val": x,
            "y_val": y,
            "max_macs": 200,
            **changed,
        }
        return depth.calibrate(**arguments).thresholds

    return call


def _rates(name: str, **arguments: Any) -> Callable[..., Call]:
    """A learning rate schedule at a few steps."""

    def changed(**other: Any) -> Call:
        def call(model, folder):
            schedule = getattr(learning_rate, name)(**{**arguments, **other})
            return [float(schedule(step)) for step in (0, 3, 7, 20)]

        return call

    return changed


_one_cycle = _rates("OneCycle", max_learning_rate=0.1, total_steps=10)
_triangular = _rates(
    "Triangular", min_learning_rate=0.1, max_learning_rate=0.2, half_cycle=4
)
_warmup = _rates("Warmup", schedule=0.1, steps=5)
_stable = _rates(
    "WarmupStableDecay",
    peak=0.1,
    total_steps=10,
    warmup_steps=2,
    decay_steps=3,
)
_inverse = _rates("InverseSquareRoot", peak=0.1, warmup_steps=4)


FUNCTIONS = (
    *search_functions.FUNCTIONS,
    FunctionSetting(
        piece="learning_rate.OneCycle",
        call=_one_cycle(),
        is_pruned=False,
        bad={
            "max_learning_rate": _one_cycle(max_learning_rate=0.0),
            "total_steps": _one_cycle(total_steps=0),
            "warmup_fraction": _one_cycle(warmup_fraction=1.5),
            "div_factor": _one_cycle(div_factor=0.5),
            "final_div_factor": _one_cycle(final_div_factor="large"),
        },
    ),
    FunctionSetting(
        piece="learning_rate.Triangular",
        call=_triangular(),
        is_pruned=False,
        bad={
            "min_learning_rate": _triangular(min_learning_rate=-0.1),
            "max_learning_rate": _triangular(max_learning_rate=0.1),
            "half_cycle": _triangular(half_cycle=0),
            "cycle_factor": _triangular(cycle_factor=2.0),
        },
    ),
    FunctionSetting(
        piece="learning_rate.Warmup",
        call=_warmup(),
        is_pruned=False,
        bad={
            "schedule": _warmup(schedule="cosine"),
            "steps": _warmup(steps=0),
            "initial": _warmup(initial=-0.1),
        },
    ),
    FunctionSetting(
        piece="learning_rate.WarmupStableDecay",
        call=_stable(),
        is_pruned=False,
        bad={
            "peak": _stable(peak=0.0),
            "total_steps": _stable(total_steps=4),
            "warmup_steps": _stable(warmup_steps=-1),
            "decay_steps": _stable(decay_steps=9),
            "final": _stable(final=-0.1),
            "decay": _stable(decay="steps"),
        },
    ),
    FunctionSetting(
        piece="learning_rate.InverseSquareRoot",
        call=_inverse(),
        is_pruned=False,
        bad={
            "peak": _inverse(peak=-1.0),
            "warmup_steps": _inverse(warmup_steps=0),
        },
    ),
    FunctionSetting(
        piece="curriculum.SuperLoss",
        call=_super_loss(),
        is_pruned=False,
        bad={
            "base_loss": _super_loss(base_loss=3),
            "tau": _super_loss(tau="median"),
            "lam": _super_loss(lam=0.0),
        },
        free=("reduction", "name", "dtype"),
    ),
    FunctionSetting(
        piece="curriculum.select_samples",
        call=_choose(),
        is_pruned=False,
        bad={
            "losses": _choose(losses=np.ones((4, 2))),
            "keep": _choose(keep=1.0),
            "method": _choose(method="best"),
            "noise": _choose(method="percentile"),
            "irreducible": _choose(method="rho"),
        },
        free=("weight",),
    ),
    FunctionSetting(
        piece="curriculum.compare_arms",
        call=_compare(),
        is_pruned=False,
        bad={
            "build": _compare(build=3),
            "x": _compare(x=np.zeros((0, 8))),
            "y": _compare(y=np.zeros(3)),
            "validation_data": _compare(validation_data=None),
            "arms": _compare(arms=("shuffle", "by_name")),
            "seeds": _compare(seeds=0),
            "epochs": _compare(epochs=0),
            "batch_size": _compare(batch_size=0),
            "difficulty": _compare(difficulty="hard"),
            "pacing": _compare(pacing="fast"),
            "monitor": _compare(monitor="val_beauty"),
            "target": _compare(target="high"),
            "verbose": _compare(verbose="loud"),
        },
    ),
    FunctionSetting(
        piece="curriculum.sample_losses",
        call=_losses(),
        bad={
            "model": _losses(model=NOT_A_MODEL),
            "x": _losses(x=3),
            "y": _losses(y=np.zeros(3)),
        },
        free=("verbose",),
    ),
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
        piece="surgery.prune_channels",
        call=_prune_channels(),
        is_pruned=False,
        changes=True,
        bad={
            "model": lambda model, folder: surgery.prune_channels(
                NOT_A_MODEL, 0.5
            ),
            "ratio": _prune_channels(ratio=1.0),
            "score": _prune_channels(score="best"),
            "allocation": _prune_channels(allocation="fair"),
            "target": _prune_channels(target="speed"),
            "round_to": _prune_channels(round_to=0),
            "min_channels": _prune_channels(min_channels=0),
            "include": _prune_channels(include="no_such_layer"),
            "exclude": _prune_channels(exclude="no_such_layer"),
            "data": _prune_channels(score="taylor"),
            "meter": _prune_channels(target="latency"),
            "recalibrate": _prune_channels(recalibrate="yes"),
            "seed": _prune_channels(seed=-1),
            "allow_inexact": _prune_channels(allow_inexact=1),
        },
        free=("dry_run",),
    ),
    FunctionSetting(
        piece="surgery.widen",
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
            "data": _widen(new_units="gradmax"),
            "seed": _widen(seed="one"),
        },
        free=("dry_run",),
    ),
    FunctionSetting(
        piece="surgery.deepen",
        layers=("after",),
        call=_deepen(),
        is_pruned=False,
        changes=True,
        bad={
            "model": lambda model, folder: surgery.deepen(
                NOT_A_MODEL, after="a"
            ),
            "after": _deepen(after="missing"),
            "copies": _deepen(copies=0),
            "init": _deepen(init="zero"),
            "block": _deepen(block=3),
            "seed": _deepen(seed="one"),
        },
        free=("dry_run",),
    ),
    FunctionSetting(
        piece="surgery.remove",
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
        piece="surgery.explain",
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
        piece="surgery.snapshot",
        call=lambda model, folder: surgery.snapshot(model).inference[0].shape,
        bad={
            "model": lambda model, folder: surgery.snapshot(NOT_A_MODEL),
            "data": lambda model, folder: surgery.snapshot(
                model, np.zeros((0, 8))
            ),
        },
    ),
    FunctionSetting(
        piece="surgery.check_preserved",
        call=lambda model, folder: surgery.check_preserved(model, model),
        bad={
            "before": lambda model, folder: surgery.check_preserved(
                NOT_A_MODEL, model
            ),
            "after": lambda model, folder: surgery.check_preserved(
                surgery.snapshot(model), NOT_A_MODEL
            ),
            "data": lambda model, folder: surgery.check_preserved(
                model, model, np.zeros((0, 8))
            ),
            "tolerance": lambda model, folder: surgery.check_preserved(
                model, model, tolerance=0
            ),
        },
    ),
    FunctionSetting(
        piece="surgery.replay",
        call=lambda model, folder: _replay(model, folder),
        is_pruned=False,
        changes=True,
        bad={
            "model": lambda model, folder: surgery.replay(NOT_A_MODEL, []),
            "journal": lambda model, folder: surgery.replay(
                model, [{"verb": "explode"}]
            ),
        },
    ),
    FunctionSetting(
        piece="surgery.register",
        call=lambda model, folder: (
            surgery.register(_Own, surgery.Handler) is surgery.Handler
        ),
        bad={
            "layer_class": lambda model, folder: surgery.register("Dense"),
            "handler": lambda model, folder: surgery.register(_Own, _Own),
        },
    ),
    FunctionSetting(
        piece="depth.add_stochastic_depth",
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
        piece="depth.extract",
        call=lambda model, folder: depth.extract(_droppable()).count_params(),
        bad={
            "model": lambda model, folder: depth.extract(NOT_A_MODEL),
            "keep": lambda model, folder: depth.extract(_droppable(), [9]),
            "copy": lambda model, folder: depth.extract(_droppable(), copy=1),
        },
    ),
    FunctionSetting(
        piece="depth.linear_rates",
        call=lambda model, folder: depth.linear_rates(3, 0.5),
        bad={
            "count": lambda model, folder: depth.linear_rates(0, 0.5),
            "last": lambda model, folder: depth.linear_rates(3, 1.5),
        },
    ),
    FunctionSetting(
        piece="depth.add_exits",
        call=_add_exits(),
        is_pruned=False,
        bad={
            "model": lambda model, folder: depth.add_exits(NOT_A_MODEL),
            "at": _add_exits(at=["hiden"]),
            "heads": _add_exits(heads=[NOT_A_MODEL]),
            "weights": _add_exits(weights=-1),
            "distill": _add_exits(distill=0),
            "freeze": _add_exits(freeze=1),
        },
        free=("name",),
    ),
    FunctionSetting(
        piece="depth.calibrate",
        call=_calibrate(),
        is_pruned=False,
        bad={
            "exit_model": _calibrate(exit_model=NOT_A_MODEL),
            "x_val": _calibrate(x_val=np.zeros((0, 8), "float32")),
            "y_val": _calibrate(y_val=np.zeros(3)),
            "max_accuracy_drop": _calibrate(
                max_macs=None, max_accuracy_drop=1.0
            ),
            "max_macs": _calibrate(max_macs=-1),
            "max_latency_ms": _calibrate(max_macs=None, max_latency_ms=0),
            "criterion": _calibrate(criterion="mood"),
            "confidence": _calibrate(confidence=0.9),
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
            "training": lambda model, folder: cost.summarize(model, training=1),
        },
    ),
    FunctionSetting(
        piece="cost.matched_epochs",
        call=lambda model, folder: cost.matched_epochs(9, model, samples=2),
        bad={
            "spent": lambda model, folder: cost.matched_epochs(
                -1, model, samples=2
            ),
            "model": lambda model, folder: cost.matched_epochs(
                9, NOT_A_MODEL, samples=2
            ),
            "samples": lambda model, folder: cost.matched_epochs(
                9, model, samples=0
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
