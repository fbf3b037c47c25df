"""Finds the layers whose outputs exits read, by name or by marker."""

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.model_graph import as_graph
from keras_netopt.graph.record_calls import (
    Recording,
    record_calls,
)
from keras_netopt.graph.recorded_calls import list_all_calls

MARKER = "netopt_exit_head"
MAX_MATCHES = 5


@dataclass(frozen=True)
class ExitPlacement:
    """A call whose output an exit head reads, with its index among calls."""

    call: GraphNode
    number: int

    @property
    def features(self) -> Any:
        """The symbolic tensor that the head reads."""
        return self.call.outputs[0]

    @property
    def head(self) -> keras.layers.Layer | None:
        """The head of an `EarlyExit` layer."""
        head: keras.layers.Layer | None
        head = getattr(self.call.operation, MARKER, None)
        return head

    @property
    def is_marker(self) -> bool:
        """Whether the layer is an `EarlyExit`."""
        return hasattr(self.call.operation, MARKER)


def find_exit_placements(
    model: keras.Model, layers: Sequence[str] | None
) -> tuple[Recording, tuple[ExitPlacement, ...]]:
    """Records a model and finds its exit placements, in the order of execution.

    `layers` are names, or paths such as "block/conv" for a layer inside a
    nested model; `None` stands for every `EarlyExit`. A name that is unknown,
    ambiguous or produces the output of the model is refused.
    """
    names = _check_names(layers)
    as_graph(model)  # Raises if the model has no graph.
    nodes = [one for one in list_all_calls(model) if not one.is_input]
    chosen = _find_markers(nodes) if names is None else _find(nodes, names)
    enter = [owner for node in chosen for owner in node.owners[1:]]
    recording = record_calls(model, enter=enter)
    paths = {node.path for node in chosen}
    placements = [
        ExitPlacement(call, number)
        for number, call in enumerate(recording.calls)
        if call.path in paths
    ]
    outputs = keras.tree.flatten(recording.outputs)
    if len(outputs) != 1:
        raise ValueError(
            "Argument `model` must have one output. "
            f"Received: a model with {len(outputs)} outputs"
        )
    for placement in placements:
        _check_placement(placement, recording, outputs[0])
    return recording, tuple(placements)


def _check_names(layers: Any) -> list[str] | None:
    if layers is None:
        return None
    if isinstance(layers, str):
        layers = [layers]
    names = list(layers) if isinstance(layers, Iterable) else [layers]
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(
            "Argument `layers` must be a list of layer names, or None for "
            f"every `layers.EarlyExit`. Received: layers={layers!r}"
        )
    if max(Counter(names).values()) > 1:
        raise ValueError(
            "Argument `layers` must not repeat a name. "
            f"Received: layers={layers!r}"
        )
    return names


def _find_markers(nodes: Sequence[GraphNode]) -> list[GraphNode]:
    found = [node for node in nodes if hasattr(node.operation, MARKER)]
    if not found:
        raise ValueError(
            "Argument `layers` must be given for a model without "
            "`keras_netopt.layers.EarlyExit`. Received: layers=None. Layers "
            f"of the model: {_list_paths(_paths(nodes))}"
        )
    return found


def _find(nodes: Sequence[GraphNode], names: Sequence[str]) -> list[GraphNode]:
    chosen = []
    for name in names:
        exact = [node for node in nodes if node.path == name]
        found = exact or [n for n in nodes if n.operation.name == name]
        paths = sorted({node.path for node in found})
        if not found:
            raise ValueError(_unknown_layer(name, nodes))
        if len(paths) > 1:
            raise ValueError(
                f"Argument `layers` must be unambiguous: {name!r} is the name "
                f"of {', '.join(paths)}. Received: layers={name!r}. Pass a "
                "path"
            )
        chosen.append(found[0])
    return chosen


def _unknown_layer(name: str, nodes: Sequence[GraphNode]) -> str:
    paths = _paths(nodes)
    near = difflib.get_close_matches(name, paths, MAX_MATCHES, 0.5)
    hint = f"Near matches: {', '.join(near)}" if near else _list_paths(paths)
    return (
        "Argument `layers` must name layers of the model. "
        f"Received: layers={name!r}. {hint}"
    )


def _paths(nodes: Sequence[GraphNode]) -> list[str]:
    return list(dict.fromkeys(node.path for node in nodes))


def _list_paths(paths: Sequence[str]) -> str:
    return ", ".join(paths[:10]) + (", ..." if len(paths) > 10 else "")


def _check_placement(
    placement: ExitPlacement, recording: Recording, final: Any
) -> None:
    call = placement.call
    count = sum(c.path == call.path for c in recording.calls)
    if count > 1:
        raise ValueError(
            "Argument `layers` must name layers that are called once: "
            f"{call.path!r} is called {count} times. Received: "
            f"layers={call.path!r}. Insert a `layers.EarlyExit` instead"
        )
    if len(call.outputs) != 1:
        raise ValueError(
            "Argument `layers` must name layers with one output. Received: "
            f"layers={call.path!r}, which has {len(call.outputs)}"
        )
    if call.outputs[0] is final:
        raise ValueError(
            "Argument `layers` must name layers before the final output. "
            f"Received: layers={call.path!r}, which produces it"
        )
