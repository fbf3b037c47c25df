"""Calls in which each channel of the output depends on that of the input."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.surgery.compacting.flow_rule import FlowRule
from keras_netopt.surgery.compacting.linear_rule import ignores_border
from keras_netopt.surgery.compacting.read_edge import read_weight

# For axes without a size.
FREE_SIZE = 16
EVEN = 1e-6


class ChannelwiseRule(FlowRule):
    """Each channel of the output depends on the same channels of the inputs.

    The values of constants are computed by the call itself, in inference.
    """

    is_known = True

    def forward(self) -> None:
        output = self.call.outputs[0]
        groups = self.facts.groups(output)
        if not len(groups):
            return
        constant = self._constant_groups()
        zero = self._zero_groups()
        found = np.full(len(groups), np.nan)
        if constant:
            is_constant = np.isin(groups, list(constant))
            found = np.where(is_constant, self._compute(), np.nan)
        found[np.isin(groups, list(zero))] = 0
        self.facts.set_values(output, found)

    def backward(self) -> None:
        output = self.call.outputs[0]
        groups = self.facts.groups(output)
        used = np.unique(groups[self.facts.used(output)])
        for place, tensor in enumerate(self.call.arguments):
            own = self.facts.groups(tensor)
            if not len(groups) or not len(own):
                self.facts.use(tensor)
                continue
            lost = self._ignored() if place == 0 else None
            zero = list(self._zero_groups(besides=place))
            needed = np.isin(own, used) & ~np.isin(own, zero)
            if lost is not None:
                needed &= ~lost
            self.facts.use(tensor, needed, self.facts.axis(tensor) or 0)

    def _ignored(self) -> np.ndarray | None:
        """Returns the channels that the weights of the layer multiply by 0."""
        layer, count = (
            self.call.layer,
            len(self.facts.groups(self.call.arguments[0])),
        )
        gain = None
        if isinstance(layer, keras.layers.BatchNormalization):
            if layer.gamma is not None:
                gain = read_weight(layer.gamma)
        elif hasattr(layer, "depth_multiplier") or hasattr(layer, "filters"):
            # One filter per channel: the last or the last but one axis.
            kernel = read_weight(layer.kernel)
            gain = np.abs(kernel).reshape(-1, count).sum(axis=0)
        elif type(layer).__name__ == "LayerScale":
            gain = read_weight(layer.gamma)
        if gain is None or gain.shape != (count,):
            return None
        return np.asarray(gain == 0)

    def _constant_groups(self) -> set[int]:
        """Returns the groups that are constant in every input."""
        constant: set[int] | None = None
        varying: set[int] = set()
        for place, tensor in enumerate(self.call.arguments):
            own = self.facts.groups(tensor)
            if not len(own):
                return set()
            values = self.facts.values(tensor)
            varies = np.isnan(values)
            lost = self._ignored() if place == 0 else None
            if lost is not None:
                varies = varies & ~lost
            varying |= set(own[varies].tolist())
            constant = (constant or set()) | set(own.tolist())
        return (constant or set()) - varying

    def _zero_groups(self, besides: int | None = None) -> set[int]:
        """Returns the groups that a product multiplies by 0.

        With `besides`, by an input other than this one.
        """
        if type(self.call.operation).__name__ != "Multiply":
            return set()
        found: set[int] = set()
        for place, tensor in enumerate(self.call.arguments):
            if place == besides:
                continue
            own, values = self.facts.groups(tensor), self.facts.values(tensor)
            other = set(own[~(values == 0)].tolist())
            found |= set(own.tolist()) - other
        return found

    def _compute(self) -> np.ndarray:
        """Returns the outputs of constant inputs, NaN where they differ."""
        output = self.call.outputs[0]
        axis = self.facts.axis(output) or 0
        count = len(self.facts.groups(output))
        try:
            made = self._call_on_constants()
        # A window may be longer than `FREE_SIZE`.
        except Exception:
            return np.full(count, np.nan)
        made = np.moveaxis(made.astype("float64"), axis, 0)
        rows: np.ndarray = made.reshape(count, -1)
        if not rows.size:  # Cropped to nothing.
            return np.full(count, np.nan)
        low, high = rows.min(axis=1), rows.max(axis=1)
        is_even = high - low <= EVEN * np.maximum(abs(low), abs(high))
        if self._has_unknown_border():
            is_even &= self._constants(self.call.arguments[0]) == 0
        return np.where(is_even, rows[:, 0], np.nan)

    def _has_unknown_border(self) -> bool:
        """Whether the size of an input tells which windows read zeros."""
        layer, first = self.call.layer, self.call.arguments[0]
        if not hasattr(layer, "kernel_size") or ignores_border(layer):
            return False
        return None in first.shape[1:]

    def _constants(self, tensor: Any) -> np.ndarray:
        """Returns constants, 0 for inputs that vary or have no effect."""
        values = np.nan_to_num(self.facts.values(tensor))
        lost = self._ignored()
        if lost is None or tensor is not self.call.arguments[0]:
            return values
        return np.where(lost, 0, values)

    def _call_on_constants(self) -> np.ndarray:
        node, operation = self.call.node, self.call.operation

        def fill(leaf: Any) -> Any:
            if not isinstance(leaf, keras.KerasTensor):
                return leaf
            shape = [
                (FREE_SIZE if place else 1) if size is None else size
                for place, size in enumerate(leaf.shape)
            ]
            values = self._constants(leaf)
            axis = self.facts.axis(leaf)
            array: np.ndarray = np.zeros(shape, "float32")
            if axis is not None:
                view = [1] * len(shape)
                view[axis] = -1
                array = array + values.reshape(view).astype("float32")
            is_float = "float" in str(leaf.dtype)
            dtype = "float32" if is_float else leaf.dtype
            return ops.convert_to_tensor(array, dtype)

        kwargs = {
            name: value
            for name, value in node.kwargs.items()
            if name not in ("training", "mask")
        }
        args, kwargs = keras.tree.map_structure(fill, (node.args, kwargs))
        made = operation.call(*args, **kwargs)
        return np.asarray(ops.convert_to_numpy(ops.cast(made, "float32")))
