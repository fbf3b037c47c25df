"""Checks of the arguments that elastic layers share."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_netopt.checks import check_integer

# How a decision without weights is made.
SAMPLING = ("uniform", "fair", "sandwich", "fixed")


def check_sizes(
    sizes: Any, name: str, largest: int, largest_name: str, minimum: int = 1
) -> tuple[int, ...] | None:
    """Returns ascending sizes of which the last is the largest."""
    if sizes is None:
        return None
    if not isinstance(sizes, list | tuple):
        raise TypeError(
            f"Argument `{name}` must be a list of integers in ascending order. "
            f"Received: {name}={sizes!r}"
        )
    found = tuple(check_integer(s, name, minimum=minimum) for s in sizes)
    problem = None
    if list(found) != sorted(set(found)):
        problem = "be in ascending order, each value once"
    elif not found or found[-1] != largest:
        problem = f"end with {largest}, the value of `{largest_name}`"
    if problem:
        raise ValueError(
            f"Argument `{name}` must {problem}. Received: {name}={sizes!r}"
        )
    return found


def check_kernel_sizes(
    sizes: Any, kernel_size: int, strides: int
) -> tuple[int, ...] | None:
    """Returns odd, ascending sizes, so that all have the same center."""
    found = check_sizes(sizes, "kernel_sizes", kernel_size, "kernel_size")
    if found is None or len(found) == 1:
        return found
    problem = None
    if any(size % 2 == 0 for size in found):
        problem = "be odd: a smaller kernel is the center of a larger one"
    elif found[0] < strides:
        problem = f"be at least {strides}, the value of `strides`"
    if problem:
        raise ValueError(
            f"Argument `kernel_sizes` must {problem}. "
            f"Received: kernel_sizes={sizes!r}"
        )
    return found


def check_shared_width(width: Any, widths: Sequence[int] | None) -> str | None:
    """Returns the name of a decision that several layers share, or `None`."""
    if width is None:
        return None
    if not isinstance(width, str) or not width:
        raise TypeError(
            "Argument `width` must be the name of a decision that several "
            f"layers share, or None. Received: width={width!r}"
        )
    if widths is None or len(widths) < 2:
        raise ValueError(
            "Argument `width` needs at least two `widths` to choose from. "
            f"Received: width={width!r}, widths={widths!r}"
        )
    return width


def read_activation(activation: Any) -> Any:
    """Returns an activation function, or `None` for none."""
    return _read(keras.activations.get, "activation", activation)


def read_initializer(initializer: Any) -> Any:
    """Returns an initializer."""
    return _read(keras.initializers.get, "kernel_initializer", initializer)


def copy_normalization(layer: Any) -> keras.layers.BatchNormalization | None:
    """Returns a copy, so that no two layers hold the same one."""
    if layer is None:
        return None
    if not isinstance(layer, keras.layers.BatchNormalization):
        raise TypeError(
            "Argument `normalization` must be a `BatchNormalization` layer or "
            "None: other normalizations mix the units. "
            f"Received: normalization={layer!r}"
        )
    return type(layer).from_config(layer.get_config())


def _read(get: Any, name: str, value: Any) -> Any:
    try:
        return get(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Argument `{name}` must be a name or an object that Keras knows: "
            f"{error} Received: {name}={value!r}"
        ) from error
