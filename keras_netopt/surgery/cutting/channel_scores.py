"""Importance scores of channels: one number per group of coupled units.

A score is a `callable(variable) -> array` of the variable's shape; its values
are summed over all weights that produce a unit, in every coupled layer. "l2",
"bn_scale" and "fpgm" combine several weights.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.checks import takes_one_argument
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.coupled_axis import OUT, PASS, CoupledAxis
from keras_netopt.training.batches import iterate_batches
from keras_netopt.training.gradients import compute_gradients

PART = 1 << 19
"""Number of weights that are scored at a time."""


class NonFiniteScores(ValueError):
    """Weights, gradients or scores hold NaN or infinity."""


VariableScore = Callable[[keras.Variable], np.ndarray]


def score_groups(
    graph: ChannelGraph, score: Any, *, data: Any = None, seed: int = 0
) -> np.ndarray:
    """Scores every group of coupled units; low scores are removed first.

    Scores of different layers are not comparable, see `normalize_scores`.

    Args:
        graph: The graph of a model.
        score: One of `NAMES`, or a `callable(variable) -> array`.
        data: Calibration data `(x, y)` or batches of them, for "taylor".
            Defaults to `None`.
        seed: Seed of "random". Defaults to `0`.
    """
    check_score(score)
    check_calibration_data(score, data)
    if isinstance(score, str) and score == "taylor":
        score = _taylor(graph, data)
    if not isinstance(score, str):
        return _sum_by_group(graph, lambda axis: _call_score(score, axis))
    if score == "random":
        return np.random.default_rng(seed).random(graph.group_count)
    return _check_finite(_NAMED[score](graph), score)


def normalize_scores(graph: ChannelGraph, scores: np.ndarray) -> np.ndarray:
    """Divides scores by their mean in each set of coupled layers."""
    scaled = np.array(scores, dtype="float64")
    for one in graph.layer_groups():
        mean = np.abs(scaled[one.groups]).mean()
        if mean > 0:
            scaled[one.groups] /= mean
    return scaled


def check_score(score: Any) -> None:
    """Raises a ValueError if a score is neither a known name nor a callable."""
    if isinstance(score, str) and score in NAMES:
        return
    if isinstance(score, str) or not takes_one_argument(score):
        names = ", ".join(repr(name) for name in NAMES)
        raise ValueError(
            f"Argument `score` must be one of {names}, or a "
            f"callable(variable). Received: score={score!r}"
        )


def check_calibration_data(score: Any, data: Any) -> None:
    """Raises a ValueError if "taylor" has no data."""
    if isinstance(score, str) and score == "taylor" and data is None:
        raise ValueError(
            "Argument `calibration_data` must be given for score='taylor', "
            "which needs gradients: pass calibration_data=(x, y). "
            "Received: calibration_data=None"
        )


def _read(variable: Any) -> np.ndarray:
    return _read_single(variable).astype("float64")


def _sum_by_group(
    graph: ChannelGraph,
    of: Callable[[CoupledAxis], np.ndarray],
    role: str = OUT,
) -> np.ndarray:
    """Sums the values of a function of each coupled axis by group."""
    total = np.zeros(graph.group_count)
    for axis in graph.coupled_axes:
        if axis.role == role:
            np.add.at(total, graph.group_of[axis.ids], of(axis))
    return total


def _call_score(score: VariableScore, axis: CoupledAxis) -> np.ndarray:
    variable = axis.variable
    array = np.asarray(ops.convert_to_numpy(score(variable)), "float64")
    if array.shape != tuple(variable.shape):
        raise ValueError(
            f"Argument `score` must return an array of shape "
            f"{tuple(variable.shape)} for `{variable.path}`. "
            f"Received: shape={array.shape}"
        )
    return _sum_others(array, axis, lambda part: part)


def _sum_others(
    array: np.ndarray,
    axis: CoupledAxis,
    function: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Sums a function of an array in double precision for each channel."""
    others = tuple(k for k in range(array.ndim) if k != axis.axis)
    channels = np.moveaxis(array, axis.axis, 0)
    total = np.empty(len(channels))
    wrong = 0
    for rows in _split_channels(len(channels), array.size):
        part: Any = np.moveaxis(channels[rows], 0, axis.axis)
        part = function(part.astype("float64"))
        wrong += int(np.count_nonzero(~np.isfinite(part)))
        total[rows] = part.sum(axis=others)
    _check_count(wrong, axis.variable.path)
    return total


