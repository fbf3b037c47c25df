"""Calls a layer only in the steps that need it, inside the compiled step.

Private Keras names used here (tested on Keras 3.15): `AutocastScope` and
`Layer._loss_ids`.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops
from keras.src.backend.common.variables import AutocastScope

from keras_netopt.training.layers import walk_layers


def call_if(
    predicate: Any,
    layer: keras.Layer,
    inputs: Any,
    finish: Callable[[Any], Any],
    *,
    keeps_state: bool = True,
) -> tuple[Any, Any]:
    """Returns `finish(layer(inputs))` where a boolean holds, else `inputs`.

    A real branch: the layer does not run where the boolean is false. What it
    writes while it runs (moving statistics, seeds) and the losses that it adds
    go through the branch as values, for a JAX trace may not leave it in any
    other way. Where the layer does not run its weights get gradients of zero,
    on every backend.

    Example:

    >>> import keras
    >>> from keras import ops
    >>> dense = keras.layers.Dense(2, use_bias=False, kernel_initializer="ones")
    >>> x = ops.ones((1, 2))
    >>> dense.build(x.shape)
    >>> for is_run in (True, False):
    ...     predicate = ops.convert_to_tensor(is_run)
    ...     outputs, loss = call_if(predicate, dense, x, ops.negative)
    ...     print(float(outputs[0, 0]), loss)
    -2.0 None
    1.0 None

    Args:
        predicate: A boolean scalar tensor.
        layer: A built layer, or a model.
        inputs: Its only input, a tensor.
        finish: Makes of the layer's output a tensor of the shape and dtype of
            `inputs`.
        keeps_state: Whether what the layer writes is kept. `False` in
            inference: an exported graph should not write at all. Defaults to
            `True`.

    Returns:
        The tensor, and the sum of the losses that the layer added in this
        call, or `None` where it adds none.
    """
    # Moving statistics in half precision would not move.
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
        _forget(layer, {id(loss) for loss in scope.losses})
        after = map(scope.get_current_value, written)
        return outputs, _total(scope.losses), *after

    def skip() -> tuple[Any, ...]:
        unchanged = state if keeps_state else []
        return _anchored(inputs, trained), _total(()), *unchanged

    outputs, loss, *after = ops.cond(predicate, run, skip)
    for variable, value in zip(written, after, strict=True):
        variable.assign(value)
    return outputs, loss if has_losses else None


def make_stateless(layer: keras.Layer) -> Callable[[Any], Any]:
    """Returns a function that calls a layer and leaves no trace.

    For the inside of loops, out of which JAX lets nothing but values: what
    the layer writes and the losses that it adds are dropped.

    Example:

    >>> import keras
    >>> from keras import ops
    >>> dense = keras.layers.Dense(1, activity_regularizer="l2")
    >>> dense.build((1, 2))
    >>> make_stateless(dense)(ops.ones((1, 2))).shape == (1, 1), dense.losses
    (True, [])

    Args:
        layer: A built layer, or a model.

    Returns:
        A function of the layer's only input.
    """
    with AutocastScope(None):
        mapping = [(v, v.value) for v in layer.variables]

    def call(inputs: Any) -> Any:
        with keras.StatelessScope(mapping):
            return layer(inputs)

    return call


def _total(losses: Any) -> Any:
    total = ops.zeros((), "float32")
    for loss in losses:
        total = total + ops.cast(loss, "float32")
    return total


def _forget(layer: keras.Layer, losses: set[int]) -> None:
    """Keras knows losses by `id`, which a later one may have again."""
    for inner in walk_layers(layer):
        inner._loss_ids.difference_update(losses)


def _anchored(inputs: Any, weights: list[Any]) -> Any:
    """Ties weights to a graph that the layer is not part of.

    torch and eager TensorFlow run the one branch that is taken. Weights of
    the other one had no gradient at all, of which Keras warns in every step,
    and momentum would stand still where it moves elsewhere.
    """
    backend = keras.backend.backend()
    if not weights:
        return inputs
    if backend == "torch":
        return _anchored_on_torch(inputs, weights)
    if backend == "tensorflow":
        return _anchored_on_tensorflow(inputs, weights)
    return inputs


def _anchored_on_torch(inputs: Any, weights: list[Any]) -> Any:
    import torch

    class ZeroGradients(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, tensor: Any, *anchored: Any) -> Any:
            context.save_for_backward(*anchored)
            return tensor.view_as(tensor)

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            return gradient, *map(torch.zeros_like, context.saved_tensors)

    return ZeroGradients.apply(inputs, *weights)


def _anchored_on_tensorflow(inputs: Any, weights: list[Any]) -> Any:
    import tensorflow as tf

    if not tf.executing_eagerly():
        return inputs

    @tf.custom_gradient
    def anchor(tensor: Any, *anchored: Any) -> Any:
        def backward(gradient: Any) -> Any:
            return gradient, *map(tf.zeros_like, anchored)

        return tf.identity(tensor), backward

    return anchor(inputs, *map(tf.convert_to_tensor, weights))
