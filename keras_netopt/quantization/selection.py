"""Selects the kernels to quantize, with reasons for the others."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.graph.layers import walk_layers
from keras_netopt.quantization import grids
from keras_netopt.selectors import Selector
from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.prunability import (
    Prunability,
    is_kernel,
)
from keras_netopt.sparsity.selection import (
    Selection,
    SkippedWeight,
    WeightTarget,
)
from keras_netopt.sparsity.weight_matches import match_weights

BY_DEFAULT = ("", "depthwise kernel", "embedding")


def select_kernels(
    model: keras.Model,
    include: Selector | None = None,
    exclude: Selector | None = None,
    *,
    bits: int = 8,
    clusters: int | None = None,
) -> Selection:
    """Selects the kernels to quantize.

    By default these are the trainable kernels, depthwise kernels and
    embeddings, anywhere in the model, shared ones once. `include` limits the
    selection to what it matches and adds matrices with other names. Biases,
    normalization weights and other vectors are never selected.

    Args:
        model: A built model.
        include: Weights to quantize, see `keras_netopt.selectors`. Defaults
            to `None`: those listed above.
        exclude: Weights not to quantize, in the same form. Defaults to `None`.
        bits: Bits per weight, which the dtype of a kernel must hold exactly.
            Defaults to `8`.
        clusters: Number of shared values per kernel, instead of `bits`; a
            kernel must have weights for them. Defaults to `None`.

    Returns:
        The selection; without `include` it may be empty.

    Raises:
        ValueError: If a selector matches nothing, `include` matches nothing
            that can be quantized, or a selected layer has LoRA weights or was
            quantized by Keras.
    """
    found = match_weights(
        model, include, exclude, lambda kind: kind[1] in BY_DEFAULT
    )
    rewritten = _find_rewritten(model)
    targets: list[WeightTarget] = []
    skipped: list[SkippedWeight] = []
    for place, (key, variable, layer) in enumerate(found.weights):
        kind, reason = found.kinds[place]
        is_excluded = place in found.excluded
        if is_excluded or place not in found.included:
            if reason in BY_DEFAULT:
                reason = "excluded" if is_excluded else "not included"
        else:
            _refuse_layer(key, variable, layer)
            by_name = include is not None and kind is Prunability.ON_REQUEST
            if by_name or reason in BY_DEFAULT:
                reason = _reason_to_skip(variable, bits, clusters)
            if not reason and id(variable) in rewritten:
                reason = "rewritten by SpectralNormalization in each step"
        if reason:
            skipped.append(SkippedWeight(key, variable, layer, reason))
        else:
            view = KernelView.of(variable, layer)
            targets.append(WeightTarget(key, variable, layer, view))
    if include is not None and not targets:
        keys = {found.weights[place][0] for place in found.included}
        _raise_unusable(include, skipped, keys)
    return Selection(tuple(targets), tuple(skipped))


def check_finite(selection: Selection) -> None:
    """Raises a ValueError if a selected kernel holds NaN or infinity."""
    for target in selection.targets:
        values = np.asarray(ops.convert_to_numpy(target.variable.value))
        if not np.isfinite(values).all():
            raise ValueError(
                f"Weight `{target.key}` must be finite before it is "
                f"quantized. Received: {int((~np.isfinite(values)).sum())} "
                "values that are NaN or infinite"
            )


def _find_rewritten(model: keras.Model) -> set[int]:
    """Finds kernels that the forward pass assigns: its value has no master."""
    return {
        id(layer.kernel)
        for layer in walk_layers(model)
        if isinstance(layer, keras.layers.SpectralNormalization)
    }


def _reason_to_skip(
    variable: keras.Variable, bits: int, clusters: int | None
) -> str:
    dtype = keras.backend.standardize_dtype(variable.dtype)
    if clusters is not None and dtype != "float32":
        return f"stored as {dtype}"
    if clusters is None and grids.find_precision(dtype, bits) < bits:
        # With so short a scale the largest weight misses the end of the grid.
        return f"stored as {dtype}, too short for {bits} bits"
    if clusters is not None and math.prod(variable.shape) < clusters:
        return f"fewer weights than clusters={clusters}"
    if not math.prod(variable.shape):
        return "empty"
    return ""


def _refuse_layer(key: str, variable: keras.Variable, layer: Any) -> None:
    if not is_kernel(variable, layer):
        return
    if layer.quantization_mode is not None:
        raise ValueError(
            f"Layer `{layer.name}` was quantized by Keras, so its kernel is "
            "not trained. Quantize the float model, or name the layer in "
            f"`exclude`. Received: {key} in mode {layer.quantization_mode!r}"
        )
    if getattr(layer, "lora_enabled", False):
        raise ValueError(
            f"Layer `{layer.name}` has LoRA weights: it multiplies with the "
            "sum of its kernel and the LoRA product, which is on no grid. "
            "Merge them first (`save_weights`, then `load_weights` of a model "
            "without LoRA), or name the layer in `exclude`. "
            f"Received: {key}"
        )


def _raise_unusable(
    include: Any, skipped: list[SkippedWeight], keys: set[str]
) -> None:
    rows = [f"{r.key} ({r.reason})" for r in skipped if r.key in keys]
    raise ValueError(
        "Argument `include` must match at least one kernel that can be "
        f"quantized, but it matches: {', '.join(rows)}. "
        f"Received: include={include!r}"
    )
