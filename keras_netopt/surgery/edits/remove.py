"""Removes units from the layers of a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.channels.unchanged_layers import (
    list_unchanged,
    with_remedy,
)
from keras_netopt.surgery.edits import edit_lifecycle
from keras_netopt.surgery.edits.apply_plan import apply_plan
from keras_netopt.surgery.edits.edit_history import EditRecord, edit_operation
from keras_netopt.surgery.edits.edit_plan import EditPlan
from keras_netopt.surgery.edits.edit_report import EditReport, width_changes
from keras_netopt.training.editing import editing
from keras_netopt.training.slot_checks import check_optimizer


@edit_operation
def remove(
    model: keras.Model,
    units: Mapping[Any, Sequence[int]],
    *,
    allow_inexact: bool = False,
    dry_run: bool = False,
) -> EditReport:
    """Removes channels, features or heads of layers and all coupled weights.

    The edit is in place: the model, its layers and its variables stay the
    same objects. Every coupled layer shrinks with it, and optimizer slots and
    masks are carried over. Works on a trained model and inside a callback
    while `fit` runs. The outputs are preserved if the outgoing weights of the
    removed units are zero.

    Example:

    >>> import keras
    >>> from keras_netopt import surgery
    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 3)),
    ...     keras.layers.Conv2D(4, 3, name="conv"),
    ...     keras.layers.BatchNormalization(),
    ...     keras.layers.Flatten(),
    ...     keras.layers.Dense(2, name="out"),
    ... ])
    >>> report = surgery.remove(model, {"conv": [0, 3]})
    >>> model.get_layer("conv").filters, model.count_params()
    (2, 210)

    Args:
        model: A built Functional or Sequential model.
        units: Mapping from layers to the numbers of the units to remove, from
            0. A layer is given by its name, its path in nested models
            ("encoder/conv") or the layer object. Units of another kind are
            given by "attention:value_size" or `("attention", "value_size")`;
            see `surgery.explain`.
        allow_inexact: Whether to remove units that a normalization over the
            channels has as input; this changes the outputs even if all
            outgoing weights are zero. Defaults to `False`.
        dry_run: Whether to leave the model unchanged and only report.
            Defaults to `False`.

    Returns:
        The report; `print` it.

    Raises:
        ValueError: If the model has no graph, a layer is unknown, a unit does
            not exist or cannot be removed (the message gives the reason), or
            a layer would lose all of its units. The model is unchanged then.
    """
    graph = ChannelGraph(model)
    groups = _groups(graph, units)
    _check_removable(graph, groups, allow_inexact)
    copies: np.ndarray = np.ones(graph.group_count, "int64")
    copies[groups] = 0
    _check_not_empty(graph, copies)
    named = {
        _path(graph, layer): sorted({int(k) for k in numbers})
        for layer, numbers in units.items()
    }
    edit: EditRecord = {
        "operation": "remove",
        "units": named,
        "allow_inexact": allow_inexact,
    }
    if dry_run:
        return edit_lifecycle.dry_run_edit(model, remove, edit)
    check_optimizer(model)
    plan = EditPlan(graph, copies)
    producers = [graph.producer(*_key(graph, layer)) for layer in units]
    widths = width_changes(graph, plan, producers)
    skipped = list_unchanged(graph, copies)
    with editing(model):
        before = edit_lifecycle.ModelOutline.of(model)
        applied = apply_plan(model, graph, plan)
        return edit_lifecycle.record_edit(
            model,
            edit,
            before,
            widths=widths,
            skipped=skipped,
            slots=applied.slots,
        )


def _groups(
    graph: ChannelGraph, units: Mapping[Any, Sequence[int]]
) -> np.ndarray:
    chosen: list[int] = []
    for name, numbers in units.items():
        own = graph.units(*_key(graph, name))
        wrong = [k for k in numbers if not 0 <= k < len(own)]
        if wrong:
            raise ValueError(
                f"Argument `units` must name units 0 to {len(own) - 1} of "
                f"layer '{_path(graph, name)}'. Received: {wrong}"
            )
        chosen.extend(own[list(numbers)])
    if not chosen:
        raise ValueError(
            "Argument `units` must name at least one unit to remove. "
            f"Received: units={dict(units)!r}"
        )
    return np.unique(chosen)


def _key(graph: ChannelGraph, name: Any) -> tuple[Any, str]:
    """Returns the layer and the kind of units of a key of `units`."""
    if isinstance(name, tuple):
        return graph.find(name[0]), name[1]
    if isinstance(name, str) and ":" in name:
        path, _, kind = name.rpartition(":")
        return graph.find(path), kind
    return graph.find(name), ""


def _path(graph: ChannelGraph, name: Any) -> str:
    layer, kind = _key(graph, name)
    return graph.path(layer) + (f":{kind}" if kind else "")


def _check_removable(
    graph: ChannelGraph, groups: np.ndarray, allow_inexact: bool
) -> None:
    for one in groups:
        if one in graph.protected:
            where = _layer_of(graph, one)
            raise ValueError(
                f"Units of layer '{where}' cannot be removed: "
                f"{with_remedy(graph.protected[one])}."
            )
        if one in graph.normalized_by and not allow_inexact:
            where = _layer_of(graph, one)
            raise ValueError(
                f"Units of layer '{where}' cannot be removed without changing "
                f"the outputs: {graph.normalized_by[one]}. Pass "
                "allow_inexact=True to accept that."
            )


def _check_not_empty(graph: ChannelGraph, copies: np.ndarray) -> None:
    for layer in graph.producers:
        own = graph.units(layer)
        if len(own) and not copies[own].any():
            raise ValueError(
                f"Layer '{graph.path(layer)}' would lose all of its "
                f"{len(own)} units; keep at least one. To remove a whole "
                "layer build the model without it."
            )


def _layer_of(graph: ChannelGraph, one: int) -> str:
    for layer in graph.producers:
        if one in graph.units(layer):
            return graph.path(layer)
    return "?"
