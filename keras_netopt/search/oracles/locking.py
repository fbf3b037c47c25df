"""KerasTuner's lock of an oracle, released after errors too."""

import functools
from collections.abc import Callable
from typing import Any

import keras_tuner


def synchronized_method(method: Callable[..., Any]) -> Callable[..., Any]:
    """Allows one thread at a time in the methods of an oracle.

    As `keras_tuner.synchronized`, which keeps the lock when a method raises,
    so that all other threads wait forever (keras-tuner 1.4.8). The method may
    call other methods with the lock.
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
