"""LoRA fine-tuning of pruned models."""

import warnings
from typing import Any

import keras

from keras_netopt import selectors
from keras_netopt.checks import check_integer, check_positive
from keras_netopt.graph.check_model import check_model
from keras_netopt.graph.layers import walk_paths
from keras_netopt.selectors import Selector
from keras_netopt.sparsity.kernel_zeros import unmasked_kernels_with_zeros
from keras_netopt.training import NotIntendedUseWarning
from keras_netopt.training.recompile import recompile_if_compiled
from keras_netopt.training.sparse_adapter import (
    SparseAdapter,
    add_adapter,
    base_weight,
    can_adapt,
)


def enable_lora(
    model: keras.Model,
    rank: int = 8,
    alpha: float | None = None,
    *,
    include: Selector | None = None,
    exclude: Selector | None = None,
) -> tuple[str, ...]:
    """Enables LoRA on the layers of a pruned model; its zeros stay zero.

    Each selected layer multiplies with
    `where(kernel != 0, kernel + alpha / rank * a @ b, 0)`. The kernel is
    frozen, as by `layer.enable_lora` of Keras, so its zeros are the mask; the
    model needs no masks, and may come from a file. `a`, `b`, biases and all
    other weights that were trainable train.

    Saved weights, saved models and exported files hold the merged kernels,
    with all zeros. After `load_weights` the product is zero and trains on. Call
    `merge_lora` at the end.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential(
    ...     [keras.Input((8,)), keras.layers.Dense(50, name="out")]
    ... )
    >>> _ = netopt.sparsity.prune(model, 0.5)
    >>> netopt.sparsity.enable_lora(model, rank=2)
    ('out',)
    >>> model.compile("adam", "mse")
    >>> _ = model.fit(np.ones((32, 8)), np.ones((32, 50)), verbose=0)
    >>> netopt.sparsity.merge_lora(model)
    ('out',)
    >>> netopt.sparsity.report(model).sparsity
    0.5

    Args:
        model: A built model, compiled or not; changed in place. A compiled
            model keeps its loss, its metrics and the slots of weights that
            remain trainable.
        rank: Number of columns of `a`, at least 1. Defaults to `8`.
        alpha: The product is multiplied by `alpha / rank`; above 0. Defaults
            to `None`: `rank`, as in Keras.
        include: Layers to adapt: a regular expression searched in the layer's
            path, "first" or "last", a layer, a layer class, a
            `callable(layer) -> bool`, or a list of those. Defaults to `None`:
            every `Dense`, `EinsumDense` and convolution for which Keras has
            LoRA, those inside other layers too. `Embedding` layers are
            adapted on request.
        exclude: Layers not to adapt, in the same form; takes precedence over
            `include`. Defaults to `None`.

    Returns:
        The paths of the adapted layers.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If the model is not built, an argument is out of range, a
            selector matches nothing, no layer is left, or a selected layer
            has LoRA already, is quantized or has a constraint.

    Reference:
        Hu et al., "LoRA: Low-rank adaptation of large language models", 2021,
        https://arxiv.org/abs/2106.09685.
    """
    check_model(model)
    check_integer(rank, "rank", minimum=1)
    if alpha is not None:
        check_positive(alpha, "alpha")
    selectors.check_selector(include, "include")
    selectors.check_selector(exclude, "exclude")
    chosen = _choose(model, include, exclude)
    for path, layer in chosen:
        _check_layer(path, layer)
    for _, layer in chosen:
        add_adapter(layer, rank, alpha)
    recompile_if_compiled(model)
    _warn_unmasked(model)
    return tuple(path for path, _ in chosen)


def _choose(
    model: keras.Model, include: Selector | None, exclude: Selector | None
) -> list[tuple[str, Any]]:
    candidates = [one for one in walk_paths(model) if can_adapt(one[1])]
    places = {
        place
        for place, (_, layer) in enumerate(candidates)
        if not isinstance(layer, keras.layers.Embedding)
    }
    if include is not None:
        places = selectors.select(include, candidates, model, "include")
    places -= selectors.select(exclude, candidates, model, "exclude")
    if not places:
        raise ValueError(
            "Argument `model` must have a layer to adapt: a Dense, "
            "EinsumDense, Embedding or convolution that is included and not "
            f"excluded. Received: include={include!r}, exclude={exclude!r}"
        )
    return [candidates[place] for place in sorted(places)]


def _check_layer(path: str, layer: Any) -> None:
    reason = None
    if getattr(layer, "lora_enabled", False):
        own = isinstance(layer, SparseAdapter)
        reason = "has LoRA already" + (": call `merge_lora` first" * own)
    elif getattr(layer, "quantization_mode", None) is not None:
        reason = f"is quantized ({layer.quantization_mode})"
    elif _has_constraint(layer):
        reason = "has a constraint, with which Keras refuses LoRA"
    elif not base_weight(layer).trainable:
        reason = "is frozen: set `layer.trainable = True` first"
    if reason is not None:
        raise ValueError(
            f"Layer `{path}` cannot be adapted: it {reason}. Leave it out by "
            f"`exclude`. Received: layer=<{layer.__class__.__name__} "
            f"name={layer.name}>"
        )


def _has_constraint(layer: Any) -> bool:
    names = ("kernel_constraint", "embeddings_constraint")
    return any(getattr(layer, name, None) is not None for name in names)


def _warn_unmasked(model: keras.Model) -> None:
    found = unmasked_kernels_with_zeros(model)
    if found:
        warnings.warn(
            f"{', '.join(found)} has zeros, no LoRA and no mask: training "
            "fills these zeros. Freeze its layer, include it, or train with "
            "`callbacks.Pruning`.",
            NotIntendedUseWarning,
            stacklevel=3,
        )
