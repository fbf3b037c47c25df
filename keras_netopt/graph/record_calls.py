"""Records the calls of a Functional model and runs them again.

Private name of Keras 3.15: `Layer._call_has_training_arg`.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.graph.graph_node import Args, GraphNode, Kwargs
from keras_netopt.graph.model_graph import (
    as_graph,
    run_graph,
    standardize_inputs,
)

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

    def call(operation: Any, args: Args, kwargs: Kwargs) -> Any:
        if getattr(operation, "_call_has_training_arg", False):
            kwargs["training"] = training_of(operation)
        return operation(*args, **kwargs)

    return run_graph(model, standardize_inputs(model, inputs), call)


def _record(
    graph: Any,
    inputs: list[Any],
    owners: tuple[Any, ...],
    entered: set[int],
    calls: list[GraphNode],
) -> Any:
    def call(operation: Any, args: Args, kwargs: Kwargs) -> Any:
        if id(operation) in entered:
            inside = (*owners, operation)
            flat = keras.tree.flatten(args[0])
            return _record(as_graph(operation), flat, inside, entered, calls)
        outputs = operation(*args, **kwargs)
        flat = tuple(keras.tree.flatten(outputs))
        calls.append(GraphNode(operation, args, kwargs, flat, owners))
        return outputs

    return run_graph(graph, inputs, call)
