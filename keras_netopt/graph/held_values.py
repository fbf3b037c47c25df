"""Values of variables that are remembered, or can be computed again."""

import weakref
from collections.abc import Callable
from typing import Any

_HELD: "weakref.WeakValueDictionary[int, HeldValue]" = (
    weakref.WeakValueDictionary()
)


class HeldValue:
    """The value that a variable had, shared by all memories of it.

    It keeps the value, until `give_up` replaces it by a function that
    computes it again.
    """

    def __init__(self, value: Any) -> None:
        self._value = value
        self._compute: Callable[[], Any] | None = None

    def get(self) -> Any:
        """Returns the value; computes it if it was given up."""
        if self._compute is not None:
            self._value, self._compute = self._compute(), None
            _HELD[id(self._value)] = self
        return self._value

    def give_up(self, compute: Callable[[], Any]) -> None:
        """Forgets the value; `compute()` returns it, bit for bit."""
        _HELD.pop(id(self._value), None)
        self._value, self._compute = None, compute


def hold_value(value: Any) -> HeldValue:
    """Remembers the value of a variable."""
    found = _HELD.get(id(value))
    if found is None:
        found = _HELD[id(value)] = HeldValue(value)
    return found


def find_held(value: Any) -> HeldValue | None:
    """Returns the memory of a value, `None` if nothing remembers it."""
    return _HELD.get(id(value))
