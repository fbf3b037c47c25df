"""Draws new initial values for the weights of a model.

Private name of Keras 3.15: `Variable._initializer`.
"""

import copy
import functools
import inspect
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.graph.layers import (
    own_variables,
    variable_keys,
    walk_paths,
    weight_name,
)
from keras_netopt.graph.rebuilt_shapes import declare_copy, rebuild_layer
from keras_netopt.graph.symbolic import preserve_calls
from keras_netopt.training.randomness import temporary_seed

Draw = Callable[[int], np.ndarray]


def draw_initial_values(
    model: keras.Model, seed: int = 0
) -> dict[str, np.ndarray]:
    """Draws the values with which the weights of a new model would start.

    Every weight of every layer that is not frozen gets a value: kernels from
    their initializers, moving statistics their first values. A seed that the
    user gave to an initializer is replaced. `Normalization` layers keep what
    `adapt` has found. The model does not change.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> values = draw_initial_values(model, seed=1)
    >>> [array.shape for array in values.values()]
    [(3, 2), (2,)]

    Args:
        model: A built model. Functional, sequential, subclassed and nested
            models and layers of other authors are supported, as far as their
            config or an attribute such as `kernel_initializer` tells how
            their weights are made.
        seed: Seed of the values, at least 0. Defaults to `0`.

    Returns:
        One array per weight, by the keys of `graph.layers.variable_keys`.

    Raises:
        ValueError: If the values of a layer cannot be drawn; it is named.
    """
    return {
        key: draw(_derive_seed(seed, key))
        for key, _, draw in _find_draws(model)
    }


def assign_initial_values(model: keras.Model, seed: int = 0) -> None:
    """Sets the weights of a model to new initial values.

    The variables must be writable, see `sync_variables`. Otherwise as
    `draw_initial_values`.

    Args:
        model: A built model.
        seed: Seed of the values, at least 0. Defaults to `0`.

    Raises:
        ValueError: If the values of a layer cannot be drawn; nothing has
            changed then.
    """
    for key, variable, draw in _find_draws(model):
        variable.assign(draw(_derive_seed(seed, key)))


def check_initial_values(model: keras.Model) -> None:
    """Raises a ValueError that names a layer whose values cannot be drawn."""
    _find_draws(model)


def _find_draws(model: keras.Model) -> list[tuple[str, Any, Draw]]:
    """Lists key, variable and how to draw a value, each weight once."""
    with temporary_seed(0):  # Code of users may draw while it is built.
        return list(_iterate_draws(model))


def _iterate_draws(model: keras.Model) -> Iterator[tuple[str, Any, Draw]]:
    keys = variable_keys(model)
    seen: set[int] = set()
    for path, layer in walk_paths(model):
        variables = own_variables(layer)
        is_fixed = isinstance(layer, keras.layers.Normalization)
        if not variables or is_fixed or not layer.trainable:
            continue
        draws = _draws_of(layer, variables)
        for variable, draw in zip(variables, draws, strict=True):
            if draw is None:
                raise ValueError(
                    "New initial values need layers whose weights can be "
                    f"drawn, but layer `{path or layer.name}` of class "
                    f"{type(layer).__name__} does not tell how "
                    f"`{variable.name}` is made. Give it a complete "
                    "`get_config` and create its weights in `build`, or set "
                    f"its attribute `{variable.name}_initializer`. "
                    f"Received: model={model.name!r}"
                )
            if id(variable) not in seen:
                seen.add(id(variable))
                yield keys[id(variable)], variable, draw


def _draws_of(layer: Any, variables: list[Any]) -> list[Draw | None]:
    """Returns how each weight of a layer itself is drawn, if it is known."""
    shapes = [tuple(variable.shape) for variable in variables]
    # Code of users raises errors of any type.
    try:
        declared = own_variables(declare_copy(layer, _read_config(layer)))
        if [tuple(one.shape) for one in declared] == shapes:
            return [
                functools.partial(_draw, one._initializer, variable)
                for one, variable in zip(declared, variables, strict=True)
            ]
    except Exception:
        pass
    by_name = [_find_by_name(layer, variable) for variable in variables]
    if None not in by_name:
        return by_name
    # A weight made from an array cannot be declared without values.
    try:
        made = _draw_again(layer, 0)
        if [array.shape for array in made] == shapes:
            return [
                functools.partial(_draw_one_again, layer, place)
                for place in range(len(shapes))
            ]
    except Exception:
        pass
    return by_name


def _read_config(layer: Any) -> dict[str, Any]:
    """Returns the config of a layer, as far as its constructor takes it.

    Keras adds "trainable" and "dtype" to the arguments that it has recorded,
    also where a layer of a user takes no others.
    """
    config = dict(layer.get_config())
    parameters = inspect.signature(type(layer).__init__).parameters
    kinds = {one.kind for one in parameters.values()}
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        for name in ("trainable", "dtype"):
            if name not in parameters:
                config.pop(name, None)
    return config


def _find_by_name(layer: Any, variable: Any) -> Draw | None:
    """Finds the attribute that is named as Keras names initializers."""
    name = f"{weight_name(variable, layer)}_initializer"
    initializer = getattr(layer, name, None)
    if initializer is None:
        return None
    return functools.partial(
        _draw, keras.initializers.get(initializer), variable
    )


def _draw(initializer: Any, variable: Any, seed: int) -> np.ndarray:
    if getattr(initializer, "seed", None) is not None:
        initializer = copy.copy(initializer)
        initializer.seed = seed
    with temporary_seed(seed):
        value = initializer(tuple(variable.shape), dtype=variable.dtype)
    return np.array(ops.convert_to_numpy(value))


def _draw_again(layer: Any, seed: int) -> list[np.ndarray]:
    with temporary_seed(seed), preserve_calls(layer):
        made = own_variables(rebuild_layer(layer, _read_config(layer)))
    return [np.array(ops.convert_to_numpy(one)) for one in made]


def _draw_one_again(layer: Any, place: int, seed: int) -> np.ndarray:
    return _draw_again(layer, seed)[place]


def _derive_seed(seed: int, key: str) -> int:
    """Derives a seed for one weight; equal in every process."""
    rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
    return int(rng.integers(2**31 - 1))
