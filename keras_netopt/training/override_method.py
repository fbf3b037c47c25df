"""Overrides a method on one object and can undo it."""

from collections.abc import Callable
from typing import Any


def override_method(
    obj: Any, name: str, function: Callable[..., Any]
) -> Callable[[], None]:
    """Replaces `obj.name` on this instance only, by a function without `self`.

    The override bypasses the attribute tracking of Keras and torch, so it is
    not saved. The returned function removes it; calling it twice does nothing.
    """
    if name in vars(obj):
        raise ValueError(
            f"Method `{name}` of {type(obj).__name__} is already overridden "
            "on this object, expected one override per method. "
            f"Received: name={name!r}"
        )
    object.__setattr__(obj, name, function)

    def undo() -> None:
        if vars(obj).get(name) is function:
            object.__delattr__(obj, name)

    return undo
