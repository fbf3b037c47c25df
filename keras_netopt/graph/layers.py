"""Iterates over all layers and variables of a Keras model.

Private name of Keras 3.15: `Layer._layers`.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import keras


def sublayers(layer: Any) -> list[Any]:
    """Lists the layers that a layer holds itself; an op holds none."""
    return list(getattr(layer, "_layers", ()))


def walk_layers(model: keras.Layer) -> Iterator[keras.Layer]:
    """Yields every layer below a model, depth first, each one once.

    The model comes first, then its layers in the order they were added, each
    followed by its own sublayers: nested and subclassed models, the layer
    inside a wrapper, the cells of a recurrent layer, the projections inside
    an attention layer. A shared layer is yielded once, at its first position.
    """
    return (layer for _, layer in walk_paths(model))


def walk_paths(model: keras.Layer) -> Iterator[tuple[str, keras.Layer]]:
    """Yields `(path, layer)` for the layers of `walk_layers`.

    A path holds the names of the layers that lead to it and its own, joined
    with "/"; it is "" for the model itself.
    """
    seen: set[int] = set()
    stack = [("", model)]
    while stack:
        path, layer = stack.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield path, layer
        for child in reversed(sublayers(layer)):
            prefix = f"{path}/" if path else ""
            stack.append((f"{prefix}{child.name}", child))


def has_all_weights(model: keras.Model) -> bool:
    """Whether every weight of a model exists, whatever its `built` flag says.

    A model with a `train_step` of its own that is never called as a whole,
    such as a GAN, is not built for Keras although all its layers are.
    """
    return bool(model.built or (model.weights and _is_complete(model)))


def _is_complete(layer: keras.Layer) -> bool:
    if layer.built:
        return True
    own_build = type(layer).build
    if own_build not in (keras.Layer.build, keras.Model.build):
        return False  # It makes weights, or layers, when it is built.
    return all(_is_complete(child) for child in layer._layers)


def own_variables(layer: keras.Layer) -> list[keras.Variable]:
    """Lists the weights of a layer without those of its sublayers.

    A weight that is also held by a sublayer belongs to that sublayer.
    """
    below = {id(v) for child in sublayers(layer) for v in child.weights}
    return [v for v in layer.weights if id(v) not in below]


def weight_name(variable: keras.Variable, layer: keras.Layer) -> str:
    """Returns the name of a weight, or of the attribute that holds it.

    Keras names a weight that was given no name "variable", "variable_1".
    """
    if not re.fullmatch(r"variable(_\d+)?", variable.name):
        return variable.name
    # The lists that Keras keeps itself, such as `_trainable_variables`, hold
    # every weight.
    for attribute, value in vars(layer).items():
        is_own = not attribute.startswith("_")
        held = value if is_own and isinstance(value, list | tuple) else [value]
        if any(v is variable for v in held):
            return attribute
    return variable.name


def variable_keys(model: keras.Layer) -> dict[int, str]:
    """Returns a unique key for every weight of a model, by `id(variable)`.

    The key holds the names of the layers around the weight and its own name:
    "encoder/dense_1/kernel". Equal keys get the suffixes `#0`, `#1`, ... in
    the order of `model.weights`. `variable.path` is no unique key: it repeats
    across nested models, and a clone or a reloaded model has other paths.
    """
    names: dict[int, str] = {}
    for path, layer in walk_paths(model):
        for variable in own_variables(layer):
            prefix = f"{path}/" if path else ""
            names.setdefault(id(variable), prefix + variable.name)
    total = Counter(names[id(v)] for v in model.weights)
    seen: Counter[str] = Counter()
    for variable in model.weights:
        name = names[id(variable)]
        if total[name] > 1:
            names[id(variable)] = f"{name}#{seen[name]}"
        seen[name] += 1
    return names
