"""Checks of the arguments that `search` passes on to `fit`."""

import copy
import inspect
from typing import Any

import keras

_NAMES = tuple(inspect.signature(keras.Model.fit).parameters)[1:]


def bind_fit_arguments(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Returns all arguments of `Model.fit` by name."""
    if len(args) > len(_NAMES):
        raise TypeError(
            f"`search` takes at most {len(_NAMES)} positional arguments. "
            f"Received: {len(args)}"
        )
    named = dict(zip(_NAMES, args, strict=False))
    if twice := set(named) & set(kwargs):
        raise TypeError(
            f"Arguments {sorted(twice)} must be given once. "
            "Received: by position and by name"
        )
    return {**named, **kwargs}


def check_no_validation_data(arguments: dict[str, Any]) -> None:
    """Refuses validation data where cross-validation provides it."""
    for name in ("validation_split", "validation_data"):
        if arguments.get(name) is not None and arguments[name] != 0.0:
            raise ValueError(
                f"Argument `{name}` must be omitted with `folds`: each fold "
                "validates on its held-out samples. "
                f"Received: {name}={type(arguments[name]).__name__}"
            )


def check_callbacks(callbacks: Any) -> list[Any]:
    """Refuses callbacks that cannot be copied for each trial."""
    found = list(callbacks or [])
    for callback in found:
        try:
            copy.deepcopy(callback)
        except Exception as error:
            raise ValueError(
                "Argument `callbacks` must hold callbacks that "
                "`copy.deepcopy` can copy: each trial trains with its own "
                f"copies. Received: {type(callback).__name__}, which raises "
                f"{type(error).__name__}: {error}"
            ) from error
    return found
