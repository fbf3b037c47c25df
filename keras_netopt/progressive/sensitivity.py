"""Which columns a task uses, layer by layer."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.progressive.fisher_sensitivity import fisher_values
from keras_netopt.progressive.lateral_reads import (
    LateralRead,
    list_lateral_reads,
)
from keras_netopt.progressive.noise_sensitivity import perturbation_values
from keras_netopt.progressive.sensitivity_report import (
    METHODS,
    SensitivityReport,
)
from keras_netopt.training.backend import without_gradients


def sensitivity(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    method: str = "usage",
    samples: int = 256,
    draws: int = 8,
    performance: Any = None,
    seed: int = 0,
) -> SensitivityReport:
    """Measures how much each layer of a task uses each column.

    Three measures of what a lateral connection reads, each as shares of a
    layer:

    - "usage": |alpha| * norm of `V` * norm of `U` * root mean square of the
      features, per source column. Fast, and blind to what later layers do.
    - "fisher", the paper's AFS: diagonal Fisher information of the outputs
      about the activations of each column, the own one included, in standard
      deviations of their channel.
    - "perturbation", the paper's APS: precision of the Gaussian noise in one
      column's layer that takes half of the performance. Slow: some ten
      inference passes per layer and column.

    Only what a column contributes through this lateral connection counts, not
    what its layer passes on inside its own frozen column. The model does not
    change.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_netopt import layers, progressive
    >>> inputs = keras.Input((4,))
    >>> frozen = layers.FrozenColumn(
    ...     keras.Model(inputs, [keras.layers.Dense(8, "relu")(inputs)]),
    ...     name="task1_column",
    ... )
    >>> h = keras.layers.Dense(8, "relu")(inputs)
    >>> h = layers.LateralConnection(name="lateral")([h, *frozen(inputs)])
    >>> model = keras.Model(inputs, keras.layers.Dense(2)(h), name="task2")
    >>> x = np.random.normal(size=(32, 4)).astype("float32")
    >>> found = progressive.sensitivity(model, x, method="fisher")
    >>> found.columns, found.shares.shape
    (('task2', 'task1'), (1, 2))

    Args:
        model: The model of a task with lateral connections.
        x: Inputs: an array, or a list or dictionary of arrays.
        y: Targets, for "perturbation". Defaults to `None`.
        method: "usage", "fisher" or "perturbation". Defaults to `"usage"`.
        samples: Number of samples that are used, the first ones, at least 2.
            Defaults to `256`.
        draws: Labels that "fisher" draws from the outputs per sample, at
            least 1. Defaults to `8`.
        performance: `callable(y, outputs) -> float` for "perturbation",
            larger for better outputs. Defaults to `None`: accuracy of a
            classifier.
        seed: Seed of labels and noise. Defaults to `0`.

    Returns:
        The shares; printing it shows the table, `.plot()` draws it.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the model has no lateral connections, an argument is
            out of range, or "perturbation" has no targets or no performance
            to lose.

    Reference:
        Rusu et al., "Progressive Neural Networks", 2016,
        https://arxiv.org/abs/1606.04671, section 3 and appendix.
    """
    check_choice(method, "method", METHODS)
    check_integer(samples, "samples", minimum=2)
    check_integer(draws, "draws", minimum=1)
    check_integer(seed, "seed")
    if performance is not None and not callable(performance):
        raise TypeError(
            "Argument `performance` must be a function of the targets and the "
            f"outputs. Received: performance={performance!r}"
        )
    reads = list_lateral_reads(model)
    x = _take(x, "x", samples)
    activations = _run_reads(model, reads, x)
    if method == "usage":
        rows = [
            _usage(read, values)
            for read, values in zip(reads, activations, strict=True)
        ]
        return _report(method, reads, rows, skip=1)
    if method == "fisher":
        rows = fisher_values(
            model, reads, x, activations, draws=draws, seed=seed
        )
        return _report(method, reads, rows)
    if y is None:
        raise ValueError(
            "Argument `y` must be the targets of `x`, where noise is to "
            "halve the performance. Received: y=None"
        )
    rows = perturbation_values(
        model,
        reads,
        x,
        _take(y, "y", samples),
        activations,
        performance=performance,
        seed=seed,
    )
    return _report(method, reads, rows)


def _report(
    method: str,
    reads: Sequence[LateralRead],
    rows: Sequence[np.ndarray],
    skip: int = 0,
) -> SensitivityReport:
    names = [read.columns[skip:] for read in reads]
    columns = list(dict.fromkeys(name for row in names for name in row))
    values = np.full((len(reads), len(columns)), np.nan)
    for place, (row, found) in enumerate(zip(names, rows, strict=True)):
        values[place, [columns.index(name) for name in row]] = found
    layers = tuple(read.layer.name for read in reads)
    return SensitivityReport(method, layers, tuple(columns), values)


def _usage(read: LateralRead, values: Sequence[np.ndarray]) -> np.ndarray:
    """Returns |alpha| * |V| * |U| * rms of each source."""
    layer, sources = read.layer, values[1:]
    alpha = np.abs(ops.convert_to_numpy(layer.alpha))
    axis = read.channel_axis()
    ends = np.cumsum([one.shape[axis] for one in sources])[:-1]
    scale = 1.0
    first = layer.expand
    if layer.reduce is not None:
        first = layer.reduce
        scale = float(np.linalg.norm(ops.convert_to_numpy(layer.expand.kernel)))
    parts = np.split(ops.convert_to_numpy(first.kernel), ends, axis=0)
    return np.array(
        [
            one * np.linalg.norm(part) * scale * np.sqrt(np.square(v).mean())
            for one, part, v in zip(alpha, parts, sources, strict=True)
        ]
    )


def _run_reads(
    model: keras.Model, reads: Sequence[LateralRead], x: Any
) -> list[list[np.ndarray]]:
    """Returns the value of each input of each lateral connection."""
    flat = [tensor for one in reads for tensor in one.tensors]
    inner = keras.Model(model.input, flat)
    with without_gradients():
        found = iter(inner(x, training=False))
    return [
        [
            np.asarray(ops.convert_to_numpy(next(found)), "float32")
            for _ in one.tensors
        ]
        for one in reads
    ]


def _take(value: Any, name: str, samples: int) -> Any:
    """Returns the first samples as arrays."""
    arrays = keras.tree.map_structure(_as_array, value)
    flat = keras.tree.flatten(arrays)
    if not flat or any(one.ndim == 0 or len(one) < 2 for one in flat):
        raise ValueError(
            f"Argument `{name}` must be arrays of at least 2 samples. "
            f"Received: {name}={value!r}"
        )
    return keras.tree.map_structure(lambda one: one[:samples], arrays)


def _as_array(value: Any) -> np.ndarray:
    array = np.asarray(ops.convert_to_numpy(value))
    if array.dtype == "float64":
        array = array.astype(keras.config.floatx())
    return array
