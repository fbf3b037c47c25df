"""Checks that Keras still has every private name that this package uses.

Only `keras_netopt/graph`, `training` and `surgery` may use them, and those of
the graph of calls stand in `graph` alone. A failing test names the private
name and the files that use it.
"""

import ast
import functools
from collections import defaultdict
from pathlib import Path

import keras
import pytest

from keras_netopt.training.backend_functions import RECTIFIERS, SQUASHERS

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("keras_netopt", "callbacks", "layers")
GRAPH = "keras_netopt/graph/"
ALLOWED = (GRAPH, "keras_netopt/training/", "keras_netopt/surgery/")
layers, optimizers = keras.layers, keras.optimizers
BACKEND = keras.backend.backend()
ADAPTERS = "keras.src.trainers.data_adapters"


@functools.cache
def functional():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4)])
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(1)(inner(inputs)))
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


@functools.cache
def attention():
    layer = layers.MultiHeadAttention(2, 3)
    layer.build((None, 4, 4), (None, 4, 4))
    return layer


def convnext(name):
    from keras.src.applications import convnext

    return getattr(convnext, name)


def exists(name, make):
    return lambda: hasattr(make(), name)


def multi():
    return optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.SGD()))


def averaging():
    optimizer = optimizers.SGD(use_ema=True)
    optimizer.build([keras.Variable(1.0)])
    return optimizer


def excluding():
    optimizer = optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def node():
    return functional().layers[-1]._inbound_nodes[0]


def has(owner, *names):
    return {name: exists(name, owner) for name in names}


