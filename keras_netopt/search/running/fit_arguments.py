"""Checks of the arguments that `search` passes on to `fit`."""

import copy
import inspect
import warnings
from collections.abc import Callable, Container, Mapping
from typing import Any

import keras
from keras_tuner.errors import FatalTypeError, FatalValueError

from keras_netopt.checks import check_integer
from keras_netopt.warnings import NoEffectWarning

_KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY
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


def declared_arguments(
    function: Callable[..., Any], injected: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns those of the `injected` arguments that a function declares.

    `**kwargs` declares all of them.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # Not written in Python.
        return dict(injected)
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return dict(injected)
    by_name = inspect.Parameter.POSITIONAL_OR_KEYWORD, _KEYWORD_ONLY
    names = {one.name for one in parameters if one.kind in by_name}
    return {name: injected[name] for name in injected if name in names}


def check_override(
    fit: Callable[..., Any], callbacks: Any, stopper: Any, folded: Any
) -> None:
    """Refuses what a `HyperModel.fit` would need further arguments for."""
    name = "`HyperModel.fit`"
    if folded is not None:
        needed = dict.fromkeys(("x", "y", "sample_weight", "validation_data"))
        if not callable(folded.x):
            for one in ("y", "sample_weight"):
                if getattr(folded, one) is None:
                    del needed[one]
        else:
            del needed["sample_weight"]
        if missing := set(needed) - set(declared_arguments(fit, needed)):
            raise TypeError(
                f"With `folds`, {name} must declare {list(needed)}, which hold "
                "the samples of a fold, or `**kwargs`. "
                f"Received: a method without {sorted(missing)}"
            )
    if declared_arguments(fit, {"callbacks": None}):
        return
    if callbacks:
        raise TypeError(
            f"Argument `callbacks` must be omitted unless {name} declares it, "
            "or `**kwargs`. "
            f"Received: callbacks={callbacks!r}"
        )
    if stopper is not None:
        warnings.warn(
            f"The stopper stops no trial: {name} does not declare `callbacks`, "
            "which report each epoch. Declare it, and pass it to `model.fit`. "
            f"Received: stopper={stopper!r}",
            NoEffectWarning,
            stacklevel=3,
        )


def check_epochs(given: Mapping[str, Any], added: Mapping[str, Any]) -> None:
    """Refuses a `HyperModel.fit` without the epochs of Hyperband's rungs."""
    if "epochs" in added and "epochs" not in given:
        raise FatalTypeError(
            "With Hyperband, `HyperModel.fit` must declare `epochs` and "
            "`initial_epoch`, or `**kwargs`: each rung trains for its own. "
            f"Received: a method without `epochs`, and {added['epochs']} "
            "epochs for a trial. Remedy: declare them, or use "
            "`search.RandomSearch` or another oracle."
        )


def is_validated(epoch: int, frequency: Any) -> bool:
    """Whether `fit` validates after an epoch, counted from 1."""
    if isinstance(frequency, int):
        return epoch % frequency == 0
    return epoch in frequency


def check_validation_freq(arguments: Mapping[str, Any], objective: Any) -> None:
    """Refuses a `validation_freq` by which no epoch has the objective."""
    frequency = arguments.get("validation_freq", 1)
    if isinstance(frequency, int):
        check_integer(frequency, "validation_freq", minimum=1)
    elif not isinstance(frequency, Container):
        raise TypeError(
            "Argument `validation_freq` must be an integer or a list of epochs "
            f"from 1. Received: validation_freq={frequency!r}"
        )
    names = getattr(objective, "name_to_direction", [objective.name])
    if not any(str(name).startswith("val_") for name in names):
        return
    first, last = arguments.get("initial_epoch", 0), arguments.get("epochs", 1)
    epochs = range(int(first) + 1, int(last) + 1)
    if epochs and not any(is_validated(one, frequency) for one in epochs):
        raise FatalValueError(
            "Argument `validation_freq` must let an epoch of each trial be "
            f"validated, of epochs {epochs[0]} to {epochs[-1]}: the objective "
            f"is {objective.name!r}. Lower it, or train more `epochs`. "
            f"Received: validation_freq={frequency!r}"
        )


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
