"""Records the calls of a Functional model and runs them again.

Private Keras names used here (tested on Keras 3.15): `Functional` with
`_run_through_graph`, `_standardize_inputs` and `_outputs_struct`,
`Sequential._functional`.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.models.functional import Functional

from keras_netopt.graph.graph_node import GraphNode

Tensors = dict[int, Any]


@dataclass(frozen=True)
class Recording:
    """The calls of a model on new inputs, in the order of execution.

    `inputs` and `outputs` are structures of symbolic tensors.
    """

    inputs: Any
    outputs: Any
    calls: tuple[GraphNode, ...]


def record_calls(
    model: keras.Model, *, enter: Collection[keras.Operation] = ()
) -> Recording:
    """Calls every layer of a Functional or Sequential model on new inputs.

    The layers are those of the model, so the recording shares its weights.
    The model does not change. Nested models in `enter` are recorded as their
    inner calls instead of one call.
    """
    graph = as_graph(model)
    calls: list[GraphNode] = []
    entered = {id(operation) for operation in enter}
    inputs = keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name),
        graph.input,
    )
    flat = keras.tree.flatten(inputs)
    outputs = _record(graph, flat, (model,), entered, calls)
    return Recording(inputs, outputs, tuple(calls))


def as_graph(model: Any) -> Any:
    """Returns the graph of a Functional or a built Sequential model."""
    graph = model
    if isinstance(model, keras.Sequential):
        graph = model._functional
    if not isinstance(graph, Functional):
        raise TypeError(
            "Argument `model` must be a Functional or a built Sequential "
            f"model. Received: model={model!r} of type {type(model).__name__}"
        )
    return graph


def run_calls(calls: Iterable[GraphNode], tensors: Tensors) -> Tensors:
    """Runs recorded calls, in the order of execution, on other tensors.

    `tensors` holds replacements of the tensors that the calls read, by the
    `id` of the recorded tensor. The result is `tensors` with the outputs of
    all calls added.
    """
    known = dict(tensors)

    def mapped(leaf: Any) -> Any:
        is_tensor = isinstance(leaf, keras.KerasTensor)
        return known[id(leaf)] if is_tensor else leaf

    for call in calls:
        args, kwargs = keras.tree.map_structure(
            mapped, (call.args, call.kwargs)
        )
        answers = keras.tree.flatten(call.operation(*args, **kwargs))
        for old, new in zip(call.outputs, answers, strict=True):
            known[id(old)] = new
    return known


def call_through(
    model: Any,
    inputs: Any,
    training_of: Callable[[keras.Operation], bool | None],
) -> Any:
    """Runs a Functional model with a training mode for each operation.

    `training_of` returns the `training` argument for an operation.
    """

    def bound(operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if getattr(operation, "_call_has_training_arg", False):
                kwargs["training"] = training_of(operation)
            return operation(*args, **kwargs)

        return call

    return model._run_through_graph(
        model._standardize_inputs(inputs), operation_fn=bound
    )


def _record(
    graph: Any,
    inputs: list[Any],
    owners: tuple[Any, ...],
    entered: set[int],
    calls: list[GraphNode],
) -> Any:
    def bound(operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if id(operation) in entered:
                inside = (*owners, operation)
                flat = keras.tree.flatten(args[0])
                return _record(
                    as_graph(operation), flat, inside, entered, calls
                )
            outputs = operation(*args, **kwargs)
            flat_outputs = tuple(keras.tree.flatten(outputs))
            calls.append(
                GraphNode(operation, args, kwargs, flat_outputs, owners)
            )
            return outputs

        return call

    return graph._run_through_graph(inputs, operation_fn=bound)
