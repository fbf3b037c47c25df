"""Divides the layers of a model into groups that open or freeze together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layers import own_variables, sublayers, walk_layers
from keras_netopt.selectors import select

DEFAULT_GROUPS = 4


@dataclass(frozen=True, eq=False)
class GroupOfLayers:
    """Layers that open or freeze together.

    Args:
        paths: The path of each layer in the model.
        layers: The layers; everything inside them belongs to the group.
        variables: Their trainable weights.
    """

    paths: tuple[str, ...]
    layers: tuple[keras.Layer, ...]
    variables: tuple[Any, ...]

    @property
    def parameters(self) -> int:
        """The number of trainable parameters."""
        return sum(int(np.prod(v.shape)) for v in self.variables)


@dataclass(frozen=True)
class OutermostLayer:
    """The outermost layer with weights of its own on its branch.

    Args:
        path: The path of the layer in the model.
        layer: The layer.
        trained: The weights that `fit` trains, those inside it included.
    """

    path: str
    layer: Any
    trained: tuple[Any, ...]

    @property
    def holds_vectors_only(self) -> bool:
        """Whether it has no kernel: a normalization, or frozen weights."""
        return all(len(v.shape) < 2 for v in self.trained)


def find_weighted_layers(model: keras.Model) -> list[OutermostLayer]:
    """Lists the layers that hold the weights of a model, in its order.

    A layer with weights of its own stands for everything inside it.
    """
    trained = {id(v) for v in model.trainable_variables}
    return [
        OutermostLayer(
            path,
            layer,
            tuple(v for v in layer.variables if id(v) in trained),
        )
        for path, layer in _walk_owners("", model, set())
    ]


def find_frozen(model: keras.Model) -> list[str]:
    """Returns the paths of the layers that were frozen before `fit`."""
    return [
        one.path
        for one in find_weighted_layers(model)
        if not (one.trained or one.layer.trainable)
    ]


def list_blocks(model: keras.Model) -> list[GroupOfLayers]:
    """Lists the layers of a model, each with the normalization after it.

    Layers of nested models count as those of the model. A layer with layers
    inside, such as attention or a transformer block, is one block.
    """
    found = find_weighted_layers(model)
    owners = {id(one.layer) for one in found}
    blocks = _join_vectors(_parts(found, _opened_layers(model, owners)))
    made = map(_make_group, blocks)
    return [group for group in made if group.variables]


def make_groups(
    model: keras.Model, groups: Any, name: str = "groups"
) -> list[GroupOfLayers]:
    """Divides the weighted layers of a model into groups.

    Args:
        model: The model. Weights that are frozen already belong to no group.
        groups: A list of selectors, one per group, in the order of the list;
            or a number of groups, from the first layers of the model to the
            last; or `None`.
        name: The argument's name, for messages. Defaults to `"groups"`.

    Raises:
        ValueError: If a selector matches nothing or frozen layers only, if
            two groups share a layer or a weight, or the model has too few
            layers.
    """
    found = find_weighted_layers(model)
    if isinstance(groups, list | tuple):
        parts = _select_parts(model, found, groups, name)
    elif groups is None:
        parts = _default_parts(model, found)
    else:
        parts = _split(_blocks(found), groups)
    made = [_make_group(part) for part in parts]
    made = [group for group in made if group.variables]
    wanted = 2 if groups is None else groups
    if not isinstance(groups, list | tuple) and len(made) < wanted:
        raise ValueError(
            f"Argument `{name}` must be at most the number of layers with "
            f"trainable kernels, which is {len(_blocks(found))} in this "
            "model, and at least 2: fewer would freeze nothing. Layers that "
            "are frozen before `fit` do not count: set `trainable = True`, "
            "and the callback keeps them frozen until their turn. "
            f"Received: {name}={groups!r}"
        )
    _check_disjoint(made, groups, name)
    return made


def _walk_owners(
    path: str, layer: Any, seen: set[int]
) -> Iterator[tuple[str, Any]]:
    for child in sublayers(layer):
        if id(child) in seen:
            continue
        seen.add(id(child))
        name = f"{path}/{child.name}" if path else child.name
        if _own_weights(child):
            seen.update(id(one) for one in walk_layers(child))
            yield name, child
        else:
            yield from _walk_owners(name, child, seen)


def _own_weights(layer: Any) -> list[Any]:
    weights = {id(v) for v in layer.weights}  # No states of random numbers.
    return [v for v in own_variables(layer) if id(v) in weights]


def _select_parts(
    model: keras.Model,
    found: list[OutermostLayer],
    groups: Sequence[Any],
    name: str,
) -> list[list[OutermostLayer]]:
    candidates = [(one.path, one.layer) for one in found]
    parts, owners = [], dict[int, int]()
    for number, selector in enumerate(groups):
        places = select(selector, candidates, model, name)
        chosen = [found[i] for i in sorted(places)]
        for i in sorted(places):
            if i in owners:
                raise ValueError(
                    f"Argument `{name}` must name each layer once, but "
                    f"groups {owners[i]} and {number} both hold "
                    f"'{found[i].path}'. Received: {name}={groups!r}"
                )
            owners[i] = number
        if not any(one.trained for one in chosen):
            raise ValueError(
                f"Argument `{name}` must name layers with trainable weights, "
                f"but all of group {number} are frozen: "
                f"{', '.join(one.path for one in chosen)}. Set `trainable = "
                "True` before `fit`; the callback keeps them frozen until "
                f"their turn. Received: {name}={groups!r}"
            )
        parts.append(chosen)
    return parts


def _default_parts(
    model: keras.Model, found: list[OutermostLayer]
) -> list[list[OutermostLayer]]:
    """One part per layer of the model itself, four of a longer model."""
    blocks = _blocks(found)
    merged = _join_vectors(_parts(found, sublayers(model)))
    if 2 <= len(merged) <= DEFAULT_GROUPS:
        return merged
    return _split(blocks, min(DEFAULT_GROUPS, len(blocks)))


def _blocks(found: list[OutermostLayer]) -> list[list[OutermostLayer]]:
    return _join_vectors([[one] for one in found])


def _opened_layers(model: Any, owners: set[int]) -> Iterator[Any]:
    """The layers of a model and of the models inside it, in their order."""
    for child in sublayers(model):
        if isinstance(child, keras.Model) and id(child) not in owners:
            yield from _opened_layers(child, owners)
        else:
            yield child


def _parts(
    found: list[OutermostLayer], layers: Iterable[Any]
) -> list[list[OutermostLayer]]:
    """Divides weighted layers by the layer that holds them, each once."""
    parts, left = [], {id(one.layer): one for one in found}
    for layer in layers:
        inside = [left.pop(id(one), None) for one in walk_layers(layer)]
        if part := [one for one in inside if one is not None]:
            parts.append(part)
    return parts


def _join_vectors(
    parts: list[list[OutermostLayer]],
) -> list[list[OutermostLayer]]:
    """Joins each part without a kernel with the part before it."""
    blocks: list[list[OutermostLayer]] = []
    for part in parts:
        if blocks and (_holds_vectors(part) or _holds_vectors(blocks[-1])):
            blocks[-1] = blocks[-1] + part
        else:
            blocks.append(part)
    return blocks


def _holds_vectors(part: list[OutermostLayer]) -> bool:
    return all(one.holds_vectors_only for one in part)


def _split(
    blocks: list[list[OutermostLayer]], count: int
) -> list[list[OutermostLayer]]:
    """The last block is one part, the others are divided evenly."""
    if count < 2 or count > len(blocks):
        return []
    *body, head = blocks
    parts = np.array_split(np.arange(len(body)), count - 1)
    return [[one for i in part for one in body[i]] for part in parts] + [head]


def _make_group(part: list[OutermostLayer]) -> GroupOfLayers:
    unique = {id(v): v for one in part for v in one.trained}
    kept = [one for one in part if one.layer.trainable]
    return GroupOfLayers(
        tuple(one.path for one in kept),
        tuple(one.layer for one in kept),
        tuple(unique.values()),
    )


def _check_disjoint(made: list[GroupOfLayers], groups: Any, name: str) -> None:
    owners: dict[int, int] = {}
    for number, group in enumerate(made):
        for variable in group.variables:
            other = owners.setdefault(id(variable), number)
            if other != number:
                raise ValueError(
                    f"Argument `{name}` must put the layers that share the "
                    f"weight '{variable.path}' into one group, not into "
                    f"groups {other} and {number}. "
                    f"Received: {name}={groups!r}"
                )
