"""Checks what every loss of Keras takes."""

from typing import Any

import keras

from keras_netopt.checks import check_choice

REDUCTIONS = (
    *(None, "none", "sum", "mean", "sum_over_batch_size"),
    "mean_with_sample_weight",
)


def check_loss_arguments(reduction: Any, name: Any, dtype: Any) -> None:
    """Refuses arguments that `keras.Loss` does not take.

    Example:

    >>> check_loss_arguments("sum", "mine", None)
    >>> check_loss_arguments("sum", "mine", "float")
    Traceback (most recent call last):
    ...
    ValueError: Argument `dtype` must be ...
    """
    check_choice(reduction, "reduction", REDUCTIONS)
    if not isinstance(name, str | None):
        raise TypeError(
            f"Argument `name` must be a string. Received: name={name!r}"
        )
    try:
        keras.dtype_policies.get(dtype)
    except Exception as error:  # Of any class, by the type of the value.
        raise ValueError(
            'Argument `dtype` must be None, the name of a type as "float32", '
            f"or a `keras.DTypePolicy`. Received: dtype={dtype!r}"
        ) from error