TABLE = {
    **has(
        functional,
        *"_inputs _outputs _outputs_struct _nodes _nodes_by_depth "
        "_operations _operations_by_depth _layers _tracker _flatten_layers "
        "_compile_config _compile_loss _symbolic_build _run_through_graph "
        "_standardize_inputs _call_has_training_arg "
        "_compute_loss_has_training_arg _compute_loss".split(),
    ),
    **has(
        lambda: functional()._compile_loss,
        *"_flat_losses _user_loss _user_loss_weights".split(),
    ),
    **has(
        lambda: layers.Dense(1),
        *"_inbound_nodes _outbound_nodes _build_shapes_dict _auto_config "
        "_clear_losses _loss_ids _open_name_scope _call_context_args "
        "_seed_generators _untrack_variable".split(),
    ),
    **has(
        attention,
        *"_query_dense _key_dense _value_dense _output_dense _num_heads "
        "_key_dim _value_dim _output_shape _inverse_sqrt_key_dim "
        "_dropout".split(),
    ),
    **has(
        lambda: layers.GroupQueryAttention(2, 2, 2), "_inverse_sqrt_head_dim"
    ),
    **has(
        lambda: functional().optimizer,
        *"_variables _trainable_variables _trainable_variables_indices "
        "_var_key _track_variable _momentums _iterations _apply_weight_decay "
        "_backend_apply_gradients _backend_update_step".split(),
    ),
    **has(
        lambda: keras.Variable(1.0),
        *"_shape _ndim _initialize _initializer _trainable _value "
        "_direct_assign".split(),
    ),
    **has(multi, "_inner_optimizers", "_optimizer_map"),
    **has(averaging, "_model_variables_moving_average"),
    **has(
        excluding,
        "_exclude_from_weight_decay",
        "_exclude_from_weight_decay_cache",
    ),
    "_kernel": lambda: hasattr(functional().layers[-1], "_kernel"),
    "_embeddings": lambda: "_embeddings" in _source(layers.Embedding),
    "_functional": exists("_functional", keras.Sequential),
    "_batch_shape": exists("_batch_shape", lambda: layers.InputLayer((4,))),
    "_keras_history": exists("_keras_history", lambda: keras.Input((4,))),
    "_current_epoch": lambda: (
        "_current_epoch" in _source(keras.callbacks.BackupAndRestore)
    ),
    **has(
        lambda: keras.callbacks.ModelCheckpoint,
        *"_get_file_path _should_save_model _save_model".split(),
    ),
    "_gate_dense": lambda: "_gate_dense" in _source(layers.GroupQueryAttention),
    "_keras_mask": lambda: hasattr(
        layers.Embedding(3, 2, mask_zero=True)(keras.Input((4,))), "_keras_mask"
    ),
    "_obj_type": exists("_obj_type", functional),
    "_layout": exists("_layout", lambda: keras.Variable(1.0)),
    "keras.src.applications.convnext.LayerScale": lambda: convnext(
        "LayerScale"
    ),
    "keras.src.applications.convnext.StochasticDepth": lambda: convnext(
        "StochasticDepth"
    ),
    "keras.src.applications.inception_resnet_v2.CustomScaleLayer": lambda: (
        _import("keras.src.applications.inception_resnet_v2").CustomScaleLayer
    ),
    "keras.src.backend.common.masking.get_keras_mask": lambda: (
        _import("keras.src.backend.common.masking").get_keras_mask
    ),
    "keras.src.backend.common.masking.set_keras_mask": lambda: (
        _import("keras.src.backend.common.masking").set_keras_mask
    ),
    "keras.src.backend": lambda: all(
        hasattr(_import("keras.src.backend").nn, name)
        for name in (*RECTIFIERS, *SQUASHERS)
    ),
    "keras.src.backend.compute_output_spec": lambda: (
        _import("keras.src.backend").compute_output_spec
    ),
    "keras.src.trainers.compile_utils.CompileLoss": lambda: (
        _import("keras.src.trainers.compile_utils").CompileLoss
    ),
    "keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE": lambda: (
        _import("keras.src.backend.common.dtypes").BIT64_TO_BIT32_DTYPE
    ),
    "keras.src.losses.loss.scale_loss_for_distribution": lambda: (
        _import("keras.src.losses.loss").scale_loss_for_distribution
    ),
    "keras.src.losses.loss.unscale_loss_for_distribution": lambda: (
        _import("keras.src.losses.loss").unscale_loss_for_distribution
    ),
    "keras.src.backend.common.variables.AutocastScope": lambda: (
        _import("keras.src.backend.common.variables").AutocastScope
    ),
    "keras.src.backend.common.symbolic_scope.in_symbolic_scope": lambda: (
        _import("keras.src.backend.common.symbolic_scope").in_symbolic_scope
    ),
    "keras.src.backend.common.global_state": lambda: (
        _import("keras.src.backend.common.global_state").get_global_attribute
    ),
    "keras.src.random.seed_generator.GLOBAL_SEED_GENERATOR": lambda: (
        _import("keras.src.random.seed_generator").GLOBAL_SEED_GENERATOR
    ),
    "keras.src.utils.rng_utils.GLOBAL_RANDOM_SEED": lambda: (
        _import("keras.src.utils.rng_utils").GLOBAL_RANDOM_SEED
    ),
    "keras.src.layers.layer": lambda: _import("keras.src.layers.layer").Node,
    "keras.src.models.functional.Functional": lambda: (
        _import("keras.src.models.functional").Functional
    ),
    "keras.src.models.functional.functional_like_constructor": lambda: (
        _import("keras.src.models.functional").functional_like_constructor
    ),
    "keras.src.ops.function.map_graph": lambda: (
        _import("keras.src.ops.function").map_graph
    ),
    "keras.src.saving.object_registration": lambda: (
        _import("keras.src.saving.object_registration").GLOBAL_CUSTOM_NAMES
        is not None
    ),
    "keras.src.ops.symbolic_arguments.SymbolicArguments": lambda: (
        _import("keras.src.ops.symbolic_arguments").SymbolicArguments
    ),
    f"{ADAPTERS}.data_adapter.DataAdapter": lambda: (
        _import(f"{ADAPTERS}.data_adapter").DataAdapter
    ),
    f"{ADAPTERS}.data_adapter_utils.get_torch_dataloader": lambda: (
        _import(f"{ADAPTERS}.data_adapter_utils").get_torch_dataloader
    ),
    "keras.src.ops.node.Node": lambda: _import("keras.src.ops.node").Node,
    "keras.src.utils.tracking.Tracker": lambda: (
        _import("keras.src.utils.tracking").Tracker
    ),
    "keras.src.utils.tracking.DotNotTrackScope": lambda: (
        _import("keras.src.utils.tracking").DotNotTrackScope
    ),
}
OF_THE_GRAPH = (
    "_inputs _outputs _outputs_struct _nodes _nodes_by_depth _operations "
    "_operations_by_depth _layers _tracker _flatten_layers _functional "
    "_run_through_graph _standardize_inputs _inbound_nodes _outbound_nodes "
    "_keras_history _keras_mask _batch_shape "
    "_self_setattr_tracking keras.src.models.functional.Functional "
    "keras.src.ops.function.map_graph "
    "keras.src.ops.symbolic_arguments.SymbolicArguments "
    "keras.src.utils.tracking.DotNotTrackScope keras.src.ops.node.Node "
    "keras.src.utils.tracking.Tracker"
).split()
ONE_BACKEND = {
    "_jax_state": ("jax", "JAXTrainer"),
    "_jax_state_synced": ("jax", "JAXTrainer"),
    "_backend_state_sync": ("jax", "JAXTrainer"),
    "_self_setattr_tracking": ("tensorflow", "Functional"),
    "_torch_params": ("torch", "TorchLayer"),
    "_track_variables": ("torch", "TorchLayer"),
}
# Of the standard library and dask: frames, module specs, executors, processes.
NOT_OF_KERAS = {"_getframe", "_initializing", "_max_workers", "_inheriting"}
NOT_OF_KERAS |= {"_kwargs", "_client", "_reference_bytes"}
# Of tf_keras: the weights of a layer that tfmot has wrapped.
NOT_OF_KERAS |= {"_trainable_weights", "_non_trainable_weights"}


def _import(module):
    import importlib

    return importlib.import_module(module)


def _source(cls):
    import inspect

    return inspect.getsource(cls)


def trees():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            yield name, ast.parse(path.read_text())


