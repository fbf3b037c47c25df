"""Removes lateral connections that a task hardly uses."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_at_least_zero, check_choice
from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.insert_block import replace_call
from keras_netopt.graph.model_graph import producer
from keras_netopt.graph.recorded_calls import list_calls
from keras_netopt.layers.lateral_connection import LateralConnection
from keras_netopt.progressive.adapter_report import AdapterReport, AdapterRow
from keras_netopt.progressive.lateral_usage import LateralCut, choose_cut
from keras_netopt.progressive.task import Task, find_task
from keras_netopt.surgery import check_preserved, snapshot
from keras_netopt.training import NoEffectWarning
from keras_netopt.training.backend import reset_compiled_functions
from keras_netopt.training.recompile import recompile_keeping_state

SCORES = ("usage", "alpha")
MAX_SAMPLES = 256
MAX_ROWS = 16384


def prune_adapters(
    model: keras.Model,
    x: Any,
    *,
    threshold: float = 0.05,
    score: str = "usage",
) -> AdapterReport:
    """Removes what a task hardly uses of its lateral connections.

    Three things are removed: whole adapters that add less than `threshold` to
    a hidden tensor, sources (earlier columns at one depth) and units inside
    the adapters, as long as what is removed changes the hidden tensor by less
    than `threshold`. Sources and units leave their mean over `x` in a bias. A
    column that nothing reads any more is no part of the model then. The
    model stays the same object, compiled as before; its optimizer keeps its
    state, except that of the adapters that changed. Earlier tasks do not
    change. Train for a few epochs afterwards.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> first = keras.Sequential([
    ...     keras.Input((4,)), keras.layers.Dense(16, "relu"),
    ...     keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
    >>> second = netopt.progressive.next_task(first)
    >>> x = np.random.default_rng(0).normal(size=(64, 4))
    >>> report = netopt.progressive.prune_adapters(second, x, threshold=10)
    >>> [(row.sources, row.sources_after) for row in report.layers]
    [(1, 0), (1, 0)]

    Args:
        model: The last task of a network; earlier ones are finished.
        x: Inputs of the task, as arrays. The first 256 samples are used.
        threshold: Largest change of a hidden tensor, as a share of its root
            mean square, of each of the three kinds; at least 0. With the
            score "alpha", smallest `|alpha|` of a source that stays. Defaults
            to `0.05`.
        score: "usage", measured on `x`, or "alpha": sources by their scale
            alone; an adapter without a source goes, units stay. Defaults to
            `"usage"`.

    Returns:
        What was removed, and how the outputs on `x` changed.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or `model` is not a task
            or finished.
    """
    return prune_task(find_task(model), x, threshold=threshold, score=score)


def prune_task(
    task: Task, x: Any, *, threshold: float = 0.05, score: str = "usage"
) -> AdapterReport:
    """Does the work of `prune_adapters`."""
    check_at_least_zero(threshold, "threshold")
    check_choice(score, "score", SCORES)
    if task.is_finished:
        raise ValueError(
            "Adapters must be pruned before the next task is added: a later "
            "task may read the column, which must not change. Received: "
            f"finished task {task.name!r}. Use `export` for a smaller model "
            "of a finished task."
        )
    calls = _find_laterals(task)
    if not calls:
        warnings.warn(
            f"Task {task.name!r} has no lateral connections: nothing to prune.",
            NoEffectWarning,
            stacklevel=3,
        )
    before = snapshot(task.model, x)
    cuts = _choose_cuts(task, calls, x, threshold, score)
    sources = _list_sources(task)
    rows = [
        _apply_cut(task, call, cut)
        for call, cut in zip(calls, cuts, strict=True)
    ]
    _forget_unread(task)
    if any(row.params != row.params_after for row in rows):
        if task.model.compiled and task.model.optimizer is not None:
            recompile_keeping_state(task.model)
        reset_compiled_functions(task.model)
    return AdapterReport(
        task=task.name,
        layers=rows,
        unread=[one for one in sources if one not in _list_sources(task)],
        difference=None
        if before is None
        else check_preserved(before, task.model),
    )


def _find_laterals(task: Task) -> list[GraphNode]:
    wanted = {id(layer) for layer in task.laterals}
    return [
        call for call in list_calls(task.model) if id(call.operation) in wanted
    ]


def _choose_cuts(
    task: Task, calls: Sequence[GraphNode], x: Any, threshold: float, score: str
) -> list[LateralCut]:
    x = keras.tree.map_structure(
        lambda one: keras.ops.convert_to_tensor(np.asarray(one)[:MAX_SAMPLES]),
        x,
    )
    cuts = []
    for call in calls:
        given = keras.Model(task.model.input, list(call.input_tensors))
        values = [
            _as_matrix(keras.ops.convert_to_numpy(one), call.operation)
            for one in given(x, training=False)
        ]
        cuts.append(choose_cut(call.operation, values, threshold, score))
    return cuts


def _as_matrix(value: np.ndarray, layer: Any) -> np.ndarray:
    """Returns channels last, one row per position, at most `MAX_ROWS`."""
    if layer.data_format == "channels_first" and value.ndim > 3:
        value = np.moveaxis(value, 1, -1)
    value = value.reshape(-1, value.shape[-1])
    return value[:: -(-len(value) // MAX_ROWS)]


def _apply_cut(task: Task, call: GraphNode, cut: LateralCut) -> AdapterRow:
    layer, old = call.operation, call.output
    hidden, *sources = call.input_tensors
    units = layer.reduce.units if layer.reduce else layer.expand.units
    params = after = layer.count_params()
    new, smaller = hidden, None
    if not cut.sources:
        after = 0
    elif len(cut.sources) < len(sources) or len(cut.units) < units:
        config = layer.get_config()
        if layer.reduce is not None:
            config["adapter_width"] = len(cut.units)
        smaller = LateralConnection.from_config(config)
        new = smaller([hidden, *(sources[k] for k in cut.sources)])
        smaller.set_weights(cut.weights)
        after = smaller.count_params()
    if after != params:
        replace_call(call, new)
        task.hidden = [new if one is old else one for one in task.hidden]
        place = next(k for k, o in enumerate(task.laterals) if o is layer)
        task.laterals[place : place + 1] = [] if smaller is None else [smaller]
    return AdapterRow(
        layer=layer.name,
        usage=cut.usage,
        sources=len(sources),
        sources_after=len(cut.sources),
        units=units,
        units_after=len(cut.units),
        params=params,
        params_after=after,
    )


def _forget_unread(task: Task) -> None:
    """Takes columns that no lateral reads from the inputs of the column."""
    names = _list_sources(task)
    own = keras.tree.flatten(task.model.input)
    task.inputs = [
        one
        for one in task.inputs
        if any(one is entry for entry in own) or _task_of(one) in names
    ]


def _list_sources(task: Task) -> list[str]:
    """Names of the tasks whose columns the lateral connections read."""
    found = {
        _task_of(tensor)
        for call in _find_laterals(task)
        for tensor in call.input_tensors[1:]
    }
    return sorted(found)


def _task_of(feature: Any) -> str:
    return str(producer(feature).name).removesuffix("_column")
