"""Calls layers in branches of a compiled training step.

Private Keras names used here (tested on Keras 3.15): `AutocastScope` and
`Layer._loss_ids`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops
from keras.src.backend.common.variables import AutocastScope

from keras_netopt.graph.layers import walk_layers
from keras_netopt.training.backend import is_known
from keras_netopt.training.jax_gradients import with_fast_gradients


@dataclass(frozen=True)
class Branch:
    """One of several computations, and what it needs.

    Args:
        run: Returns the output, a tensor. It calls no layers but `layers`.
        layers: The built layers that `run` calls. Defaults to none.
        tensors: Other tensors that `run` uses and whose gradients are wanted,
            such as the value of a weight. Defaults to none.
        recomputes: Whether JAX computes the branch again in the backward
            pass, so that steps of other branches need no memory for its
            intermediate results. Defaults to `False`.
    """

    run: Callable[[], Any]
    layers: Sequence[keras.Layer] = ()
    tensors: Sequence[Any] = ()
    recomputes: bool = False


def call_branch(
    index: Any, branches: Sequence[Branch], *, keeps_state: bool = True
) -> tuple[Any, Any]:
    """Returns the output of one branch; the others do not run.

    Variables that its layers write (moving statistics, seeds) and losses that
    they add leave the branch as values, as JAX requires; those of other
    branches do not change. Weights of other branches have gradients of zero
    on every backend.

    Args:
        index: An int32 scalar tensor, the position in `branches`.
        branches: Branches with outputs of one shape and dtype.
        keeps_state: Whether variables that a layer writes are assigned.
            `False` in inference: an exported graph should not write
            variables. Defaults to `True`.

    Returns:
        The tensor, and the sum of the losses that the layers added in this
        call, or `None` if no branch adds any.
    """
    place = _known_place(index)
    if place is not None:
        outputs = branches[place].run()
        return _with_zero_gradients(outputs, _unused(branches, place)), None
    variables = _unique(branches)
    # Small updates of moving statistics vanish in half precision.
    with AutocastScope(None):
        mapping = [(v, v.value) for v in variables]
    values = {id(v): value for v, value in mapping}
    trainable = _trainable(branches)
    written = [v for v in variables if id(v) not in trainable]
    if not keeps_state:
        written = []
    has_losses = False

    def isolate(branch: Branch) -> Callable[[], tuple[Any, ...]]:
        used = {id(v) for layer in branch.layers for v in layer.variables}
        own = [pair for pair in mapping if id(pair[0]) in used]

        def run() -> Any:
            nonlocal has_losses
            with keras.StatelessScope(own, collect_losses=True) as scope:
                outputs = branch.run()
            has_losses = has_losses or bool(scope.losses)
            losses = {id(loss) for loss in scope.losses}
            for layer in branch.layers:
                _discard_losses(layer, losses)
            after = [
                scope.get_current_value(v) if id(v) in used else values[id(v)]
                for v in written
            ]
            return (outputs, _sum_losses(scope.losses)), after

        def run_flat() -> tuple[Any, ...]:
            is_jax = keras.backend.backend() == "jax"
            (outputs, loss), after = (
                with_fast_gradients(run, recomputes=branch.recomputes)
                if is_jax
                else run()
            )
            return outputs, loss, *after

        return run_flat

    outputs, loss, *after = _select(index, [isolate(one) for one in branches])
    for variable, value in zip(written, after, strict=True):
        variable.assign(value)
    return outputs, loss if has_losses else None


def call_if(
    predicate: Any,
    layer: keras.Layer,
    inputs: Any,
    finish: Callable[[Any], Any],
    *,
    keeps_state: bool = True,
) -> tuple[Any, Any]:
    """Returns `finish(layer(inputs))` if a boolean is true, else `inputs`.

    The layer does not run if the boolean is false; see `call_branch`.

    Args:
        predicate: A boolean scalar tensor.
        layer: A built layer or model.
        inputs: The only input of the layer, a tensor.
        finish: Maps the layer's output to a tensor of the shape and dtype of
            `inputs`.
        keeps_state: As in `call_branch`. Defaults to `True`.

    Returns:
        As `call_branch`.
    """
    runs = Branch(lambda: finish(layer(inputs)), [layer])
    skips = Branch(lambda: inputs)
    return call_branch(predicate, [runs, skips], keeps_state=keeps_state)


def _select(index: Any, functions: list[Callable[[], Any]]) -> Any:
    """Calls one of several functions; a boolean selects the first of two."""
    if keras.backend.standardize_dtype(index.dtype) == "bool":
        return ops.cond(index, *functions)
    return ops.switch(index, functions)


def _known_place(index: Any) -> int | None:
    """Returns the position of the branch, `None` while a step is traced.

    A branch whose position is known is called like any layer. Eager JAX would
    compile all branches again at every call.
    """
    if not is_known(index):
        return None
    place = int(index)
    is_condition = keras.backend.standardize_dtype(index.dtype) == "bool"
    return 1 - place if is_condition else place


def _unused(branches: Sequence[Branch], place: int) -> list[Any]:
    """Values of weights, and tensors, that one branch alone leaves out."""
    used = {id(v) for layer in branches[place].layers for v in layer.variables}
    used |= {id(t) for t in branches[place].tensors}
    weights = {
        id(v): v
        for one in branches
        for layer in one.layers
        for v in layer.trainable_variables
    }
    tensors = {id(t): t for one in branches for t in one.tensors}
    with AutocastScope(None):
        found = [v.value for k, v in weights.items() if k not in used]
    return found + [t for k, t in tensors.items() if k not in used]


def _trainable(branches: Sequence[Branch]) -> set[int]:
    layers = [layer for one in branches for layer in one.layers]
    return {id(v) for layer in layers for v in layer.trainable_variables}


def _unique(branches: Sequence[Branch]) -> list[Any]:
    layers = [layer for one in branches for layer in one.layers]
    return list({id(v): v for x in layers for v in x.variables}.values())


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
    """Gives weights gradients of zero in a graph that does not use them.

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
