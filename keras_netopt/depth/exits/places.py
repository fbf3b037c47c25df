"""Where exits can leave a model, found by name or by marker."""

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.training.graph import GraphNode, graph_nodes
from keras_netopt.training.replay import RecordedCall, Recording, record

MARKER = "netopt_exit_head"
NEAR = 5


@dataclass(frozen=True)
class ExitPlacement:
    """A call whose output an exit reads.

    Args:
        call: The call.
        number: Its number among the recorded calls.
    """

    call: RecordedCall
    number: int

    @property
    def features(self) -> Any:
        """The symbolic tensor that the head reads."""
        return self.call.outputs[0]

    @property
    def head(self) -> keras.layers.Layer | None:
        """The head that a marker brings."""
        found: keras.layers.Layer | None
        found = getattr(self.call.operation, MARKER, None)
        return found

    @property
    def is_marker(self) -> bool:
        """Whether the user has put a marker here."""
        return hasattr(self.call.operation, MARKER)


def find_places(
    model: keras.Model, at: Sequence[str] | None
) -> tuple[Recording, tuple[ExitPlacement, ...]]:
    """Records a model and finds the places of its exits in it.

    Nested models are entered where an exit lies inside of them.

    Args:
        model: A built Functional or Sequential model.
        at: Names of layers, or paths such as "block/conv" for one inside a
            nested model; `None` for every marker.

    Returns:
        The recording, and the places in the order of execution.

    Raises:
        TypeError: If `at` is no list of names, or the model no graph.
        ValueError: If a name is unknown, ambiguous, or names the output of
            the model; if there is no marker; if the model has several
            outputs.
    """
    names = _checked_names(at)
    nodes = [n for n in graph_nodes(model, containers=True) if n.owners]
    chosen = _marked(nodes) if names is None else _named(nodes, names)
    enter = [owner for node in chosen for owner in node.owners[1:]]
    recording = record(model, enter=enter)
    paths = {node.path for node in chosen}
    places = [
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
    for place in places:
        _check_place(place, recording, outputs[0])
    return recording, tuple(places)


def _checked_names(at: Any) -> list[str] | None:
    if at is None:
        return None
    if isinstance(at, str):
        at = [at]
    names = list(at) if isinstance(at, Iterable) else [at]
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(
            "Argument `at` must be a list of layer names, or None for every "
            f"`layers.EarlyExit`. Received: at={at!r}"
        )
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise ValueError(
            f"Argument `at` must name a layer once. Received: at={at!r}"
        )
    return names


def _marked(nodes: Sequence[GraphNode]) -> list[GraphNode]:
    found = [node for node in nodes if hasattr(node.operation, MARKER)]
    if not found:
        raise ValueError(
            "Argument `at` must name layers where the model holds no "
            "`keras_netopt.layers.EarlyExit`. Received: at=None. Layers of "
            f"the model: {_listed(_paths(nodes))}"
        )
    return found


def _named(nodes: Sequence[GraphNode], names: Sequence[str]) -> list[GraphNode]:
    chosen = []
    for name in names:
        exact = [node for node in nodes if node.path == name]
        found = exact or [n for n in nodes if n.operation.name == name]
        paths = sorted({node.path for node in found})
        if not found:
            raise ValueError(_unknown(name, nodes))
        if len(paths) > 1:
            raise ValueError(
                "Argument `at` must say which layer is meant: "
                f"{name!r} stands for {', '.join(paths)}. "
                f"Received: at={name!r}"
            )
        chosen.append(found[0])
    return chosen


def _unknown(name: str, nodes: Sequence[GraphNode]) -> str:
    paths = _paths(nodes)
    near = difflib.get_close_matches(name, paths, NEAR, 0.5)
    hint = f"Near matches: {', '.join(near)}" if near else _listed(paths)
    return (
        "Argument `at` must name layers of the model. "
        f"Received: at={name!r}. {hint}"
    )


def _paths(nodes: Sequence[GraphNode]) -> list[str]:
    return list(dict.fromkeys(node.path for node in nodes))


def _listed(paths: Sequence[str]) -> str:
    return ", ".join(paths[:10]) + (", ..." if len(paths) > 10 else "")


def _check_place(
    place: ExitPlacement, recording: Recording, final: Any
) -> None:
    call = place.call
    calls = [c for c in recording.calls if c.path == call.path]
    if len(calls) > 1:
        raise ValueError(
            "Argument `at` must name a layer that is called once: "
            f"{call.path!r} is called {len(calls)} times. Received: "
            f"at={call.path!r}. Put a `layers.EarlyExit` where you mean it"
        )
    if len(call.outputs) != 1:
        raise ValueError(
            "Argument `at` must name a layer with one output. Received: "
            f"at={call.path!r}, which has {len(call.outputs)}"
        )
    if call.outputs[0] is final:
        raise ValueError(
            "Argument `at` must name a layer before the final output. "
            f"Received: at={call.path!r}, after which there is nothing left "
            "to skip"
        )
