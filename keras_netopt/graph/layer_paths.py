"""Paths of the layers of a model."""

import difflib
from collections.abc import Mapping
from typing import Any

from keras_netopt.graph.layers import sublayers
from keras_netopt.graph.model_graph import has_graph
from keras_netopt.graph.recorded_calls import list_operations


def describe_operation(operation: Any) -> str:
    """Returns class and name of a layer or op: "Softmax 'probs'"."""
    return f"{type(operation).__name__} '{operation.name}'"


def layer_paths(model: Any) -> list[str]:
    """Lists the path of every layer and op of a model, outermost first.

    The order depends on the structure alone, so a layer has the same position
    in a rebuilt model with other automatic names.
    """
    return [path for path, _ in index_operations(model).values()]


def index_operations(model: Any) -> dict[int, tuple[str, Any]]:
    """Maps the `id` of each layer and op to its unique path and itself."""
    found: dict[int, tuple[str, Any]] = {}
    taken: set[str] = set()
    stack = [("", child) for child in reversed(_children(model))]
    while stack:
        prefix, one = stack.pop()
        if id(one) in found or one is model:
            continue
        path, number = prefix + one.name, 0
        while path in taken:
            number += 1
            path = f"{prefix}{one.name}#{number}"
        taken.add(path)
        found[id(one)] = path, one
        for child in reversed(_children(one)):
            stack.append((f"{path}/", child))
    return found


def _children(operation: Any) -> list[Any]:
    children = sublayers(operation)
    if has_graph(operation):
        known = {id(child) for child in children}
        calls = list_operations(operation)
        children += [one for one in calls if id(one) not in known]
    return children


def find_by_name(name: str, model_name: str, known: Mapping[str, Any]) -> Any:
    """Finds a layer by its path, or by the last name of one if it is unique.

    `known` are the layers by path. Raises ValueError if no layer, or more than
    one, has the name.
    """
    if name in known:
        return known[name]
    same = [path for path in known if path.split("/")[-1] == name]
    if len(same) == 1:
        return known[same[0]]
    if same:
        raise ValueError(
            f"Several layers have the name '{name}': "
            f"{', '.join(sorted(same))}. Received: layer={name!r}"
        )
    near = _nearest(name, list(known))
    raise ValueError(
        f"There is no layer '{name}' in the model '{model_name}'; "
        f"the nearest names are {near}. Received: layer={name!r}"
    )


def _nearest(name: str, paths: list[str]) -> str:
    def likeness(path: str) -> float:
        last = path.split("/")[-1]
        return max(
            difflib.SequenceMatcher(None, name, text).ratio()
            for text in (path, last)
        )

    best = sorted(paths, key=likeness, reverse=True)[:3]
    return ", ".join(f"'{path}'" for path in best)
