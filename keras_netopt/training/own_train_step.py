"""Reads whether a model's training step calls `compute_loss`."""

import inspect
from types import CodeType

import keras

_TARGETS = {
    "compute_loss",
    "_compute_loss",
    "stateless_compute_loss",
    "compute_loss_and_updates",
}


def calls_compute_loss(model: keras.Model) -> bool:
    """Returns whether `train_step` calls `compute_loss`, as its code reads.

    Methods of the model that the step names are read as well. A step whose
    code cannot be read counts as one that calls it.

    Example:

    >>> import keras
    >>> calls_compute_loss(keras.Sequential())
    True
    """
    return _reaches(type(model), "train_step", 0, set())


def has_own_train_step(model: keras.Model) -> bool:
    """Returns whether a user's class or object defines `train_step`.

    Example:

    >>> import keras
    >>> has_own_train_step(keras.Sequential())
    False
    """
    owner = next(
        one for one in type(model).__mro__ if "train_step" in vars(one)
    )
    return "train_step" in vars(model) or not owner.__module__.startswith(
        "keras."
    )


def _reaches(
    kind: type, name: str, start: int, seen: set[tuple[int, str]]
) -> bool:
    """Whether the method `name` of the classes from `start` on does."""
    found = [
        (place, vars(one)[name])
        for place, one in enumerate(kind.__mro__)
        if place >= start and name in vars(one)
    ]
    if not found or (found[0][0], name) in seen:
        return False
    place, method = found[0]
    seen.add((place, name))
    method = getattr(method, "__func__", method)
    method = getattr(method, "python_function", method)
    code = getattr(inspect.unwrap(method), "__code__", None)
    if code is None:
        return name == "train_step"
    names = _names(code)
    if names & _TARGETS:
        return True
    above = names if "super" in names else set()
    return any(
        _reaches(kind, other, place + 1, seen) for other in sorted(above)
    ) or any(
        _reaches(kind, other, 0, seen)
        for other in sorted(names - {name})
        if _is_method(kind, other)
    )


def _is_method(kind: type, name: str) -> bool:
    """Whether a name is a method that a user's class defines."""
    return any(
        name in vars(one) and inspect.isroutine(vars(one)[name])
        for one in kind.__mro__
        if not one.__module__.startswith(("keras.", "torch.", "builtins"))
    )


def _names(code: CodeType) -> set[str]:
    names = {*code.co_names, *code.co_freevars}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names
