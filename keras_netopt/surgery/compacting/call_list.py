"""The calls of a model in order, also those inside nested models."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.graph.model_graph import (
    graph_inputs,
    graph_outputs,
    inner_graph,
    is_graph_model,
)
from keras_netopt.graph.recorded_calls import list_calls


@dataclass(frozen=True, eq=False)
class ListedCall:
    """One call, or the passage of tensors into or out of a nested model.

    Args:
        operation: The layer or op; `None` for a passage.
        inputs: The flat input tensors.
        outputs: The flat output tensors.
        node: The call in the graph of calls; `None` for a passage.
        is_known: For a passage, whether the inner tensors have only the
            values of the outer ones: the model is called once.
        trains: Whether the graph has `training=True` for this call, or for
            a model around it.
    """

    operation: Any
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    node: Any = None
    is_known: bool = True
    trains: bool = False

    @property
    def layer(self) -> Any:
        """The layer that works on each step: that inside TimeDistributed."""
        if isinstance(self.operation, keras.layers.TimeDistributed):
            return self.operation.layer
        return self.operation

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The input tensors without masks."""
        if self.node is None:
            return self.inputs
        masks = {
            id(mask)
            for name, value in self.node.kwargs.items()
            if name == "mask" or name.endswith("_mask")
            for mask in keras.tree.flatten(value)
        }
        return tuple(one for one in self.inputs if id(one) not in masks)


def list_model_calls(model: Any) -> list[ListedCall]:
    """Lists the calls of a Functional or Sequential model, in order.

    The calls of a nested model follow the passage of its inputs. They are
    listed once, however often the model is called.
    """
    counts = Counter(_nested_graphs(model, set()))
    found: list[ListedCall] = []
    training = _training_graphs(model)
    _add(model, counts, training, set(), found)
    return found


def _nested_graphs(model: Any, seen: set[int]) -> list[int]:
    """Returns the `id` of the graph of each call of a nested model."""
    graph = inner_graph(model)
    if id(graph) in seen:
        return []
    seen.add(id(graph))
    found = []
    for node in list_calls(graph):
        if not node.is_input and is_graph_model(node.operation):
            found.append(id(inner_graph(node.operation)))
            found += _nested_graphs(node.operation, seen)
    return found


def _training_graphs(model: Any, trains: bool = False) -> set[int]:
    """Returns the `id`s of the graphs that a call runs in training."""
    found = {id(inner_graph(model))} if trains else set()
    for node in list_calls(inner_graph(model)):
        if not node.is_input and is_graph_model(node.operation):
            inside = trains or _trains(node)
            found |= _training_graphs(node.operation, inside)
    return found


def _trains(node: Any) -> bool:
    """Whether a call has the argument `training=True`."""
    value = node.kwargs.get("training")  # Keras refuses it by position.
    # A tensor has no truth value.
    return isinstance(value, keras.KerasTensor) or bool(value)


def _add(
    model: Any,
    counts: Counter[int],
    training: set[int],
    seen: set[int],
    found: list[ListedCall],
) -> None:
    graph = inner_graph(model)
    if id(graph) in seen:
        return
    seen.add(id(graph))
    for node in list_calls(graph):
        if node.is_input:
            continue
        one = node.operation
        given = keras.tree.flatten(node.args[:1])
        if not is_graph_model(one) or len(given) != len(graph_inputs(one)):
            inputs = tuple(node.input_tensors)
            trains = id(graph) in training or _trains(node)
            outputs = tuple(node.outputs)
            found.append(ListedCall(one, inputs, outputs, node, trains=trains))
            continue
        once = counts[id(inner_graph(one))] == 1
        for outside, inside in zip(given, graph_inputs(one), strict=True):
            found.append(ListedCall(None, (outside,), (inside,), is_known=once))
        _add(one, counts, training, seen, found)
        for inside, outside in zip(
            graph_outputs(one), node.outputs, strict=True
        ):
            # The values inside hold for every call; so does "is used".
            found.append(ListedCall(None, (inside,), (outside,)))
