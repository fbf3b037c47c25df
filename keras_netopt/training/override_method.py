"""Overrides a method on one object and can undo it."""

from collections.abc import Callable
from typing import Any


def override_method(
    obj: Any, name: str, function: Callable[..., Any]
) -> Callable[[], None]:
    """Replaces `obj.name` on this instance only.

    The override bypasses the attribute tracking of Keras and torch, so it is
    not saved.

    Example:

    >>> class Greeter:
    ...     def greet(self):
    ...         return "hello"
    >>> greeter = Greeter()
    >>> undo = override_method(greeter, "greet", lambda: "good day")
    >>> greeter.greet()
    'good day'
    >>> undo()
    >>> greeter.greet()
    'hello'

    Args:
        obj: Any object with a `__dict__`.
        name: Name of the method to override.
        function: The replacement, called without `self`.

    Returns:
        A function without arguments that removes the override. Calling it
        twice does nothing.

    Raises:
        ValueError: If the instance already has an attribute of that name.
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
