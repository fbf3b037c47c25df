"""LoRA pairs whose product leaves the zeros of a kernel alone.

Private names of Keras 3.15: `_kernel`, `_embeddings`, `_untrack_variable`.
"""

import functools
from typing import Any

import keras
from keras import ops

_FULL_PRECISION = "_netopt_full_precision"
_PAIRS = {
    "_kernel": ("kernel", "lora_kernel_a", "lora_kernel_b"),
    "_embeddings": (
        "embeddings",
        "lora_embeddings_a",
        "lora_embeddings_b",
    ),
}
"""By the attribute that holds the frozen weight: property and LoRA pair."""


class SparseAdapter:
    """Makes a layer of Keras add its LoRA product where its kernel is not zero.

    It is mixed into the class of a layer on which `enable_lora` was called.
    The kernel is frozen then, so that its zeros are the mask. What Keras
    computes with the kernel or saves of it is
    `where(kernel != 0, kernel + scale * a @ b, 0)`. The layer's config and its
    `__class__` are those of a layer without LoRA: a saved model holds the
    merged kernels and loads as a plain model.
    """

    lora_alpha: Any
    lora_rank: Any
    compute_dtype: Any

    def merged_weight(self) -> Any:
        """Returns the merged kernel, in the dtype of the variable."""
        name, first, second = find_pair(self)
        base, a, b = (getattr(self, one) for one in (name, first, second))
        weight = ops.convert_to_tensor(base)
        product = ops.cast(ops.matmul(a, b), weight.dtype)
        merged = weight + (self.lora_alpha / self.lora_rank) * product
        return ops.where(ops.not_equal(weight, 0), merged, 0.0)

    def effective_weight(self) -> Any:
        """Returns the merged kernel, in the dtype of the layer's inputs."""
        weight = self.merged_weight()
        if vars(self).get(_FULL_PRECISION):
            return weight
        return ops.cast(weight, self.compute_dtype)

    def save_own_variables(self, store: Any) -> None:
        """Saves the merged kernel, in the dtype of the variable."""
        object.__setattr__(self, _FULL_PRECISION, True)
        try:
            super().save_own_variables(store)  # type: ignore[misc]
        finally:
            object.__delattr__(self, _FULL_PRECISION)

    def load_own_variables(self, store: Any) -> None:
        """Loads a merged kernel; the product is zero then and trains on.

        Keras sets both matrices to zero, so that neither has a gradient.
        """
        first = getattr(self, find_pair(self)[1])
        value = ops.copy(ops.convert_to_tensor(first))
        super().load_own_variables(store)  # type: ignore[misc]
        first.assign(value)

    def get_config(self) -> dict[str, Any]:
        """Returns the config of the layer without LoRA."""
        config = super().get_config()  # type: ignore[misc]
        return {
            name: value
            for name, value in config.items()
            if name not in ("lora_rank", "lora_alpha")
        }


def find_pair(layer: Any) -> tuple[str, str, str]:
    """Returns the attributes of the frozen weight and of its LoRA pair."""
    name = next(one for one in _PAIRS if one in vars(layer))
    return name, *_PAIRS[name][1:]


def can_adapt(layer: Any) -> bool:
    """Whether a layer has LoRA in Keras, in a form that can be masked."""
    if not hasattr(layer, "enable_lora"):
        return False
    return any(
        isinstance(getattr(type(layer), one, None), property)
        for name, (one, _, _) in _PAIRS.items()
        if name in vars(layer)
    )


def base_weight(layer: Any) -> keras.Variable:
    """Returns the weight of a layer to which LoRA adds."""
    return getattr(layer, find_pair(layer)[0])


def add_adapter(layer: Any, rank: int, alpha: float | None) -> None:
    """Enables LoRA on a layer, masked by the zeros of its weight."""
    layer.enable_lora(rank, lora_alpha=alpha)
    kind: Any = type(layer)
    _set_class(layer, _adapted_class(kind))


def merge_adapter(layer: Any) -> None:
    """Writes the merged weight into a layer and removes the LoRA pair."""
    base, pair = base_weight(layer), find_pair(layer)[1:]
    base.assign(layer.merged_weight())
    _set_class(layer, layer.__class__)
    for name in pair:
        layer._untrack_variable(getattr(layer, name))
        object.__delattr__(layer, name)
    layer.lora_enabled = False
    layer.lora_rank = layer.lora_alpha = None
    base.trainable = True


@functools.cache
def _adapted_class(kind: type) -> type:
    """Returns the subclass whose property is the masked sum."""
    effective = property(lambda self: self.effective_weight())
    members = {
        one: effective for one, _, _ in _PAIRS.values() if hasattr(kind, one)
    }
    # Keras writes `__class__` into files and messages.
    members["__class__"] = property(lambda self: kind)
    return type(kind.__name__, (SparseAdapter, kind), members)


def _set_class(layer: Any, kind: type) -> None:
    vars(object)["__class__"].__set__(layer, kind)
