"""Cuts units out of a model for good."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.edits import edit_lifecycle
from keras_netopt.surgery.edits.edit import apply
from keras_netopt.surgery.edits.journal import Event, verb
from keras_netopt.surgery.edits.plan import EditPlan
from keras_netopt.surgery.edits.report import EditReport, width_changes
from keras_netopt.surgery.graph.channel_graph import ChannelGraph


@verb
def remove(
    model: keras.Model,
    units: Mapping[Any, Sequence[int]],
    *,
    allow_inexact: bool = False,
    dry_run: bool = False,
) -> EditReport:
    """Removes channels, features or heads of layers, with all that hangs on.

    The model, its layers and its variables stay the same objects and get
    smaller; every coupled layer follows, and so do optimizer slots and masks.
    It works on a trained model as well as inside a callback while `fit` runs.
    The outputs stay what they are if the weights that read the removed units
    are zero.

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
        units: Numbers of the units to remove, from 0, by layer: its name, its
            path in nested models ("encoder/conv") or the layer itself. Units
            of another kind are named "attention:value_size" or
            `("attention", "value_size")`; see `surgery.explain`.
        allow_inexact: Whether units that a normalization over the channels
            reads may go; the outputs change then even if nothing else read
            them. Defaults to `False`.
        dry_run: Whether to change nothing and only report. Defaults to
            `False`.

    Returns:
        The report; `print` it.

    Raises:
        ValueError: If the model has no graph, a layer is not known, a unit
            does not exist or may not go (the text names the reason), or a
            layer would lose all of its units. The model is untouched then.
    """
    graph = ChannelGraph(model)
    classes = _classes(graph, units)
    _check_removable(graph, classes, allow_inexact)
    copies: np.ndarray = np.ones(graph.class_count, "int64")
    copies[classes] = 0
    _check_something_left(graph, copies)
    named = {
        _text(graph, layer): sorted({int(k) for k in numbers})
        for layer, numbers in units.items()
    }
    event: Event = {"verb": "remove", "units": named}
    event["allow_inexact"] = allow_inexact
    if dry_run:
        return edit_lifecycle.rehearse(model, remove, event)
    edit_lifecycle.check_optimizer(model)
    plan, before = EditPlan(graph, copies), edit_lifecycle.Before.of(model)
    widths = width_changes(graph, plan, set(named))
    change = apply(model, graph, plan)
    return edit_lifecycle.finish(
        model, event, before, widths=widths, slots=change.slots
    )


def _classes(
    graph: ChannelGraph, units: Mapping[Any, Sequence[int]]
) -> np.ndarray:
    chosen: list[int] = []
    for name, numbers in units.items():
        own = graph.units(*_key(graph, name))
        wrong = [k for k in numbers if not 0 <= k < len(own)]
        if wrong:
            raise ValueError(
                f"Argument `units` must name units 0 to {len(own) - 1} of "
                f"layer '{_text(graph, name)}'. Received: {wrong}"
            )
        chosen.extend(own[list(numbers)])
    if not chosen:
        raise ValueError(
            "Argument `units` must name at least one unit to remove. "
            f"Received: units={dict(units)!r}"
        )
    return np.unique(chosen)


def _key(graph: ChannelGraph, name: Any) -> tuple[Any, str]:
    """The layer and the kind of units that a user means."""
    if isinstance(name, tuple):
        return graph.find(name[0]), name[1]
    if isinstance(name, str) and ":" in name:
        path, _, kind = name.rpartition(":")
        return graph.find(path), kind
    return graph.find(name), ""


def _text(graph: ChannelGraph, name: Any) -> str:
    layer, kind = _key(graph, name)
    return graph.path(layer) + (f":{kind}" if kind else "")


def _check_removable(
    graph: ChannelGraph, classes: np.ndarray, allow_inexact: bool
) -> None:
    for one in classes:
        if one in graph.reasons:
            where = _layer_of(graph, one)
            raise ValueError(
                f"Units of layer '{where}' can't be removed: "
                f"{graph.reasons[one]}."
            )
        if one in graph.normed and not allow_inexact:
            where = _layer_of(graph, one)
            raise ValueError(
                f"Units of layer '{where}' can't be removed without changing "
                f"the outputs: {graph.normed[one]}. Pass allow_inexact=True "
                "to accept that."
            )


def _check_something_left(graph: ChannelGraph, copies: np.ndarray) -> None:
    for layer in graph.producers:
        own = graph.units(layer)
        if len(own) and not copies[own].any():
            raise ValueError(
                f"Layer '{graph.path(layer)}' would lose all of its "
                f"{len(own)} units; keep at least one. To take a whole layer "
                "away build the model without it."
            )


def _layer_of(graph: ChannelGraph, one: int) -> str:
    for layer in graph.producers:
        if one in graph.units(layer):
            return graph.path(layer)
    return "?"
