"""What a unit is worth: one number a class of coupled units.

A score is a `callable(variable) -> array` of the variable's shape; what it
says of all weights that make a unit, in every layer that makes it, is added
up. "l2", "bn_scale" and "fpgm" look at more than one weight at a time.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.surgery.graph.channel_graph import ChannelGraph
from keras_netopt.surgery.graph.coupled_axis import OUT, PASS, CoupledAxis
from keras_netopt.training.batches import iterate_batches
from keras_netopt.training.gradients import compute_gradients


class NotFinite(ValueError):
    """Weights, gradients or scores hold NaN or infinity.

    Example:

    >>> issubclass(NotFinite, ValueError)
    True
    """


VariableScore = Callable[[keras.Variable], np.ndarray]


def class_scores(
    graph: ChannelGraph, score: Any, *, data: Any = None, seed: int = 0
) -> np.ndarray:
    """Scores every class of units of a model; the larger, the longer it stays.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> model.set_weights([np.array([[1.0, -2.0], [3.0, 4.0]]), np.zeros(2)])
    >>> graph = ChannelGraph(model)
    >>> class_scores(graph, "magnitude")[graph.units(model.layers[0])]
    array([4., 6.])

    Args:
        graph: The graph of a model.
        score: One of `NAMES`, or a `callable(variable) -> array`.
        data: `(x, y)` arrays or an iterable of such batches, for "taylor".
            Defaults to `None`.
        seed: Seed of "random". Defaults to `0`.

    Returns:
        One number a class. Those of different layers do not compare, see
        `relative`.

    Raises:
        ValueError: If the score is not known or returns another shape, or if
            data are missing; a `NotFinite` if it holds NaN or infinity.
    """
    check_score(score)
    check_data(score, data)
    if isinstance(score, str) and score == "taylor":
        score = _taylor(graph, data)
    if not isinstance(score, str):
        return _add_up(
            graph, lambda coupled_axis: _checked(score, coupled_axis)
        )
    if score == "random":
        return np.random.default_rng(seed).random(graph.group_count)
    return _finite(_NAMED[score](graph), score)


def relative(
    graph: ChannelGraph, scores: np.ndarray, sets: Any = None
) -> np.ndarray:
    """Divides scores by their mean in each layer-set, so that they compare.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> graph = ChannelGraph(model)
    >>> units = graph.units(model.layers[0])
    >>> worth = relative(graph, np.arange(graph.group_count))
    >>> float(worth[units].mean())
    1.0

    Args:
        graph: The graph of a model.
        scores: One number a class.
        sets: The layer-sets of the graph, where they are known already.
            Defaults to `None`.

    Returns:
        One number a class, around 1.
    """
    scaled = np.array(scores, dtype="float64")
    for one in graph.layer_groups() if sets is None else sets:
        mean = np.abs(scaled[one.groups]).mean()
        if mean > 0:
            scaled[one.groups] /= mean
    return scaled


def check_score(score: Any) -> None:
    """Refuses a score that is not known.

    Args:
        score: What the caller passed.

    Raises:
        ValueError: If it is neither a name nor a callable.
    """
    if isinstance(score, str) and score in NAMES:
        return
    if isinstance(score, str | type) or not callable(score):
        names = ", ".join(repr(name) for name in NAMES)
        raise ValueError(
            f"Argument `score` must be one of {names}, or a "
            f"callable(variable). Received: score={score!r}"
        )


def check_data(score: Any, data: Any) -> None:
    """Refuses a score that lacks its data.

    Args:
        score: A checked score.
        data: The data that came with it.

    Raises:
        ValueError: If data are missing.
    """
    if isinstance(score, str) and score == "taylor" and data is None:
        raise ValueError(
            "Argument `data` must be given for score 'taylor', which is made "
            "from gradients: pass data=(x, y). Received: data=None"
        )


def _read(variable: Any) -> np.ndarray:
    array = np.asarray(ops.convert_to_numpy(ops.cast(variable, "float32")))
    return array.astype("float64")


def _along(array: np.ndarray, axis: int) -> np.ndarray:
    """Adds up all axes of an array but one."""
    others = tuple(k for k in range(array.ndim) if k != axis)
    return array.sum(axis=others)


def _add_up(
    graph: ChannelGraph,
    of: Callable[[CoupledAxis], np.ndarray],
    role: str = OUT,
) -> np.ndarray:
    """Adds up by class what a function says of each coupled_axis of a role."""
    total = np.zeros(graph.group_count)
    for coupled_axis in graph.coupled_axes:
        if coupled_axis.role == role:
            found = of(coupled_axis)
            np.add.at(total, graph.group_of[coupled_axis.ids], found)
    return total


def _checked(score: VariableScore, coupled_axis: CoupledAxis) -> np.ndarray:
    variable = coupled_axis.variable
    array = np.asarray(score(variable), dtype="float64")
    if array.shape != tuple(variable.shape):
        raise ValueError(
            f"Argument `score` must return an array of shape "
            f"{tuple(variable.shape)} for `{variable.path}`. "
            f"Received: shape={array.shape}"
        )
    return _along(_finite(array, variable.path), coupled_axis.axis)


def _finite(array: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(array).all():
        raise NotFinite(
            f"The scores of `{name}` must be finite: weights or gradients "
            "hold NaN or infinity. "
            f"Received: {np.count_nonzero(~np.isfinite(array))} values"
        )
    return array


def _l1(graph: ChannelGraph) -> np.ndarray:
    def absolute(variable: Any) -> np.ndarray:
        return np.abs(_read(variable))

    return _add_up(graph, lambda coupled_axis: _checked(absolute, coupled_axis))


def _l2(graph: ChannelGraph) -> np.ndarray:
    def square(variable: Any) -> np.ndarray:
        return np.square(_read(variable))

    return np.sqrt(
        _add_up(graph, lambda coupled_axis: _checked(square, coupled_axis))
    )


def _bn_scale(graph: ChannelGraph) -> np.ndarray:
    """|gamma| where there is one, else the magnitude of the layer-set."""

    def gamma(coupled_axis: CoupledAxis) -> np.ndarray:
        layer = coupled_axis.layer
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        if not is_norm or coupled_axis.variable is not layer.gamma:
            return np.zeros(len(coupled_axis.ids))
        return np.abs(_read(coupled_axis.variable))

    scores, weights = _add_up(graph, gamma, PASS), _l1(graph)
    for one in graph.layer_groups():
        if not scores[one.groups].any():
            scores[one.groups] = weights[one.groups]
    return scores


def _fpgm(graph: ChannelGraph) -> np.ndarray:
    """Distance to all other units of the layer: the replaceable ones go."""

    def distances(coupled_axis: CoupledAxis) -> np.ndarray:
        variable = coupled_axis.variable
        if len(variable.shape) < 2:
            return np.zeros(len(coupled_axis.ids))
        rows = np.moveaxis(_read(variable), coupled_axis.axis, 0)
        rows = rows.reshape(len(coupled_axis.ids), -1)
        squares = np.square(rows).sum(axis=1)
        gaps = squares[:, None] + squares[None] - 2 * rows @ rows.T
        return np.sqrt(np.maximum(gaps, 0)).sum(axis=1)

    return _add_up(graph, distances)


def _taylor(graph: ChannelGraph, data: Any) -> VariableScore:
    """|w * g|, added up over the batches."""
    found = {
        id(coupled_axis.variable): coupled_axis.variable
        for coupled_axis in graph.coupled_axes
        if coupled_axis.role == OUT
    }
    variables = list(found.values())
    weights = [_read(variable) for variable in variables]
    sums = {key: np.zeros(v.shape) for key, v in found.items()}
    for x, y, sample_weight in iterate_batches(data):
        slopes = compute_gradients(
            graph.model, x, y, sample_weight, variables=variables
        )
        for key, weight, slope in zip(found, weights, slopes, strict=True):
            sums[key] += np.abs(weight * slope)
    return lambda variable: sums[id(variable)]


_NAMED: dict[str, Callable[[ChannelGraph], np.ndarray]] = {
    "magnitude": _l1,
    "l1": _l1,
    "l2": _l2,
    "bn_scale": _bn_scale,
    "fpgm": _fpgm,
}
NAMES = (*_NAMED, "taylor", "random")
