"""The trained range of one activation."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.graph.intercepted_graph import copy_mask
from keras_netopt.training.replicas import count_replicas, join_replicas

BITS = 8
MOMENTUM = 0.99
_UNSET = (0.0, -1.0)


class ActivationRange:
    """The range of one tensor: a moving minimum and maximum.

    The first batch of training sets it, each further batch moves it by 1 %
    towards its own range. It always holds 0. A range that no batch has set
    rounds nothing. `state` is a float32 variable `(minimum, maximum)`.

    Args:
        name: Name of the variable.
        fixed: Minimum and maximum of a range that training does not move.
            Defaults to `None`.
    """

    def __init__(
        self, name: str, fixed: tuple[float, float] | None = None
    ) -> None:
        self._constant: tuple[float, float] | None = fixed
        self._seen: list[np.ndarray] | None = None
        self.is_active = True
        self.state = keras.Variable(
            np.array(fixed or _UNSET, "float32"),
            trainable=False,
            autocast=False,
            name=name,
        )

    def value(self) -> np.ndarray:
        """Returns minimum and maximum, an array of shape `(2,)`."""
        return np.array(ops.convert_to_numpy(self.state), "float32")

    @contextlib.contextmanager
    def frozen(self, least: float = 0.0) -> Iterator[None]:
        """Makes the range a constant of functions traced in the context.

        A range that is narrower than `least` is widened.
        """
        before = self._constant
        low, high = map(float, self.value())
        high = max(high, low + least)
        # Where training saw zeros only, any range is right.
        self._constant = (low, high if high > low else low + 1.0)
        try:
            yield
        finally:
            self._constant = before

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Sets the range by all tensors of the context, which are not rounded.

        The model is called eagerly in it.
        """
        self._seen = []
        try:
            yield
            if self._seen and self._constant is None:
                ends = np.stack(self._seen)
                self.state.assign([ends[:, 0].min(), ends[:, 1].max()])
        finally:
            self._seen = None

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """Rounds nothing in the context."""
        before, self.is_active = self.is_active, False
        try:
            yield
        finally:
            self.is_active = before

    def fake_quantize(self, x: Any, *, training: bool) -> Any:
        """Rounds a tensor to the 256 values of the range.

        Values outside the range become its ends. The gradient is that of the
        identity inside the range and 0 outside. With `training` the batch
        moves the range first.
        """
        if not self.is_active:
            return x
        if self._seen is not None:
            self._seen.append(np.array(ops.convert_to_numpy(_find_ends(x))))
            return x
        if self._constant is not None:
            return copy_mask(x, _round_to_grid(x, *self._constant))
        state = ops.convert_to_tensor(self.state)
        if training:
            state = self._moved(state, x)
            self.state.assign(state)
        width = ops.where(
            state[1] > state[0], state[1] - state[0], ops.ones_like(state[0])
        )
        rounded = _round_to_grid(x, state[0], state[0] + width)
        return copy_mask(x, ops.where(state[1] < state[0], x, rounded))

    def _moved(self, state: Any, x: Any) -> Any:
        seen = _find_common_ends(_find_ends(ops.stop_gradient(x)))
        moved = ops.where(
            state[1] > state[0],
            state * MOMENTUM + seen * (1.0 - MOMENTUM),
            seen,
        )
        # A step that overflows measures nothing.
        return ops.where(ops.all(ops.isfinite(seen)), moved, state)


def _find_ends(x: Any) -> Any:
    """Returns minimum and maximum of a tensor and 0."""
    x = ops.cast(x, "float32")
    return ops.stack(
        [ops.minimum(ops.min(x), 0.0), ops.maximum(ops.max(x), 0.0)]
    )


def _find_common_ends(ends: Any) -> Any:
    """Returns minimum and maximum of the parts of all replicas."""
    if count_replicas() == 1:
        return ends
    parts = join_replicas(ops.expand_dims(ends, 0))
    return ops.stack([ops.min(parts[:, 0]), ops.max(parts[:, 1])])


def _round_to_grid(x: Any, low: Any, high: Any) -> Any:
    return keras.quantizers.fake_quant_with_min_max_vars(
        x, low, high, num_bits=BITS
    )
