"""Constraint that sets masked weights to zero inside the compiled step."""

from collections.abc import Callable
from typing import Any

from keras import ops


class MaskConstraint:
    """Applies the user's own constraint, then a mask.

    It is set on the variable and not in the layer's config, so a saved model
    does not reference this class. `mask` is a boolean variable of the weight's
    shape that the optimizer must track, otherwise JAX compiles its first value
    as a constant. With `is_straight_through`, `DenseStore` applies the mask
    after it has taken the dense weight.
    """

    def __init__(
        self, mask: Any, inner: Callable[[Any], Any] | None = None
    ) -> None:
        self.mask = mask
        self.inner = inner
        self.is_straight_through = False

    def __call__(self, weight: Any) -> Any:
        """Returns the weight with masked positions set to +0.0."""
        if self.inner is not None:
            weight = self.inner(weight)
        if self.is_straight_through:
            return weight
        return apply_mask(self.mask, ops.convert_to_tensor(weight))


def apply_mask(mask: Any, tensor: Any) -> Any:
    """Sets a tensor to zero where the mask is false.

    Uses `where`: a product would give -0.0 and would keep NaN and infinity at
    masked positions.
    """
    return ops.where(ops.convert_to_tensor(mask), tensor, 0.0)
