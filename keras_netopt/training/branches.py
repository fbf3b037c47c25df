"""Calls a layer on a condition, inside a compiled training step.

Private Keras names used here (tested on Keras 3.15): `AutocastScope` and
`Layer._loss_ids`.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops
from keras.src.backend.common.variables import AutocastScope

from keras_netopt.graph.layers import walk_layers


def call_if(
    predicate: Any,
    layer: keras.Layer,
    inputs: Any,
    finish: Callable[[Any], Any],
    *,
    keeps_state: bool = True,
) -> tuple[Any, Any]:
    """Returns `finish(layer(inputs))` if a boolean is true, else `inputs`.

    The layer does not run if the boolean is false (`ops.cond`). Variables that
    it writes (moving statistics, seeds) and losses that it adds leave the
    branch as values, as JAX requires. If the layer does not run, its weights
    have gradients of zero on every backend.

    Args:
        predicate: A boolean scalar tensor.
        layer: A built layer or model.
        inputs: The only input of the layer, a tensor.
        finish: Maps the layer's output to a tensor of the shape and dtype of
            `inputs`.
        keeps_state: Whether variables that the layer writes are assigned.
            `False` in inference: an exported graph should not write
            variables. Defaults to `True`.

    Returns:
        The tensor, and the sum of the losses that the layer added in this
        call, or `None` if it adds none.
    """
    # Small updates of moving statistics vanish in half precision.
    with AutocastScope(None):
        trained = [v.value for v in layer.trainable_variables]
        state = [v.value for v in layer.non_trainable_variables]
    written = layer.non_trainable_variables if keeps_state else []
    variables = [*layer.trainable_variables, *layer.non_trainable_variables]
    mapping = list(zip(variables, [*trained, *state], strict=True))
    has_losses = False

    def run() -> tuple[Any, ...]:
        nonlocal has_losses
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            outputs = finish(layer(inputs))
        has_losses = bool(scope.losses)
        _discard_losses(layer, {id(loss) for loss in scope.losses})
        after = map(scope.get_current_value, written)
        return outputs, _sum_losses(scope.losses), *after

    def skip() -> tuple[Any, ...]:
        unchanged = state if keeps_state else []
        return (
            _with_zero_gradients(inputs, trained),
            _sum_losses(()),
            *unchanged,
        )

    outputs, loss, *after = ops.cond(predicate, run, skip)
    for variable, value in zip(written, after, strict=True):
        variable.assign(value)
    return outputs, loss if has_losses else None


def make_stateless(layer: keras.Layer) -> Callable[[Any], Any]:
    """Returns a function of a layer's only input, without side effects.

    Use it inside `ops.while_loop` and `ops.scan`: variables that the layer
    writes and losses that it adds are dropped.
    """
    with AutocastScope(None):
        mapping = [(v, v.value) for v in layer.variables]

    def call(inputs: Any) -> Any:
        with keras.StatelessScope(mapping):
            return layer(inputs)

    return call


def _sum_losses(losses: Any) -> Any:
    total = ops.zeros((), "float32")
    for loss in losses:
        total = total + ops.cast(loss, "float32")
    return total


def _discard_losses(layer: keras.Layer, losses: set[int]) -> None:
    """Removes losses by `id`, which Python can give to a later object."""
    for inner in walk_layers(layer):
        inner._loss_ids.difference_update(losses)


def _with_zero_gradients(inputs: Any, weights: list[Any]) -> Any:
    """Gives weights gradients of zero in a graph without the layer.

    torch and eager TensorFlow run one branch only. Weights of the other branch
    would have no gradient: Keras would warn at every step, and momentum would
    not decay as it does on other backends.
    """
    backend = keras.backend.backend()
    if not weights:
        return inputs
    if backend == "torch":
        return _with_zero_gradients_torch(inputs, weights)
    if backend == "tensorflow":
        return _with_zero_gradients_tensorflow(inputs, weights)
    return inputs


def _with_zero_gradients_torch(inputs: Any, weights: list[Any]) -> Any:
    import torch

    class ZeroGradients(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, tensor: Any, *unused: Any) -> Any:
            context.save_for_backward(*unused)
            return tensor.view_as(tensor)

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            return gradient, *map(torch.zeros_like, context.saved_tensors)

    return ZeroGradients.apply(inputs, *weights)


def _with_zero_gradients_tensorflow(inputs: Any, weights: list[Any]) -> Any:
    import tensorflow as tf

    if not tf.executing_eagerly():
        return inputs

    @tf.custom_gradient
    def anchor(tensor: Any, *unused: Any) -> Any:
        def backward(gradient: Any) -> Any:
            return gradient, *map(tf.zeros_like, unused)

        return tf.identity(tensor), backward

    return anchor(inputs, *map(tf.convert_to_tensor, weights))
