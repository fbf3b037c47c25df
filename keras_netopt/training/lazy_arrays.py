"""Sequences of arrays that are computed when they are read."""

from collections.abc import Callable, Sequence
from typing import Any


class LazyArrays(Sequence[Any]):
    """A sequence that holds no array: each read computes the item again.

    It lets functions that take one array per weight work with the memory of
    one weight.

    Example:

    >>> doubles = LazyArrays(lambda number: 2 * number, [1, 5])
    >>> len(doubles), doubles[1]
    (2, 10)

    Args:
        read: A function of a source that returns the item.
        sources: What `read` is called with, one per item.
    """

    def __init__(
        self, read: Callable[[Any], Any], sources: Sequence[Any]
    ) -> None:
        self._read = read
        self._sources = sources

    def __len__(self) -> int:
        """Returns the number of items."""
        return len(self._sources)

    def __getitem__(self, index: Any) -> Any:
        """Computes an item."""
        return self._read(self._sources[index])
