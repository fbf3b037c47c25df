"""Merges the LoRA pairs of a pruned model into its kernels."""

import keras

from keras_netopt.graph.check_model import check_model
from keras_netopt.graph.layers import walk_paths
from keras_netopt.training.recompile import recompile_if_compiled
from keras_netopt.training.sparse_adapter import SparseAdapter, merge_adapter


def merge_lora(model: keras.Model) -> tuple[str, ...]:
    """Merges the pairs of `enable_lora` into the kernels and removes them.

    Outputs do not change, zeros stay exactly zero, and the layers are plain
    layers again, with trainable kernels. Masks that the model had hold in
    further training; without masks, a further `fit` fills the zeros.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential(
    ...     [keras.Input((8,)), keras.layers.Dense(50, name="out")]
    ... )
    >>> _ = netopt.sparsity.enable_lora(model, rank=2)
    >>> len(model.trainable_weights)
    3
    >>> netopt.sparsity.merge_lora(model)
    ('out',)
    >>> len(model.trainable_weights)
    2

    Args:
        model: A model on which `enable_lora` was called; changed in place.

    Returns:
        The paths of the merged layers.

    Raises:
        TypeError: If `model` is no Keras model.
        ValueError: If no layer has a pair of `enable_lora`.
    """
    check_model(model)
    found = [
        (path, layer)
        for path, layer in walk_paths(model)
        if isinstance(layer, SparseAdapter)
    ]
    if not found:
        raise ValueError(
            "Argument `model` must have LoRA pairs of `sparsity.enable_lora`. "
            f"Received: model={model.name!r}"
        )
    for _, layer in found:
        merge_adapter(layer)
    recompile_if_compiled(model)
    return tuple(path for path, _ in found)