def _split_channels(count: int, size: int) -> Iterator[slice]:
    """Yields slices of two channels and more, as a sum may depend on that."""
    parts = min(max(1, -(-size // PART)), max(1, count // 2))
    ends = np.linspace(0, count, parts + 1).astype(int)
    for start, end in zip(ends, ends[1:], strict=False):
        yield slice(int(start), int(end))


def _check_finite(array: np.ndarray, name: str) -> np.ndarray:
    _check_count(int(np.count_nonzero(~np.isfinite(array))), name)
    return array


def _check_count(wrong: int, name: str) -> None:
    if wrong:
        raise NonFiniteScores(
            f"The scores of `{name}` must be finite: weights or gradients "
            f"hold NaN or infinity. Received: {wrong} values"
        )


def _read_single(variable: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.cast(variable, "float32")))


def _l1(graph: ChannelGraph) -> np.ndarray:
    return _sum_by_group(
        graph,
        lambda axis: _sum_others(_read_single(axis.variable), axis, np.abs),
    )


def _l2(graph: ChannelGraph) -> np.ndarray:
    def squares(axis: CoupledAxis) -> np.ndarray:
        return _sum_others(_read_single(axis.variable), axis, np.square)

    return np.sqrt(_sum_by_group(graph, squares))


def _bn_scale(graph: ChannelGraph) -> np.ndarray:
    """|gamma| where it exists, else the magnitude in coupled layers."""

    def gamma(axis: CoupledAxis) -> np.ndarray:
        layer = axis.layer
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        if not is_norm or axis.variable is not layer.gamma:
            return np.zeros(len(axis.ids))
        return np.abs(_read(axis.variable))

    scores, weights = _sum_by_group(graph, gamma, PASS), _l1(graph)
    for one in graph.layer_groups():
        if not scores[one.groups].any():
            scores[one.groups] = weights[one.groups]
    return scores


def _fpgm(graph: ChannelGraph) -> np.ndarray:
    """Distance to all other units of the layer: redundant units score low."""

    def distances(axis: CoupledAxis) -> np.ndarray:
        variable = axis.variable
        if len(variable.shape) < 2:
            return np.zeros(len(axis.ids))
        rows = np.moveaxis(_read(variable), axis.axis, 0)
        rows = rows.reshape(len(axis.ids), -1)
        squares = np.square(rows).sum(axis=1)
        gaps = squares[:, None] + squares[None] - 2 * rows @ rows.T
        return np.sqrt(np.maximum(gaps, 0)).sum(axis=1)

    return _sum_by_group(graph, distances)


def _taylor(graph: ChannelGraph, data: Any) -> VariableScore:
    """|w * g|, summed over the batches."""
    found = {
        id(axis.variable): axis.variable
        for axis in graph.coupled_axes
        if axis.role == OUT
    }
    variables = list(found.values())
    sums = {key: np.zeros(v.shape) for key, v in found.items()}
    for x, y, sample_weight in iterate_batches(data):
        slopes = compute_gradients(
            graph.model, x, y, sample_weight, variables=variables
        )
        for (key, variable), slope in zip(found.items(), slopes, strict=True):
            sums[key] += np.abs(_read(variable) * slope)
    return lambda variable: sums[id(variable)]


_NAMED: dict[str, Callable[[ChannelGraph], np.ndarray]] = {
    "magnitude": _l1,
    "l2": _l2,
    "bn_scale": _bn_scale,
    "fpgm": _fpgm,
}
NAMES = (*_NAMED, "taylor", "random")
