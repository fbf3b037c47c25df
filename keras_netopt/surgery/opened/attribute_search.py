"""Finds the attributes of a layer that follow a change of its weights."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from keras_netopt.graph.rebuilt_shapes import rebuilt_shapes

Sizes = Mapping[int, set[int]]
MAX_ATTRIBUTES = 4


def find_attributes(
    layer: Any, sizes: Sizes, works: Callable[[], bool]
) -> dict[str, Any] | None:
    """Sets the attributes of a layer with which it works again.

    Integers that equal an old size, and shapes that contain one, are tried,
    fewest first. Among those that work, attributes with which the config of
    the layer rebuilds its weights are preferred: the code of `call` may not
    read them.

    Args:
        layer: The layer; its weights have their new shapes.
        sizes: The new sizes, by old size.
        works: Whether the layer works with its current attributes.

    Returns:
        The new attributes, which are set; `None` if the layer does not work
        with any of them. Its attributes are unchanged then.
    """
    own, best = vars(layer), None
    choices = list(_choices(own, sizes))
    for new in choices:
        old = {name: own[name] for name in new}
        own.update(new)
        # A call costs more than a build of the config. Once the layer works,
        # only attributes with which the config rebuilds it are better.
        if best is None:
            if works():
                if len(choices) == 1 or rebuilds(layer):
                    return new
                best = new
        elif rebuilds(layer) and works():
            return new
        own.update(old)
    if best is not None:
        own.update(best)
    return best


def _choices(own: Mapping[str, Any], sizes: Sizes) -> Iterator[dict[str, Any]]:
    options = {name: _new_values(value, sizes) for name, value in own.items()}
    names = [name for name, values in options.items() if values]
    for count in range(min(len(names), MAX_ATTRIBUTES) + 1):
        for some in itertools.combinations(names, count):
            for values in itertools.product(*(options[name] for name in some)):
                yield dict(zip(some, values, strict=True))


def _new_values(value: Any, sizes: Sizes) -> list[Any]:
    """Returns the values that an integer, or a shape, may have to become."""
    if type(value) is int:
        return sorted(sizes.get(value, ()))
    if type(value) not in (tuple, list):
        return []
    if not all(one is None or type(one) is int for one in value):
        return []
    return [
        type(value)(new if one == old else one for one in value)
        for old in sizes
        if old in value
        for new in sorted(sizes[old])
    ]


def rebuilds(layer: Any) -> bool:
    """Returns whether the config of a layer gives weights of its shapes."""
    try:
        shapes = rebuilt_shapes(layer)
    # The code of a user's layer may raise any error.
    except Exception:
        return False
    return shapes == [tuple(variable.shape) for variable in layer.variables]
