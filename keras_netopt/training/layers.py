"""Walks every layer and every variable of a Keras model."""

from collections import Counter
from collections.abc import Iterator

import keras


def walk_layers(model: keras.Layer) -> Iterator[keras.Layer]:
    """Yields every layer below a model, depth first, each one once.

    The model comes first, then its layers in the order they were added, each
    followed by its own sublayers: nested and subclassed models, the layer
    inside a wrapper, the cells of a recurrent layer, the projections inside
    an attention layer. A shared layer comes at its first place only.

    Example:

    >>> import keras
    >>> inner = keras.Sequential([keras.layers.Dense(3, name="fc")])
    >>> model = keras.Sequential([inner, keras.layers.Dense(2, name="out")])
    >>> [layer.name for layer in walk_layers(model)][-2:]
    ['fc', 'out']

    Args:
        model: A model, or any layer.

    Returns:
        An iterator over layers.
    """
    seen: set[int] = set()
    stack = [model]
    while stack:
        layer = stack.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield layer
        # Private name, tested on Keras 3.15: the sublayers of any layer.
        stack.extend(reversed(layer._layers))


def own_variables(layer: keras.Layer) -> list[keras.Variable]:
    """Lists the weights that a layer holds itself, not those of sublayers.

    A weight that is also held by a sublayer belongs to that sublayer.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> own_variables(model)
    []
    >>> [v.name for v in own_variables(model.layers[-1])]
    ['kernel', 'bias']

    Args:
        layer: A layer or a model.

    Returns:
        The variables in the order of `layer.weights`, trainable or not.
    """
    # Private name, tested on Keras 3.15: see `walk_layers`.
    below = {id(v) for child in layer._layers for v in child.weights}
    return [v for v in layer.weights if id(v) not in below]


def variable_keys(model: keras.Layer) -> dict[int, str]:
    """Names every weight of a model with a key that no other weight has.

    The key is the variable's path. Paths are not unique in Keras (two nested
    models may both hold `fc/kernel`), so where a path repeats every one of
    them gets `#0`, `#1`, ... in the order of `model.weights`. The keys depend
    on the model's structure only, so they fit the same model in a new
    process.

    Example:

    >>> import keras
    >>> model = keras.Sequential(
    ...     [keras.Input((4,)), keras.layers.Dense(2, name="fc")], name="net"
    ... )
    >>> keys = variable_keys(model)
    >>> [keys[id(v)] for v in model.weights]
    ['net/fc/kernel', 'net/fc/bias']

    Args:
        model: A model, or any layer.

    Returns:
        A dictionary from `id(variable)` to the key.
    """
    total = Counter(v.path for v in model.weights)
    seen: Counter[str] = Counter()
    keys = {}
    for variable in model.weights:
        path = variable.path
        keys[id(variable)] = (
            path if total[path] == 1 else f"{path}#{seen[path]}"
        )
        seen[path] += 1
    return keys
