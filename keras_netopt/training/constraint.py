"""Keeps masked weights at zero inside the compiled step."""

from collections.abc import Callable
from typing import Any

from keras import ops


class MaskConstraint:
    """Applies the user's own constraint, then a mask.

    It is set on the variable, not in the layer's config, so a saved model
    holds no object of ours.

    Args:
        mask: Boolean Variable of the weight's shape; it must be tracked by the
            optimizer, or JAX bakes its first value into the compiled step.
        inner: The constraint that the variable had before, or `None`.
    """

    def __init__(
        self, mask: Any, inner: Callable[[Any], Any] | None = None
    ) -> None:
        self.mask = mask
        self.inner = inner

    def __call__(self, weight: Any) -> Any:
        """Returns the weight with masked positions set to +0.0."""
        if self.inner is not None:
            weight = self.inner(weight)
        return apply_mask(self.mask, ops.convert_to_tensor(weight))


def apply_mask(mask: Any, tensor: Any) -> Any:
    """Zeroes a tensor where the mask is false.

    `where` and not a product: no -0.0, and neither NaN nor infinity survives
    in a masked place.

    Args:
        mask: Boolean Variable or tensor.
        tensor: Tensor of the same shape.

    Returns:
        The masked tensor.
    """
    return ops.where(ops.convert_to_tensor(mask), tensor, 0.0)