def own_names():
    """Private names that this package defines."""
    found = set()
    for _, tree in trees():
        for one in ast.walk(tree):
            if isinstance(one, ast.FunctionDef | ast.ClassDef):
                found.add(one.name)
            elif isinstance(one, ast.Attribute):
                is_self = getattr(one.value, "id", "") in ("self", "cls")
                if is_self and isinstance(one.ctx, ast.Store):
                    found.add(one.attr)
            elif isinstance(one, ast.AnnAssign | ast.Assign):
                targets = getattr(one, "targets", None) or [one.target]
                found |= {t.id for t in targets if isinstance(t, ast.Name)}
    return found


def uses():
    """Private names by the files that use them."""
    own, found = own_names(), defaultdict(set)
    for path, tree in trees():
        for one in ast.walk(tree):
            for name in names_in(one):
                if name.startswith("keras.src") or name not in own:
                    found[name].add(path)
    return found


def names_in(one):
    if isinstance(one, ast.Attribute) and is_private(one.attr):
        yield one.attr
    elif isinstance(one, ast.Call) and len(one.args) > 1:
        function = getattr(one.func, "id", "")
        name = getattr(one.args[1], "value", None)
        if function in ("getattr", "hasattr", "setattr") and is_private(name):
            yield name
    elif isinstance(one, ast.ImportFrom):
        module = one.module or ""
        if module.startswith("keras.src"):
            yield from (f"{module}.{alias.name}" for alias in one.names)


def is_private(name):
    text = str(name)
    return text.startswith("_") and not text.startswith("__")


def of_kerastuner():
    """Private names of KerasTuner in `search`, with their owners."""
    import keras_tuner

    oracle = keras_tuner.Oracle("val_loss")
    oracle._set_project_dir("directory", "project")
    tuner = keras_tuner.Tuner
    return {
        **dict.fromkeys(
            "_get_oracle_fname _get_trial_dir _run_times _retry_queue "
            "_save_trial _record_values _check_objective_found "
            "_set_project_dir".split(),
            oracle,
        ),
        "_project_dir": keras_tuner.Oracle,
        **dict.fromkeys(
            "_try_build _build_hypermodel _configure_tensorboard_dir "
            "_run_and_update_trial _try_run_and_update_trial _is_worker "
            "_get_tuner_fname _get_build_config_fname".split(),
            tuner,
        ),
    }


USES = uses()


def test_keras_still_has_every_private_name():
    gone = []
    for name, check in TABLE.items():
        try:
            found = bool(check())
        except (AttributeError, ImportError):
            found = False
        if not found:
            files = ", ".join(sorted(USES.get(name, ())))
            gone.append(f"`{name}`: {files or 'graph/, training/, surgery/'}")
    assert not gone, (
        f"Keras {keras.__version__} lacks these private names; change the "
        "files that use them:\n" + "\n".join(gone)
    )


@pytest.mark.parametrize(
    "name", [n for n, (b, _) in sorted(ONE_BACKEND.items()) if b == BACKEND]
)
def test_the_backend_still_has_the_private_name(name):
    _, where = ONE_BACKEND[name]
    module = {
        "JAXTrainer": "keras.src.backend.jax.trainer",
        "TorchLayer": "keras.src.backend.torch.layer",
        "Functional": "keras.src.ops.function",
    }[where]
    text = Path(_import(module).__file__).read_text()
    either = {"_backend_state_sync": ("jax_state_sync",)}.get(name, ())
    assert any(one in text for one in (name, *either)), (
        f"Keras {keras.__version__} has no `{name}` in {module} any more; "
        f"what uses it has to change: {', '.join(sorted(USES[name]))}"
    )


def test_kerastuner_still_has_the_private_names():
    gone = [n for n, owner in of_kerastuner().items() if not hasattr(owner, n)]
    assert not gone, f"KerasTuner has no {gone} any more; see search/"


def test_every_private_name_is_in_the_table():
    known = {*TABLE, *ONE_BACKEND, *NOT_OF_KERAS, *of_kerastuner()}
    missing = {n: sorted(f) for n, f in USES.items() if n not in known}
    assert not missing, f"Private names of Keras that no test checks: {missing}"


def test_names_of_the_graph_stay_in_one_folder():
    outside = {
        f"{file}: {name}"
        for file, tree in trees()
        for one in ast.walk(tree)
        for name in names_in(one)
        if name in OF_THE_GRAPH
        and not file.startswith(GRAPH)
        # An attribute of the same name of a class of this package.
        and getattr(getattr(one, "value", None), "id", "") != "self"
    }
    assert outside == set()


def test_private_names_stay_in_three_folders():
    outside = {
        name: [file for file in files if not file.startswith(ALLOWED)]
        for name, files in USES.items()
        if name not in {*NOT_OF_KERAS, *of_kerastuner()}
    }
    outside = {name: files for name, files in outside.items() if files}
    # BestCheckpoint reads an attribute of its Keras base class.
    assert outside == {"_current_epoch": ["callbacks/best_checkpoint.py"]}
