"""What `include` and `exclude` accept, and which weights they match."""

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import keras

from keras_netopt.checks import check_regex
from keras_netopt.training.layers import walk_layers

Predicate = Callable[[keras.Variable, keras.Layer], bool]
WeightPattern: TypeAlias = str | keras.Layer | type[keras.Layer] | Predicate
Candidate = tuple[str, keras.Variable, keras.Layer]


def as_patterns(value: Any, name: str) -> list[WeightPattern]:
    """Checks an `include` or `exclude` and returns it as a list.

    Args:
        value: A pattern, a list, tuple or set of them, or `None`.
        name: The argument's name, for the message.

    Returns:
        The patterns; empty for `None`.

    Raises:
        TypeError: If one of them is none of the accepted kinds.
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
        _check_pattern(pattern, name)
    return patterns


def _check_pattern(pattern: Any, name: str) -> None:
    is_class = isinstance(pattern, type)
    if is_class and issubclass(pattern, keras.Layer):
        return
    if is_class or not (isinstance(pattern, str) or callable(pattern)):
        raise TypeError(
            f"Argument `{name}` must be a regular expression, a layer, a "
            'layer class, a callable(variable, layer), "first", "last" or a '
            f"list of those. Received: {name}={pattern!r}"
        )
    if isinstance(pattern, str):
        check_regex(pattern, name)


def is_predicate(pattern: WeightPattern) -> bool:
    """Whether a pattern is a callable(variable, layer)."""
    return not isinstance(pattern, str | type | keras.Layer)


def find(
    pattern: WeightPattern,
    candidates: list[Candidate],
    ends: tuple[keras.Layer | None, keras.Layer | None],
    model: keras.Model,
) -> set[int]:
    """Finds the weights that one pattern matches.

    Args:
        pattern: One pattern.
        candidates: Every weight as `(key, variable, layer)`.
        ends: The layers that "first" and "last" stand for.
        model: The model, to look for layers of a class.

    Returns:
        The `id` of each variable that matches.
    """
    if isinstance(pattern, str) and pattern in ("first", "last"):
        end = ends[pattern == "last"]
        return {id(v) for _, v, layer in candidates if layer is end}
    if isinstance(pattern, str):
        regex = re.compile(pattern)
        return {id(v) for key, v, _ in candidates if regex.search(key)}
    if isinstance(pattern, type):
        roots = [la for la in walk_layers(model) if isinstance(la, pattern)]
        return _below(roots, candidates)
    if isinstance(pattern, keras.Layer):
        return _below([pattern], candidates)
    return {id(v) for _, v, layer in candidates if pattern(v, layer)}


def _below(
    roots: Iterable[keras.Layer], candidates: list[Candidate]
) -> set[int]:
    layers = {id(layer) for root in roots for layer in walk_layers(root)}
    return {id(v) for _, v, layer in candidates if id(layer) in layers}
