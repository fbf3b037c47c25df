"""Checks that sample weights have the axes of the loss."""

from typing import TYPE_CHECKING, Any

import keras

from keras_netopt.curriculum.loss_weights import count_loss_axes
from keras_netopt.training.loss_trace import LossCall, trace_loss

if TYPE_CHECKING:
    from keras_netopt.curriculum.batch_reader import BatchReader

Shape = tuple[int, ...]


def check_loss_axes(model: keras.Model, reader: "BatchReader") -> list[str]:
    """Raises ValueError if a batch's weights do not fit the model's loss.

    Keras multiplies the weights with the values of the loss before reduction.
    Weights of shape `(batch,)` would weight the steps and not the samples if
    the loss had one value per step, and as many steps as samples.

    Returns:
        Reasons to look at `token_weights`, if the model's loss is not known
        and its outputs suggest another number of axes.
    """
    x, y, weight = reader.first_batch()
    if y is None:
        return []
    found = trace_loss(model, x, y, weight)
    for call in found.calls:
        if call.weights is None:
            continue
        is_reduced = not call.values and reader.has_different_weights
        if is_reduced or not _fit(call.weights, call.values):
            raise ValueError(_describe(call, reader, y))
    if found.calls or not reader.has_weights:
        return []
    return [
        "it is not known how the loss uses the sample weights, "
        f"which have shape {_show(weight.shape)}, because code of your own "
        f"computes it, from outputs of shape {_show(shape)}. Choose "
        "`token_weights` of `dataset()` accordingly."
        for shape in found.outputs
        if len(shape) > 2 and not _fit(weight.shape, shape[:-1])
    ]


def _fit(weights: Shape, values: Shape) -> bool:
    """Whether Keras multiplies along the same axes."""
    if not values:
        return True  # The mean of a batch, whose weights are equal.
    missing = len(values) - len(weights)
    if missing == 1:
        return values[-1] == 1
    if missing == -1:
        return weights[-1] == 1
    return missing == 0


def _describe(call: LossCall, reader: "BatchReader", y: Any) -> str:
    """Returns the error, with the option that fits, if there is one."""
    facts = (
        f"the loss of output {call.name!r} has values of shape "
        f"{_show(call.values)}, and the sample weights have shape "
        f"{_show(call.weights or ())}"
    )
    received = f"token_weights={reader.token_weights}"
    for option in (True, False, None):
        shape = reader.first_batch(count_loss_axes(y, option))[2].shape
        if (
            call.values
            and _fit(shape, call.values)
            and reader.irreducible_loss is None
        ):
            return (
                "Argument `token_weights` of `dataset()` must be "
                f"{option} for this model: {facts}. Received: {received}. "
                f"Pass `token_weights={option}`, or a loss with one value per "
                "sample"
            )
    if len(call.weights or ()) > len(call.values) > 0:
        return (
            "Argument `sample_weight` must have the axes of the loss: "
            f"{facts}. Received: {received}. Give each sample one weight"
        )
    remedy = (
        "Average its values over the other axes, as in "
        "`lambda y, y_pred: keras.ops.mean(loss(y, y_pred), axis=-1)`"
        if call.values
        else "Omit the reduction over the batch, which Keras adds"
    )
    return (
        f"The loss must have one value per sample: {facts}. Received: "
        f"loss={call.loss!r}, {received}. {remedy}"
    )


def _show(shape: Any) -> str:
    if not shape:
        return "()"
    rest = "".join(f", {size}" for size in shape[1:])
    return f"(batch{rest or ','})"
