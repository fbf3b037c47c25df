"""What lies on the way of units and would make equal units unequal."""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.graph.channel_graph import (
    ChannelGraph,
    describe,
    functional,
    nodes,
)

RATES = ("rate", "stddev", "dropout", "recurrent_dropout", "_dropout")
HALF = ("float16", "bfloat16")


def randomness(graph: ChannelGraph, classes: np.ndarray) -> str | None:
    """Says which layer treats equal units differently while training.

    Args:
        graph: The graph.
        classes: The classes of the units.

    Returns:
        The reason as text, or `None` where there is none.
    """
    for layer in _bound_layers(graph, classes):
        if _is_random(layer):
            return f"{describe(layer)} has dropout"
    for node in all_nodes(graph.model):
        if not _is_random(node.operation):
            continue
        for tensor in node.input_tensors:
            for ids in graph.axes(tensor).values():
                if np.isin(graph.class_of[ids], classes).any():
                    return f"{describe(node.operation)} lies between"
    return None


def blur(graph: ChannelGraph, classes: np.ndarray) -> str | None:
    """Says which layer computes too coarsely for opposite terms to cancel.

    Args:
        graph: The graph.
        classes: The classes of the units.

    Returns:
        The reason as text, or `None` where there is none.
    """
    for layer in _bound_layers(graph, classes):
        if getattr(layer, "compute_dtype", None) in HALF:
            return f"{describe(layer)} computes in {layer.compute_dtype}"
    return None


def all_nodes(model: Any) -> Any:
    """Yields the calls of a model and of the models nested in it, once each.

    Args:
        model: A Functional or Sequential model.

    Yields:
        Keras nodes without those of inputs.
    """
    seen: set[int] = set()
    stack = [model]
    while stack:
        inner = functional(stack.pop())
        if id(inner) in seen:
            continue
        seen.add(id(inner))
        for node in nodes(inner):
            if not node.is_input:
                yield node
            if isinstance(node.operation, keras.Model):
                stack.append(node.operation)


def _bound_layers(graph: ChannelGraph, classes: np.ndarray) -> list[Any]:
    found = {
        id(b.layer): b.layer
        for b in graph.bindings
        if np.isin(graph.class_of[b.ids], classes).any()
    }
    return list(found.values())


def _is_random(layer: Any) -> bool:
    if isinstance(layer, keras.Model):
        return False
    values = [getattr(layer, name, None) for name in RATES]
    return any(isinstance(v, int | float) and v > 0 for v in values)
