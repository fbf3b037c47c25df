"""Fisher information of the outputs about the hidden tensors of columns."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.distillation.last_activation import find_activations
from keras_netopt.distillation.output_form import (
    OutputForm,
    describe_output,
    find_losses,
)
from keras_netopt.progressive.lateral_reads import LateralRead, changed_inputs
from keras_netopt.training.gradients import differentiate

SMALLEST = 1e-7


def fisher_values(
    model: keras.Model,
    reads: Sequence[LateralRead],
    x: Any,
    activations: Sequence[Sequence[np.ndarray]],
    *,
    draws: int,
    seed: int,
) -> list[np.ndarray]:
    """Returns the Fisher information about each input of each read.

    The diagonal of the Fisher matrix with respect to the activations divided
    by the standard deviation of their channel, summed over the channels and
    positions and averaged over samples. Labels are drawn from the outputs.

    Args:
        model: The model of the task.
        reads: Its lateral connections.
        x: Inputs of one batch.
        activations: Value of each input of each read on the batch.
        draws: Labels drawn per sample.
        seed: Seed of the labels.
    """
    generator = np.random.default_rng(seed)
    forms = describe_outputs(model)
    outputs = [
        np.asarray(ops.convert_to_numpy(one), "float64")
        for one in keras.tree.flatten(model(x, training=False))
    ]
    scales = [
        [read.scale_channels(value) for value in values]
        for read, values in zip(reads, activations, strict=True)
    ]
    sizes = [len(one) for one in scales]
    zeros = [np.zeros_like(v) for values in activations for v in values]
    sums = np.zeros(len(zeros))
    for _ in range(draws):
        terms = [
            _draw_labels(form, one, generator)
            for form, one in zip(forms, outputs, strict=True)
        ]

        def log_likelihood(deltas: list[Any], terms: Any = terms) -> Any:
            parts = iter(deltas)
            changes = [
                _shift([next(parts) for _ in range(size)], scale)
                for size, scale in zip(sizes, scales, strict=True)
            ]
            with keras.StatelessScope(), changed_inputs(reads, changes):
                found = keras.tree.flatten(model(x, training=False))
            values = [term(one) for term, one in zip(terms, found, strict=True)]
            return sum(values[1:], values[0])

        gradients = differentiate(log_likelihood, zeros)
        for place, gradient in enumerate(gradients):
            if gradient is not None:
                values = np.asarray(ops.convert_to_numpy(gradient), "float64")
                sums[place] += np.square(values).sum()
    means = iter(sums / (draws * len(zeros[0])))
    return [np.array([next(means) for _ in range(size)]) for size in sizes]


def describe_outputs(model: keras.Model) -> list[OutputForm]:
    """Returns the form of each flat output of a model."""
    names = list(model.output_names)
    return [
        describe_output(activation, loss)
        for activation, loss in zip(
            find_activations(model), find_losses(model, names), strict=True
        )
    ]


def _shift(deltas: list[Any], scales: list[np.ndarray]) -> Any:
    def change(inputs: list[Any]) -> list[Any]:
        return [
            one + ops.cast(ops.multiply(delta, scale), one.dtype)
            for one, delta, scale in zip(inputs, deltas, scales, strict=True)
        ]

    return change


def _draw_labels(
    form: OutputForm, output: np.ndarray, generator: np.random.Generator
) -> Callable[[Any], Any]:
    """Draws labels from an output; returns their log-likelihood.

    Outputs that are neither classes nor independent probabilities are the
    means of normal distributions of variance 1.
    """
    if form.own_kind == "softmax":
        return _draw_classes(bool(form.are_logits()), output, generator)
    if form.own_kind == "sigmoid":
        return _draw_bits(bool(form.are_logits()), output, generator)
    noise = generator.normal(size=output.shape).astype("float32")
    return lambda found: ops.sum(
        ops.multiply(ops.cast(found, "float32"), noise)
    )


def _draw_classes(
    are_logits: bool, output: np.ndarray, generator: np.random.Generator
) -> Callable[[Any], Any]:
    if are_logits:
        output = np.exp(output - output.max(axis=-1, keepdims=True))
    shares = output / output.sum(axis=-1, keepdims=True)
    steps = generator.random((*output.shape[:-1], 1))
    labels = (shares.cumsum(axis=-1) < steps).sum(axis=-1)
    labels = np.minimum(labels, output.shape[-1] - 1)
    chosen = np.eye(output.shape[-1], dtype="float32")[labels]

    def log_likelihood(found: Any) -> Any:
        found = ops.cast(found, "float32")
        if are_logits:
            logs = ops.log_softmax(found, axis=-1)
        else:
            logs = ops.log(ops.maximum(found, SMALLEST))
        return ops.sum(ops.multiply(logs, chosen))

    return log_likelihood


def _draw_bits(
    are_logits: bool, output: np.ndarray, generator: np.random.Generator
) -> Callable[[Any], Any]:
    shares = 1 / (1 + np.exp(-output)) if are_logits else output
    drawn = (generator.random(output.shape) < shares).astype("float32")

    def log_likelihood(found: Any) -> Any:
        found, bits = ops.cast(found, "float32"), ops.convert_to_tensor(drawn)
        if are_logits:
            return ops.sum(bits * found - ops.softplus(found))
        one = ops.log(ops.maximum(found, SMALLEST))
        zero = ops.log(ops.maximum(1 - found, SMALLEST))
        return ops.sum(bits * one + (1 - bits) * zero)

    return log_likelihood
