"""Evaluates subnets of a supernet with the weights that they share."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_netopt.checks import check_bool, check_integer
from keras_netopt.graph.check_model import check_model
from keras_netopt.graph.layers import walk_layers
from keras_netopt.search.supernet.architecture import check_architecture
from keras_netopt.search.supernet.searchable_layer import (
    Architecture,
    find_decisions,
)
from keras_netopt.search.supernet.subnet_evaluator import SubnetEvaluator


def evaluate_subnets(
    model: keras.Model,
    architectures: Sequence[Architecture],
    x: Any,
    y: Any,
    *,
    calibration_data: Any = None,
    batches: int = 1,
    batch_size: int = 256,
    recalibrate: bool = True,
) -> list[dict[str, float]]:
    """Returns the loss and metrics of subnets of a supernet.

    A subnet is the network of one architecture, computed with the weights
    that all networks of the supernet share.

    The moving averages of batch normalization in a supernet are those of all
    subnets together. They are computed anew for each subnet, from batches in
    training mode. Subnets are compared without another trace, and nothing of
    the model changes: weights, averages, modes, metrics.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> candidates = [
    ...     keras.layers.Dense(4, activation="relu", name="wide"),
    ...     keras.layers.Identity(name="skip"),
    ... ]
    >>> choice = netopt.layers.Choice(candidates, name="edge")
    >>> model = keras.Sequential([keras.Input((4,)), choice])
    >>> model.compile(loss="mse")
    >>> x = np.ones((8, 4), "float32")
    >>> found = netopt.search.evaluate_subnets(
    ...     model, [{"edge": 0}, {"edge": 1}], x, x
    ... )
    >>> found[1]
    {'loss': 0.0}

    Args:
        model: A built and compiled model with searchable layers.
        architectures: Dictionaries from the name of a decision to the index
            of the chosen option. Decisions that one leaves out take the
            option with the largest weight, or the fixed one.
        x: Inputs, arrays of shape `(samples, ...)`.
        y: Targets, arrays of shape `(samples, ...)`.
        calibration_data: Training inputs, `(x, y)` or batches for batch
            normalization. Defaults to `None`, for models without it.
        batches: Number of calibration batches, each of `batch_size` and at
            least 64 samples. Defaults to `1`.
        batch_size: Samples per batch. Defaults to `256`.
        recalibrate: Whether to compute the averages anew. `False` compares
            networks by averages that are not theirs, which ranks them
            poorly. Defaults to `True`.

    Returns:
        One dictionary per architecture: "loss" and the compiled metrics.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the model has no searchable layer or is not compiled,
            if an architecture does not fit, or if it has batch normalization
            and `calibration_data` is not given.

    Reference:
        Guo et al., "Single path one-shot neural architecture search with
        uniform sampling", 2019, https://arxiv.org/abs/1904.00420.
    """
    check_model(model)
    found = find_decisions(model)
    if not isinstance(architectures, list | tuple):
        raise TypeError(
            "Argument `architectures` must be a list of dictionaries. "
            f"Received: architectures={architectures!r}"
        )
    chosen = [
        check_architecture(found, a, "architectures") for a in architectures
    ]
    _check_lengths(x, y)
    check_integer(batches, "batches", minimum=1)
    check_integer(batch_size, "batch_size", minimum=1)
    if not model.compiled:
        raise ValueError(
            "Argument `model` must be compiled with a loss. "
            f"Received: model=<{type(model).__name__} name={model.name}>"
        )
    _check_calibration(
        model, calibration_data, check_bool(recalibrate, "recalibrate")
    )
    evaluator = SubnetEvaluator(
        model,
        x,
        y,
        calibration_data=calibration_data if recalibrate else None,
        batches=batches,
        batch_size=batch_size,
    )
    return [evaluator.evaluate(one) for one in chosen]


def _check_lengths(x: Any, y: Any) -> None:
    sizes = {}
    for name, value in (("x", x), ("y", y)):
        leaves = keras.tree.flatten(value)
        shapes: list[Any] = [getattr(leaf, "shape", ()) for leaf in leaves]
        found = {shape[0] if len(shape) else 0 for shape in shapes}
        if len(found) != 1 or found == {0}:
            raise ValueError(
                f"Argument `{name}` must hold arrays of at least one sample. "
                f"Received: {name} of shape {[tuple(s) for s in shapes]}"
            )
        sizes[name] = found.pop()
    if sizes["x"] != sizes["y"]:
        raise ValueError(
            "Argument `y` must hold as many samples as `x`. "
            f"Received: y of {sizes['y']} and x of {sizes['x']} samples"
        )


def _check_calibration(
    model: keras.Model, data: Any, recalibrate: bool
) -> None:
    norms = [
        layer.name
        for layer in walk_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if recalibrate and norms and data is None:
        raise ValueError(
            "Argument `calibration_data` must be given for a model with batch "
            f"normalization, such as {norms[0]!r}: its averages are not those "
            "of one network. `recalibrate=False` uses them nevertheless. "
            "Received: calibration_data=None"
        )
