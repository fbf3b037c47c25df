"""Gradients of a compiled model's loss, on every backend."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

Loss = Callable[[list[Any]], Any]


def differentiate(function: Loss, values: Sequence[Any]) -> list[Any]:
    """Differentiates a scalar function of a list of tensors.

    Returns one tensor per value, `None` if the function does not depend on it.
    """
    return differentiate_with_value(function, values)[1]


def differentiate_with_value(
    function: Loss, values: Sequence[Any]
) -> tuple[Any, list[Any]]:
    """Returns the value of a function, and what `differentiate` returns."""
    tensors = [ops.convert_to_tensor(value) for value in values]
    return _DIFFERENTIATE[keras.backend.backend()](function, tensors)


def multiply_hessian(
    function: Loss, values: Sequence[Any], vectors: Sequence[Any]
) -> list[Any]:
    """Multiplies the Hessian of a scalar function by vectors.

    The second derivatives are taken of the product of gradient and vector:
    the Hessian is never formed. Returns one tensor per value, `None` if the
    gradient does not depend on it.

    Reference:
        Pearlmutter, 1994, https://doi.org/10.1162/neco.1994.6.1.147.
    """
    fixed = [ops.convert_to_tensor(vector) for vector in vectors]

    def product(tensors: list[Any]) -> Any:
        found = _DIFFERENTIATE[keras.backend.backend()](function, tensors)[1]
        return sum(
            (
                ops.sum(ops.multiply(one, vector))
                for one, vector in zip(found, fixed, strict=True)
                if one is not None
            ),
            ops.zeros(()),
        )

    return differentiate(product, values)


def compute_gradients(
    model: keras.Model,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    variables: Sequence[keras.Variable] | None = None,
) -> list[np.ndarray]:
    """Computes the gradient of the compiled loss on one batch.

    The loss is that of `fit`, regularization included, in inference mode: no
    dropout, moving statistics in batch normalization. Weights, metrics, moving
    statistics and random seeds do not change.

    Args:
        model: A compiled and built model.
        x: Inputs of one batch: an array, or a list or dictionary of arrays.
        y: Targets of the batch. Defaults to `None`.
        sample_weight: Weights of the samples. Defaults to `None`.
        variables: Trainable variables of the model. Defaults to `None`: all.

    Returns:
        One array per variable, zeros if the loss does not depend on it.
    """
    chosen = list(model.trainable_variables if variables is None else variables)
    loss = make_stateless_loss(model, chosen, x, y, sample_weight)
    found = differentiate(loss, [variable.value for variable in chosen])
    return [
        np.zeros(variable.shape, np.float32)
        if gradient is None
        else np.asarray(ops.convert_to_numpy(gradient))
        for variable, gradient in zip(chosen, found, strict=True)
    ]


def make_stateless_loss(
    model: keras.Model,
    variables: Sequence[keras.Variable],
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    change_outputs: Callable[[Any], Any] | None = None,
) -> Loss:
    """Returns the loss of a batch as a function of the values of variables.

    It is the loss that `compute_gradients` differentiates. Assignments of the
    forward pass stay in a scope and are dropped. `change_outputs` is applied
    to the outputs of the model before the loss; `None` changes nothing.
    """
    _check_ready(model)
    batch = keras.tree.map_structure(_to_tensor, [x, y, sample_weight])
    _build_loss(model, batch)
    x, y, sample_weight = batch
    # Regularizers read every trainable variable from the scope.
    rest = [(v, v.value) for v in model.trainable_variables]

    def loss(values: list[Any]) -> Any:
        mapping = rest + list(zip(variables, values, strict=True))
        with keras.StatelessScope(mapping, collect_losses=True):
            y_pred = model(x, training=False)
            if change_outputs is not None:
                y_pred = change_outputs(y_pred)
            return model.compute_loss(x, y, y_pred, sample_weight)

    return loss


def _check_ready(model: keras.Model) -> None:
    for is_ready, word, remedy in (
        (model.built, "built", "call it on a batch"),
        (model.compiled, "compiled", "call `model.compile(loss=...)`"),
    ):
        if not is_ready:
            raise ValueError(
                f"Argument `model` must be {word} where gradients of its loss "
                f"are needed: {remedy}. Received: model=<"
                f"{type(model).__name__} name={model.name}, {word}=False>"
            )


def _to_tensor(value: Any) -> Any:
    """Converts as `fit` does: NumPy floats get the default float dtype."""
    if value is None or keras.ops.is_tensor(value):
        return value
    array = np.asarray(value)
    is_float = np.issubdtype(array.dtype, np.floating)
    dtype = keras.config.floatx() if is_float else None
    return ops.convert_to_tensor(array, dtype=dtype)


def _build_loss(model: Any, batch: list[Any]) -> None:
    # Private names, tested on Keras 3.15: the compiled loss creates its state
    # at its first call, which must not happen inside a StatelessScope.
    compiled = model._compile_loss
    if compiled is not None and not compiled.built:
        model._symbolic_build(data_batch=tuple(batch))


Result = tuple[Any, list[Any]]


def _tensorflow(function: Loss, values: list[Any]) -> Result:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(values)
        result = function(values)
    found = tape.gradient(result, values)
    # Embedding layers have sparse gradients.
    return result, [g if g is None else tf.convert_to_tensor(g) for g in found]


def _jax(function: Loss, values: list[Any]) -> Result:
    import jax

    result, found = jax.value_and_grad(function)(values)
    return result, list(found)


def _torch(function: Loss, values: list[Any]) -> Result:
    import torch

    # Inside another gradient the values depend on its own.
    is_inner = any(value.requires_grad for value in values)
    leaves = (
        values
        if is_inner
        else [value.detach().clone().requires_grad_(True) for value in values]
    )
    with torch.enable_grad():
        result = function(leaves)
    found = torch.autograd.grad(
        result, leaves, allow_unused=True, create_graph=is_inner
    )
    return result, list(found)


_DIFFERENTIATE: dict[str, Callable[[Loss, list[Any]], Result]] = {
    "tensorflow": _tensorflow,
    "jax": _jax,
    "torch": _torch,
}
