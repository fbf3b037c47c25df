"""Calls layers on symbolic tensors without side effects.

Private Keras names used here (tested on Keras 3.15): `Functional`,
`Sequential._functional`, `Operation._inbound_nodes` and `_outbound_nodes`,
`Layer._flatten_layers`, `_call_context_args`, `in_symbolic_scope`, and the name
counters that the function `keras.src.utils.naming.auto_name` reads.
"""

import collections
import contextlib
import functools
import inspect
import threading
from collections.abc import Iterator
from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.backend.common.symbolic_scope import in_symbolic_scope
from keras.src.models.functional import Functional

from keras_netopt.graph.layers import has_all_weights

LayerCall = tuple[Any, tuple[Any, ...], dict[str, Any]]
_RECORDING = threading.RLock()
_ASSUMED = "_netopt_input_shape"


def input_specs(model: keras.Model, *, input_shape: Any = None) -> list[Any]:
    """Returns the positional inputs of a model as symbolic tensors.

    Args:
        model: A built Keras model.
        input_shape: A shape, or a structure of shapes, to use instead of the
            model's own. Defaults to `None`.

    Returns:
        One structure of `keras.KerasTensor` per positional argument. The
        batch axis of a subclassed model is `None`.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "Argument `model` must be a `keras.Model`. "
            f"Received: model={model!r}"
        )
    specs = _recorded_specs(model) if model.built else None
    if specs is None:
        raise ValueError(
            "Argument `model` must be built. "
            f"Received: model={model!r}. Call the model on a batch, or "
            "`model.build(input_shape)`, first. A model without a `call`, "
            "such as a GAN, has no inputs: use its parts instead."
        )
    if input_shape is None:
        return _assumed(model, specs)
    structure = specs[0]
    flat = keras.tree.flatten(structure)
    is_one = len(flat) == 1 and not isinstance(input_shape, dict)
    shapes = [input_shape] if is_one else _flat_shapes(input_shape)
    if len(shapes) != len(flat):
        raise ValueError(
            f"Argument `input_shape` must hold {len(flat)} shapes, one for "
            f"each input of the model. Received: input_shape={input_shape!r}"
        )
    if not all(map(_is_shape, shapes)):
        raise ValueError(
            "Argument `input_shape` must hold shapes: tuples of integers, "
            "`None` where an axis is free. "
            f"Received: input_shape={input_shape!r}"
        )
    ranks = [len(one.shape) for one in flat]
    if ranks != [len(shape) for shape in shapes]:
        raise ValueError(
            "Argument `input_shape` must have the axes of the inputs, the "
            f"batch included: {[tuple(one.shape) for one in flat]}. "
            f"Received: input_shape={input_shape!r}"
        )
    tensors = [
        keras.KerasTensor(tuple(shape), dtype=spec.dtype, name=spec.name)
        for shape, spec in zip(shapes, flat, strict=True)
    ]
    return [keras.tree.pack_sequence_as(structure, tensors)]


@contextlib.contextmanager
def assume_input_shape(model: keras.Model, shape: Any) -> Iterator[None]:
    """Opens a context in which free axes of the inputs have given sizes.

    `shape` is a shape or a structure of shapes in the order of the inputs;
    axes that it leaves free, and inputs of another rank, stay as they are.
    `None` changes nothing.
    """
    if shape is None:
        yield
        return
    before = vars(model).get(_ASSUMED)
    object.__setattr__(model, _ASSUMED, _flat_shapes(shape))
    try:
        yield
    finally:
        vars(model).pop(_ASSUMED, None)
        if before is not None:
            object.__setattr__(model, _ASSUMED, before)


def _assumed(model: keras.Model, specs: list[Any]) -> list[Any]:
    shapes = vars(model).get(_ASSUMED)
    flat = keras.tree.flatten(specs)
    if shapes is None or len(shapes) != len(flat):
        return specs
    found = []
    for spec, shape in zip(flat, shapes, strict=True):
        sizes = list(spec.shape)
        if len(shape) == len(sizes):
            # The batch axis stays free: MACs are those of one sample.
            pairs = zip(sizes[1:], shape[1:], strict=True)
            sizes[1:] = [b if a is None else a for a, b in pairs]
        found.append(
            keras.KerasTensor(
                tuple(sizes), spec.dtype, sparse=spec.sparse, name=spec.name
            )
        )
    return keras.tree.pack_sequence_as(specs, found)


def _recorded_specs(model: keras.Model) -> list[Any] | None:
    if isinstance(model, Functional):
        return [model.input]
    if isinstance(model, keras.Sequential) and model._functional is not None:
        return [model._functional.input]
    config = model.get_build_config()
    if not config or config.get("input_shape") is None:
        return None

    def free_batch(shape: tuple[int | None, ...]) -> keras.KerasTensor:
        return keras.KerasTensor(
            (None, *tuple(shape)[1:]), dtype=model.input_dtype
        )

    return [keras.tree.map_shape_structure(free_batch, config["input_shape"])]


def is_never_called(model: Any) -> bool:
    """Whether all weights of a model exist, but it was never called itself."""
    return (
        isinstance(model, keras.Model)
        and has_all_weights(model)
        and (not model.built or _recorded_specs(model) is None)
    )


def check_input_shape(input_shape: Any) -> None:
    """Checks a shape, or a structure of shapes, or `None`."""
    if input_shape is None:
        return
    is_structure = isinstance(input_shape, list | tuple | dict)
    shapes = _flat_shapes(input_shape) if is_structure else []
    if not shapes or not all(map(_is_shape, shapes)):
        raise ValueError(
            "Argument `input_shape` must be a shape such as (None, 128), or a "
            "structure of shapes for several inputs. "
            f"Received: input_shape={input_shape!r}"
        )


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list | tuple) and all(
        axis is None or (isinstance(axis, int) and axis > 0) for axis in shape
    )


def _flat_shapes(structure: Any) -> list[tuple[int | None, ...]]:
    shapes: list[tuple[int | None, ...]] = []
    keras.tree.map_shape_structure(shapes.append, structure)
    return shapes


def trace_operation(
    operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, list[Any]]:
    """Traces `operation.call` on symbolic tensors.

    Returns the trace, a `keras.Function`, and the tensors among the arguments
    in the order of its inputs. If no output depends on an input, the outputs
    are returned instead of a trace.
    """
    inputs: list[Any] = []
    fresh: list[Any] = []

    def renew(leaf: Any) -> Any:
        if not isinstance(leaf, keras.KerasTensor):
            return leaf
        inputs.append(leaf)
        fresh.append(
            keras.Input(
                batch_shape=leaf.shape,
                dtype=leaf.dtype,
                name=f"traced_{len(fresh)}",
            )
        )
        return fresh[-1]

    args, kwargs = keras.tree.map_structure(renew, (args, kwargs))
    parameters = inspect.signature(operation.call).parameters
    if "training" in parameters:
        kwargs = {**kwargs, "training": False}
    outputs = operation.call(*args, **kwargs)
    leaves = keras.tree.flatten(outputs)
    if leaves and all(map(keras.ops.is_tensor, leaves)):
        is_constant = not any(isinstance(x, keras.KerasTensor) for x in leaves)
        if is_constant:
            return keras.tree.map_structure(to_keras_tensor, outputs), inputs
    return keras.Function(fresh, outputs), inputs


def accepted_arguments(operation: Any, kwargs: dict[str, Any]) -> Any:
    """Returns the keyword arguments without those that Keras drops.

    Keras accepts `training`, and other arguments that a model passes on to
    its layers, in every call, and drops them where `call` does not take them.
    """
    dropped = getattr(operation, "_call_context_args", ())
    if not any(name in dropped for name in kwargs):
        return kwargs
    taken = inspect.signature(operation.call).parameters
    return {k: v for k, v in kwargs.items() if k in taken or k not in dropped}


def fix_batch_axis(leaf: Any, size: int = 1) -> Any:
    """Sets an unknown batch axis; returns other values unchanged."""
    if not isinstance(leaf, keras.KerasTensor):
        return leaf
    shape = tuple(leaf.shape)
    if not shape or shape[0] is not None:
        return leaf
    return keras.KerasTensor(
        (size, *shape[1:]), dtype=leaf.dtype, sparse=leaf.sparse, name=leaf.name
    )


def is_static(structure: Any) -> bool:
    """Returns whether all axes in a structure of tensors are known."""
    return all(
        None not in leaf.shape
        for leaf in keras.tree.flatten(structure)
        if isinstance(leaf, keras.KerasTensor)
    )


def to_keras_tensor(leaf: Any) -> Any:
    """Converts a tensor to a `KerasTensor`; returns other values unchanged."""
    if not keras.ops.is_tensor(leaf):
        return leaf
    return keras.KerasTensor(
        tuple(leaf.shape), dtype=keras.backend.standardize_dtype(leaf.dtype)
    )


def to_plain_tensor(leaf: Any) -> Any:
    """Returns a symbolic tensor without history; other values unchanged."""
    if not isinstance(leaf, keras.KerasTensor):
        return leaf
    return keras.KerasTensor(leaf.shape, dtype=leaf.dtype)


@contextlib.contextmanager
def record_layer_calls(*, on_values: bool = False) -> Iterator[list[LayerCall]]:
    """Records the outermost layer calls that this thread makes.

    `Layer.__call__` is replaced inside the context: Keras has no hook for the
    calls of layers that are not known beforehand. One thread at a time
    records; calls of other threads run as usual and are not recorded. The
    list holds layers, arguments and keyword arguments, with
    `keras.KerasTensor` in place of tensors. With `on_values` it holds only
    calls whose inputs have values.
    """
    calls: list[LayerCall] = []
    thread, depth = threading.get_ident(), 0

    def recording_call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal depth
        if threading.get_ident() != thread:
            return original(layer, *args, **kwargs)
        if depth == 0 and not (on_values and _is_symbolic((args, kwargs))):
            specs = keras.tree.map_structure(to_keras_tensor, (args, kwargs))
            calls.append((layer, *specs))
        depth += 1
        try:
            return original(layer, *args, **kwargs)
        finally:
            depth -= 1

    with _RECORDING:
        original = keras.layers.Layer.__call__
        keras.layers.Layer.__call__ = functools.wraps(original)(recording_call)
        try:
            yield calls
        finally:
            keras.layers.Layer.__call__ = original


def _is_symbolic(arguments: Any) -> bool:
    leaves = keras.tree.flatten(arguments)
    return in_symbolic_scope() or any(
        isinstance(leaf, keras.KerasTensor) for leaf in leaves
    )


@contextlib.contextmanager
def preserve_layer_history(model: keras.Model) -> Iterator[None]:
    """Restores histories, name counters and weights after symbolic calls."""
    with preserve_calls(model), keras.StatelessScope():
        yield


@contextlib.contextmanager
def preserve_calls(layer: keras.Layer) -> Iterator[None]:
    """Restores the histories of a layer's sublayers and the name counters."""
    histories = [
        history
        for one in layer._flatten_layers()
        for history in (one._inbound_nodes, one._outbound_nodes)
    ]
    lengths = [len(history) for history in histories]
    try:
        with preserve_names():
            yield
    finally:
        for history, length in zip(histories, lengths, strict=True):
            del history[length:]


@contextlib.contextmanager
def preserve_names() -> Iterator[None]:
    """Restores the counters of automatic names after symbolic calls."""
    names = global_state.get_global_attribute("object_name_uids")
    names = None if names is None else names.copy()
    try:
        yield
    finally:
        global_state.set_global_attribute(
            "object_name_uids",
            collections.defaultdict(int) if names is None else names,
        )
