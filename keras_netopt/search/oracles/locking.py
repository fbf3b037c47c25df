"""KerasTuner's lock of an oracle, released after an error too."""

import functools
from collections.abc import Callable
from typing import Any

import keras_tuner


def exclusive(method: Callable[..., Any]) -> Callable[..., Any]:
    """Lets one thread at a time into the methods of an oracle.

    As `keras_tuner.synchronized`, under which every other thread waits for
    ever once a method has raised (keras-tuner 1.4.8).

    Args:
        method: A method of a `keras_tuner.Oracle`; it may call others.

    Returns:
        The method with the lock.
    """

    @keras_tuner.synchronized
    def guarded(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        try:
            return method(*args, **kwargs), None
        except BaseException as error:
            return None, error

    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result, error = guarded(*args, **kwargs)
        if error is not None:
            raise error
        return result

    return wrapper
