"""What `include` and `exclude` accept, and which layers they match."""

import re
from typing import Any, TypeAlias

import keras

from keras_netopt.surgery.graph.channel_graph import ChannelGraph
from keras_netopt.training.layers import walk_layers

LayerPattern: TypeAlias = str | keras.Layer | type[keras.Layer]


def check_patterns(value: Any, name: str) -> list[LayerPattern]:
    """Checks an `include` or `exclude` and returns it as a list.

    Args:
        value: A pattern, a list of them, or `None`.
        name: The argument's name, for the message.

    Returns:
        The patterns; empty for `None`.

    Raises:
        TypeError: If one is none of the accepted kinds.
        ValueError: If the list is empty or a regular expression is broken.
    """
    if value is None:
        return []
    is_list = isinstance(value, list | tuple | set | frozenset)
    patterns = list(value) if is_list else [value]
    if not patterns:
        raise ValueError(
            f"Argument `{name}` must hold at least one pattern, or be None. "
            f"Received: {name}={value!r}"
        )
    for pattern in patterns:
        is_class = isinstance(pattern, type) and issubclass(
            pattern, keras.Layer
        )
        if not (is_class or isinstance(pattern, str | keras.Layer)):
            raise TypeError(
                f"Argument `{name}` must be the name of a layer, a regular "
                "expression, a layer, a layer class or a list of those. "
                f"Received: {name}={pattern!r}"
            )
        if isinstance(pattern, str):
            _check_regex(pattern, name)
    return patterns


def _check_regex(pattern: str, name: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"Argument `{name}` must be a valid regular expression, but "
            f"{error}. Received: {name}={pattern!r}"
        ) from error


def match(graph: ChannelGraph, value: Any, name: str) -> set[str] | None:
    """Finds the layers with channels of their own that patterns match.

    Args:
        graph: The graph of a model.
        value: An `include` or `exclude`.
        name: The argument's name, for the message.

    Returns:
        Their paths, `None` where there is no pattern.

    Raises:
        TypeError: If a pattern is of the wrong kind.
        ValueError: If one matches nothing.
    """
    if value is None:
        return None
    paths = list(dict.fromkeys(graph.path(layer) for layer in graph.producers))
    matched: set[str] = set()
    for pattern in check_patterns(value, name):
        found = _find(graph, pattern, paths)
        if not found:
            raise ValueError(
                f"Argument `{name}` must match at least one layer with "
                f"channels of its own, which are: {', '.join(paths)}. "
                f"Received: {name}={pattern!r}"
            )
        matched |= found
    return matched


def _find(
    graph: ChannelGraph, pattern: LayerPattern, paths: list[str]
) -> set[str]:
    if isinstance(pattern, str):
        exact = {p for p in paths if pattern in (p, p.rpartition("/")[2])}
        regex = re.compile(pattern)
        return exact or {
            # So that "block/" means all that is inside it, and "2$" works.
            path
            for path in paths
            if regex.search(f"{path}/") or regex.search(path)
        }
    roots = [
        graph.path(layer)
        for layer in walk_layers(graph.model)
        if layer is not graph.model
        and (
            layer is pattern
            or (isinstance(pattern, type) and isinstance(layer, pattern))
        )
    ]
    return {p for p in paths if any(_is_inside(p, root) for root in roots)}


def _is_inside(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}/")
