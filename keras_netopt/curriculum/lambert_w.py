"""The Lambert W function, written in `keras.ops`."""

import math
from typing import Any

from keras import ops

STEPS = 5
# Slightly above the branch point -1/e, where the slope is infinite.
MIN_X = -1.0 / math.e + 1e-7
# For larger x, w * exp(w) overflows float32 during the iteration.
MAX_X = 1e30


def lambert_w(x: Any) -> Any:
    """Solves w * exp(w) = x for the principal branch of Lambert's W.

    Uses a fixed number of steps of Halley's method, so it compiles on every
    backend and gradients are finite. In float32 the error is at most 3e-5 at
    the branch point and 2e-7 * (1 + |w|) for x > -0.36.

    Example:

    >>> from keras import ops
    >>> w = lambert_w(ops.convert_to_tensor([0.0, 1.0]))
    >>> [round(float(value), 4) for value in ops.convert_to_numpy(w)]
    [0.0, 0.5671]

    Args:
        x: Tensor of real numbers. Values are clipped to [-1/e, 1e30].

    Returns:
        w, a tensor of the same shape, at least -1.

    Reference:
        Corless et al., *On the Lambert W function*, 1996,
        https://doi.org/10.1007/BF02124750, eq. 5.9.
    """
    x = ops.clip(x, MIN_X, MAX_X)
    distance = ops.sqrt(ops.maximum(2.0 * (math.e * x + 1.0), 0.0))
    near_branch = -1.0 + distance - distance * distance / 3.0
    w = ops.where(x > 0.0, ops.log1p(ops.maximum(x, 0.0)), near_branch)
    for _ in range(STEPS):
        w = _halley(w, x)
    return w


def _halley(w: Any, x: Any) -> Any:
    exp = ops.exp(w)
    error = w * exp - x
    curvature = (w + 2.0) * error / (2.0 * w + 2.0 + 1e-7)
    return w - error / (exp * (w + 1.0) - curvature)
