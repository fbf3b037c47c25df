"""What is known of the channels of each tensor: constants and uses."""

from typing import Any

import numpy as np


class TensorFacts:
    """Constant values of channels, and which channels are used.

    Only tensors with channels on one axis have entries; of others nothing is
    known, and all is used.

    Args:
        graph: The channel graph.
    """

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self._values: dict[int, np.ndarray] = {}
        self._used: dict[int, np.ndarray] = {}

    def axis(self, tensor: Any) -> int | None:
        """Returns the only axis with channels; `None` if there is no such."""
        axes = self.graph.channel_axes(tensor)
        return next(iter(axes)) if len(axes) == 1 else None

    def groups(self, tensor: Any) -> np.ndarray:
        """Returns the group of each channel; none without a single axis."""
        axes = self.graph.channel_axes(tensor)
        if len(axes) != 1:
            return np.zeros(0, "int64")
        found: np.ndarray = self.graph.group_of[next(iter(axes.values()))]
        return found

    def values(
        self, tensor: Any, axis: int | None = None, size: int | None = None
    ) -> np.ndarray:
        """Returns the constant of each channel, NaN where it varies.

        With `axis` and `size` they are those along this axis.
        """
        own = self.axis(tensor)
        found = self._values.get(id(tensor))
        count = len(self.groups(tensor)) if size is None else size
        is_other = axis is not None and own != axis % len(tensor.shape)
        if found is None or is_other or len(found) != count:
            return np.full(count, np.nan)
        return found

    def set_values(self, tensor: Any, values: np.ndarray) -> None:
        """Sets the constants of a tensor."""
        if len(values) == len(self.groups(tensor)):
            self._values[id(tensor)] = values

    def used(
        self, tensor: Any, axis: int | None = None, size: int | None = None
    ) -> np.ndarray:
        """Returns whether the outputs of the model depend on each channel."""
        own = self.axis(tensor)
        count = len(self.groups(tensor)) if size is None else size
        is_other = axis is not None and own != axis % len(tensor.shape)
        if own is None or is_other or count != len(self.groups(tensor)):
            return np.ones(count, bool)
        found = self._used.get(id(tensor))
        return np.zeros(count, bool) if found is None else found

    def use(
        self, tensor: Any, used: np.ndarray | None = None, axis: int = 0
    ) -> None:
        """Marks channels as used, all by default.

        With `used`, it is given along `axis`; other axes are used in full.
        """
        own, count = self.axis(tensor), len(self.groups(tensor))
        if own is None:
            return
        if used is None or own != axis % len(tensor.shape):
            used = np.ones(count, bool)
        self._used[id(tensor)] = self.used(tensor) | used
