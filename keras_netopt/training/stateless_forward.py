"""Calls a model with other values of some variables, compiled once.

The variables of the model are never written.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_netopt.training.backend import without_gradients

Values = Sequence[Any]
Call = Callable[..., Any]


def compile_stateless(
    function: Call, changed: Sequence[Any], variables: Sequence[Any]
) -> Callable[..., tuple[Any, list[Any]]]:
    """Compiles a function of a model that reads and writes its variables.

    Args:
        function: Computes tensors from tensors with the model.
        changed: The variables that have other values in each call.
        variables: All variables that `function` reads.

    Returns:
        A function of the values of `changed`, followed by the arguments of
        `function`. It returns the result of `function` and the values of
        `changed` after it.
    """
    ids = {id(v) for v in changed}
    # JAX would fix values that are no arguments when it compiles.
    is_jax = keras.backend.backend() == "jax"
    others = [v for v in variables if id(v) not in ids] if is_jax else []

    def run(values: Values, fixed: Values, *args: Any) -> Any:
        mapping = [
            *zip(changed, values, strict=True),
            *zip(others, fixed, strict=True),
        ]
        with keras.StatelessScope(mapping) as scope:
            outputs = function(*args)
        return outputs, [scope.get_current_value(v) for v in changed]

    compiled = compile_function(run)

    def call(values: Values, *args: Any) -> tuple[Any, list[Any]]:
        with without_gradients():
            outputs, after = compiled(
                list(values), [v.value for v in others], *args
            )
        return outputs, list(after)

    return call


def compile_function(function: Call) -> Call:
    """Compiles a function of tensors; on torch it stays as it is."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.jit(function)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    return function
