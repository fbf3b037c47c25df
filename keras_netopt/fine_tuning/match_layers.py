"""Matches the layers of two models by path, then by kind and order."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layers import own_variables, walk_paths, weight_name

# Worth of a pair in the alignment: weights of equal shape count most.
SAME_SHAPES, SAME_PATH, SAME_CLASS = 10, 3, 1


@dataclass(frozen=True, eq=False)
class WeightedLayer:
    """A layer that holds weights itself.

    Args:
        path: Names of the layers that lead to it, joined with "/".
        plain_path: The path without the numbers of automatic names.
        name: Its own name if the user gave it, else "".
        is_named: Whether the user named the layer and all around it.
        layer: The layer.
        weights: Its own weights by name.
    """

    path: str
    plain_path: str
    name: str
    is_named: bool
    layer: keras.Layer = field(repr=False)
    weights: dict[str, keras.Variable] = field(repr=False)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of its weights by name."""
        return {name: tuple(v.shape) for name, v in self.weights.items()}


def list_weighted_layers(model: keras.Model) -> list[WeightedLayer]:
    """Lists the layers of a model that hold weights, in its order."""
    around: dict[str, tuple[str, bool]] = {"": ("", True)}
    found = []
    for path, layer in walk_paths(model):
        name = ""
        if path:
            plain, is_own = _strip_number(layer)
            name = layer.name if is_own else ""
            outer, outer_named = around[path.rpartition("/")[0]]
            plain = f"{outer}/{plain}" if outer else plain
            around[path] = plain, is_own and outer_named
        weights: dict[str, keras.Variable] = {}
        for variable in own_variables(layer):
            key = weight_name(variable, layer)
            key = f"{key}#{len(weights)}" if key in weights else key
            weights[key] = variable
        if weights:
            plain, is_named = around[path]
            found.append(
                WeightedLayer(path, plain, name, is_named, layer, weights)
            )
    return found


def _strip_number(layer: Any) -> tuple[str, bool]:
    """Returns a name without its automatic number, and if a user gave it."""
    found = re.fullmatch(r"(forward_|backward_)?(.*?)(_\d+)?", layer.name)
    prefix, name, _ = found.groups() if found else ("", layer.name, "")
    is_automatic = name.replace("_", "") == type(layer).__name__.lower()
    if not is_automatic:
        return layer.name, True
    return (prefix or "") + name, bool(prefix)


def match_layers(
    model: keras.Model, source: keras.Model
) -> list[tuple[WeightedLayer, WeightedLayer | None]]:
    """Finds the layer of `source` for each layer of `model` with weights.

    Layers that the user named are matched by their path. The others are
    aligned in their order: pairs are of one class, and the sum of their worth
    is as large as possible.
    """
    mine, theirs = list_weighted_layers(model), list_weighted_layers(source)
    named = {one.path: one for one in theirs if one.is_named}
    pairs: dict[int, WeightedLayer] = {}
    for one in mine:
        other = named.get(one.path)
        if one.is_named and other and type(one.layer) is type(other.layer):
            pairs[id(one)] = other
    taken = set(map(id, pairs.values()))
    left = [one for one in mine if id(one) not in pairs]
    rest = [one for one in theirs if id(one) not in taken]
    for one, other in _align(left, rest):
        pairs[id(one)] = other
    return [(one, pairs.get(id(one))) for one in mine]


def _worth(one: WeightedLayer, other: WeightedLayer) -> int:
    """Returns the worth of a pair, 0 if it is none."""
    is_renamed = one.name and other.name and one.name != other.name
    if is_renamed or type(one.layer) is not type(other.layer):
        return 0
    worth = SAME_CLASS
    if one.shapes == other.shapes:
        worth += SAME_SHAPES
    if one.plain_path == other.plain_path:
        worth += SAME_PATH
    return worth


def _align(
    mine: list[WeightedLayer], theirs: list[WeightedLayer]
) -> list[tuple[WeightedLayer, WeightedLayer]]:
    """Aligns two sequences, as in a longest common subsequence."""
    best: Any = np.zeros((len(mine) + 1, len(theirs) + 1), dtype=int)
    worth = np.array(
        [[_worth(one, other) for other in theirs] for one in mine], dtype=int
    ).reshape(len(mine), len(theirs))
    for i in reversed(range(len(mine))):
        for k in reversed(range(len(theirs))):
            pair = worth[i, k] + best[i + 1, k + 1] if worth[i, k] else 0
            best[i, k] = max(pair, best[i + 1, k], best[i, k + 1])
    pairs, i, k = [], 0, 0
    while i < len(mine) and k < len(theirs):
        if worth[i, k] and best[i, k] == worth[i, k] + best[i + 1, k + 1]:
            pairs.append((mine[i], theirs[k]))
            i, k = i + 1, k + 1
        elif best[i, k] == best[i + 1, k]:
            i += 1
        else:
            k += 1
    return pairs
