"""Matches the weights of a layer with those of its twin by name and shape."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras

from keras_netopt.graph.layers import own_variables, walk_paths, weight_name

Key = tuple[str, ...]
# Of tf_keras, by the name in Keras.
_ALIASES = {"kernel": ("depthwise_kernel",), "depthwise_kernel": ("kernel",)}


def keras_weights(layer: Any) -> Iterator[tuple[Key, keras.Variable]]:
    """Yields the key and the variable of each weight of a Keras layer.

    A key holds the names of the layers inside this one and of the weight.
    """
    kept = {id(variable) for variable in layer.weights}
    for path, inner in walk_paths(layer):
        for variable in own_variables(inner):
            if id(variable) in kept:
                parts = path.split("/") if path else []
                yield (*parts, weight_name(variable, inner)), variable


def tf_keras_weights(layer: Any) -> Iterator[tuple[Key, Any]]:
    """Yields the key and the variable of each weight of a tf_keras layer."""
    seen: set[int] = set()
    for variable in layer.weights:
        if id(variable) not in seen:
            seen.add(id(variable))
            parts = variable.name.rpartition(":")[0].split("/")
            if parts[0] == layer.name:
                del parts[0]
            yield tuple(parts), variable


def match_weights(
    wanted: Sequence[tuple[Key, Any]], given: Sequence[tuple[Key, Any]]
) -> tuple[list[Any], list[str]]:
    """Finds a given weight for each wanted one, by name and by shape.

    The order says nothing. Returns the weights in the order of `wanted`, and
    what is wrong.
    """
    found: list[Any] = []
    wrong: list[str] = []
    for key, variable in wanted:
        shape = tuple(variable.shape)
        named = _select(key, given)
        fitting = [one for one in named if tuple(one.shape) == shape]
        if len(fitting) == 1:
            found.append(fitting[0])
            continue
        text = f"{'/'.join(key)} {shape}"
        if not named:
            names = ", ".join("/".join(other) for other, _ in given)
            wrong.append(f"{text} is missing among: {names or 'no weights'}")
        elif not fitting:
            shapes = ", ".join(str(tuple(one.shape)) for one in named)
            wrong.append(f"{text} has the shape {shapes} instead")
        else:
            wrong.append(f"{text} fits {len(fitting)} weights")
    return found, wrong


def _select(key: Key, given: Iterable[tuple[Key, Any]]) -> list[Any]:
    """Returns the weights of one name; of several those in the same place."""
    pairs = list(given)
    for last in (key[-1], *_ALIASES.get(key[-1], ())):
        named = [(other, one) for other, one in pairs if other[-1] == last]
        if named:
            break
    if len(named) < 2:
        return [one for _, one in named]
    for form in (_exact, _without_numbers):
        place = form(key[:-1])
        lengths = [_common_end(place, form(other[:-1])) for other, _ in named]
        best = [
            one
            for length, (_, one) in zip(lengths, named, strict=True)
            if length == max(lengths)
        ]
        if len(best) == 1:
            return best
    return [one for _, one in named]


def _exact(place: Key) -> Key:
    return place


def _without_numbers(place: Key) -> Key:
    return tuple(re.sub(r"_\d+$", "", part) for part in place)


def _common_end(one: Key, other: Key) -> int:
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count
