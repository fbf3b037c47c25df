"""The diagonal of the Fisher information matrix of a model."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.continual.likelihood import Likelihood
from keras_netopt.training.backend import without_gradients
from keras_netopt.training.batches import iterate_batches
from keras_netopt.training.compiled_terms import compiled_terms
from keras_netopt.training.gradients import differentiate
from keras_netopt.training.stateless_forward import compile_function


def compute_fisher(
    model: keras.Model,
    variables: Sequence[keras.Variable],
    likelihoods: Sequence[Likelihood],
    data: Any,
    *,
    samples: int,
    seed: Any = 0,
) -> list[np.ndarray]:
    """Computes the mean squared gradient of the log-likelihood.

    The targets are drawn from the model's own outputs, and gradients are
    squared example by example: squares of a batch's mean gradient, or the
    targets of the data, give another matrix. The model runs in inference
    mode and does not change.

    Args:
        model: A built model.
        variables: The weights, one entry of the diagonal per element.
        likelihoods: One per flat output of the model.
        data: Inputs in any form that `fit` accepts; targets are ignored.
        samples: Number of examples.
        seed: Of the drawn targets. Defaults to `0`.

    Returns:
        One float32 array per variable, in its shape.

    Reference:
        Kirkpatrick et al. 2017, https://arxiv.org/abs/1612.00796
        van de Ven 2025, https://arxiv.org/abs/2502.11756
    """
    rng = np.random.default_rng(seed)
    weights = [1.0 for _ in likelihoods]

    def predict(values: list[Any], x: Any) -> Any:
        scope = list(zip(variables, values, strict=True))
        with keras.StatelessScope(scope):
            return model(x, training=False)

    def surprise(values: list[Any], x: Any, targets: list[Any]) -> Any:
        outputs = keras.tree.flatten(predict(values, x))
        total: Any = 0.0
        for one, output, target, weight in zip(
            likelihoods, outputs, targets, weights, strict=True
        ):
            # A factor of the loss is one of the information, not of its root.
            total = total + weight**0.5 * one.surprise(output, target)
        return total

    def add(totals: list[Any], values: list[Any], *args: Any) -> list[Any]:
        found = differentiate(lambda given: surprise(given, *args), values)
        return [
            total if g is None else total + ops.square(ops.cast(g, "float32"))
            for total, g in zip(totals, found, strict=True)
        ]

    forward, compiled = compile_function(predict), compile_function(add)
    values = [variable.value for variable in variables]
    totals = [ops.zeros(v.shape, "float32") for v in variables]
    count = 0
    for x in itertools.islice(_examples(data, samples), samples):
        with without_gradients():
            outputs = forward(values, x)
        if not count:
            terms = compiled_terms(model, outputs)
            weights[:] = [max(term.weight, 0.0) for term in terms]
        targets = [
            one.sample(_to_numpy(output), rng)
            for one, output in zip(
                likelihoods, keras.tree.flatten(outputs), strict=True
            )
        ]
        targets = [ops.convert_to_tensor(target) for target in targets]
        totals = list(compiled(totals, values, x, targets))
        count += 1
    return [_to_numpy(total) / np.float32(count) for total in totals]


def check_finite(
    model: keras.Model,
    variables: Sequence[keras.Variable],
    fisher: Sequence[np.ndarray],
) -> None:
    """Refuses weights and information that are not finite.

    They would make the penalty of all later tasks NaN.
    """
    for variable, information in zip(variables, fisher, strict=True):
        value = _to_numpy(variable.value)
        if np.isfinite(value).all() and np.isfinite(information).all():
            continue
        what = "gradients" if np.isfinite(value).all() else "values"
        raise ValueError(
            "Argument `model` must have finite weights, and finite gradients "
            "on the calibration data. Received: "
            f"model={model.name!r}, {what} of weight {variable.path!r} that "
            "are not finite. Train it with a lower learning rate, and look "
            "for NaN in the data."
        )


def _examples(data: Any, samples: int) -> Iterator[Any]:
    """Yields the inputs of one example at a time, with a batch axis."""
    for x, _, _ in iterate_batches(data, samples=samples):
        for i in range(len(keras.tree.flatten(x)[0])):
            yield keras.tree.map_structure(
                lambda array, i=i: ops.convert_to_tensor(array[i : i + 1]), x
            )


def _to_numpy(tensor: Any) -> np.ndarray:
    found = ops.convert_to_numpy(ops.stop_gradient(tensor))
    return np.asarray(found, "float32")
