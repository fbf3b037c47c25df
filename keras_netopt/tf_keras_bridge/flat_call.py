"""The calls of a model with its nested models written out."""

from dataclasses import dataclass, field
from typing import Any

import keras

from keras_netopt.graph.model_graph import (
    graph_inputs,
    graph_outputs,
    inner_graph,
    is_graph_model,
    output_structure,
    producer,
)
from keras_netopt.graph.recorded_calls import list_calls


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the flat graph: its shape, batch included, and dtype."""

    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, eq=False)
class FlatCall:
    """One call of a layer or op, outside of any nested model.

    Args:
        operation: The layer or op.
        path: Names of the models around it and its own, joined with "/".
        args: Positional arguments, with `Value` for tensors.
        kwargs: Keyword arguments, likewise.
        outputs: The flat outputs.
    """

    operation: Any
    path: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[Value, ...]

    @property
    def kind(self) -> str:
        """The name of the class."""
        return type(self.operation).__name__

    @property
    def tensors(self) -> list[Value]:
        """The flat tensors among the arguments."""
        leaves = keras.tree.flatten((self.args, self.kwargs))
        return [leaf for leaf in leaves if isinstance(leaf, Value)]


@dataclass
class FlatGraph:
    """A model as a list of calls in order of execution.

    Args:
        inputs: One `Value` per input, in the order of the model.
        names: The names of the inputs.
        outputs: The structure of the outputs, with a `Value` for each.
        calls: The calls.
    """

    inputs: list[Value]
    names: list[str]
    outputs: Any = None
    calls: list[FlatCall] = field(default_factory=list)


def flatten_model(model: keras.Model) -> FlatGraph:
    """Lists the calls of a Functional or Sequential model.

    Calls of nested models are replaced by the calls inside them.
    """
    tensors = graph_inputs(model)
    graph = FlatGraph(
        [_as_value(one) for one in tensors],
        [_input_name(one) for one in tensors],
    )
    flat = _inline(graph, model, graph.inputs, ())
    structure = output_structure(inner_graph(model))
    graph.outputs = keras.tree.pack_sequence_as(structure, flat)
    return graph


def find_consumers(graph: FlatGraph, value: Value) -> list[FlatCall]:
    """Lists the calls that take a tensor."""
    return [
        call
        for call in graph.calls
        if any(one is value for one in call.tensors)
    ]


def is_output(graph: FlatGraph, value: Value) -> bool:
    """Whether a model returns a tensor."""
    return any(one is value for one in keras.tree.flatten(graph.outputs))


def _inline(
    graph: FlatGraph,
    model: Any,
    inputs: list[Value],
    around: tuple[str, ...],
) -> list[Value]:
    tensors = graph_inputs(model)
    known = {
        id(tensor): value for tensor, value in zip(tensors, inputs, strict=True)
    }

    def fill(leaf: Any) -> Any:
        return known.get(id(leaf), leaf)

    for node in list_calls(model):
        if node.is_input:
            continue
        args, kwargs = keras.tree.map_structure(fill, (node.args, node.kwargs))
        operation = node.operation
        path = (*around, operation.name)
        if is_graph_model(operation):
            flat = keras.tree.flatten(args[0] if args else kwargs["inputs"])
            outputs = _inline(graph, operation, flat, path)
        else:
            outputs = [_as_value(one) for one in node.outputs]
            call = FlatCall(
                operation, "/".join(path), args, kwargs, tuple(outputs)
            )
            graph.calls.append(call)
        known |= {
            id(tensor): value
            for tensor, value in zip(node.outputs, outputs, strict=True)
        }
    return [known[id(tensor)] for tensor in graph_outputs(model)]


def _as_value(tensor: Any) -> Value:
    return Value(tuple(tensor.shape), float32_of(tensor.dtype))


def float32_of(dtype: Any) -> str:
    """Returns the dtype in the twin: half precision becomes float32."""
    name = keras.backend.standardize_dtype(dtype)
    return "float32" if name in ("float16", "bfloat16") else name


def _input_name(tensor: Any) -> str:
    return str(producer(tensor).name)
