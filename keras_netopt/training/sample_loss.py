"""The compiled loss of a model, one value per sample.

Private names of Keras 3.15: `_compile_loss`, `_flat_losses`,
`get_keras_mask`.
"""

from typing import Any

import keras
from keras import ops
from keras.src.backend.common.masking import get_keras_mask


def sample_loss(model: keras.Model, y: Any, y_pred: Any) -> Any:
    """Returns the loss of each sample before reduction, shape `(batch,)`.

    Other axes (tokens, pixels) are averaged over unmasked positions. The
    losses of several outputs are summed with their loss weights. Regularizers
    and losses that layers add belong to no sample and are excluded.
    """
    any_model: Any = model
    compiled = any_model._compile_loss
    if not has_loss(model) or y is None:
        raise ValueError(
            f"Model {model.name} must be compiled with a loss and receive "
            "targets: samples are compared by their losses. "
            f"Received: loss={getattr(model, 'loss', None)!r}, "
            f"y={'None' if y is None else 'targets'}. Call "
            "`model.compile(loss=...)` and train on (x, y), or compare them "
            "by other scores, such as a `difficulty` given as an array"
        )
    y = _pack_single_target(any_model.loss, y, y_pred)
    if not compiled.built:
        compiled.build(y, y_pred)
    total: Any = 0.0
    for path, loss, weight, name in compiled._flat_losses:
        target, output = (
            select_part(path, y, model),
            select_part(path, y_pred, model),
        )
        values = _reduce_to_samples(loss, target, output, name)
        total = total + (values if weight is None else values * weight)
    return total


def has_loss(model: keras.Model) -> bool:
    """Returns whether a model is compiled with a loss."""
    return getattr(model, "_compile_loss", None) is not None


def needs_targets(model: keras.Model) -> bool:
    """Returns whether a model has a loss that compares outputs with targets.

    A model with a `compute_loss` of its own may need none.
    """
    module = type(model).compute_loss.__module__
    is_own = not module.startswith(("keras.", "keras_netopt."))
    return has_loss(model) and not is_own


def _pack_single_target(loss: Any, y: Any, y_pred: Any) -> Any:
    """Puts an array beside the only loss of several outputs, as Keras does."""
    if keras.tree.is_nested(y) or not keras.tree.is_nested(y_pred):
        return y
    if not keras.tree.is_nested(loss):
        return y
    parts = [None if one is None else y for one in keras.tree.flatten(loss)]
    return keras.tree.pack_sequence_as(loss, parts)


def _reduce_to_samples(loss: Any, y: Any, y_pred: Any, name: str) -> Any:
    mask = get_keras_mask(y_pred)
    y, y_pred = (
        keras.tree.map_structure(
            lambda leaf: ops.convert_to_tensor(leaf, dtype=loss.dtype), part
        )
        for part in (y, y_pred)
    )
    values = loss.call(y, y_pred)
    if len(values.shape) == 0:
        raise ValueError(
            "The loss must return one value per sample, not their mean: omit "
            "the reduction over the batch, which Keras adds. "
            f"Received: loss={loss!r} of output {name!r}"
        )
    axes = tuple(range(1, len(values.shape)))
    if not axes:
        return values
    if mask is None:
        return ops.mean(values, axis=axes)
    kept = ops.broadcast_to(ops.cast(mask, values.dtype), ops.shape(values))
    counts = ops.maximum(ops.sum(kept, axis=axes), 1.0)
    return ops.sum(values * kept, axis=axes) / counts


def select_part(path: tuple[Any, ...], part: Any, model: Any) -> Any:
    """Returns the part of nested outputs or targets at a path."""
    for key in path:
        if isinstance(part, dict) and key not in part:
            key = model.output_names[key]
        elif isinstance(part, list | tuple) and isinstance(key, str):
            key = model.output_names.index(key)
        part = part[key]
    return part
