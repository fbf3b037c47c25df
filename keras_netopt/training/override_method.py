"""Overrides one method on one object, with a way back."""

from collections.abc import Callable
from typing import Any


def override_method(
    obj: Any, name: str, function: Callable[..., Any]
) -> Callable[[], None]:
    """Replaces `obj.name` on this instance only and returns the undo.

    Attribute tracking of Keras and torch is bypassed, so the override is
    neither saved nor counted.

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
        ValueError: If the instance already has an override of that name: two
            owners of one hook would call each other in an unknown order.
    """
    if name in vars(obj):
        raise ValueError(
            f"Method `{name}` of {type(obj).__name__} is already overridden "
            "on this object, expected one owner a hook. "
            f"Received: name={name!r}"
        )
    object.__setattr__(obj, name, function)

    def undo() -> None:
        if vars(obj).get(name) is function:
            object.__delattr__(obj, name)

    return undo
