"""Lists the layers with weights that an edit leaves unchanged, and why."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_netopt.graph.layers import own_variables
from keras_netopt.surgery.channels.layer_groups import producer_path

EXCLUDED = "excluded"
NOT_INCLUDED = "not included"
NOT_NAMED = "not coupled to a layer that the edit names"
# Reasons that the user chose.
CHOICES = frozenset((EXCLUDED, NOT_INCLUDED, NOT_NAMED))

_INSIDE = re.compile(r"touches \w+ '[^']*' in \w+ '")
NO_CHANNELS = "no call in the graph of the model gives its weights channels"


def list_unchanged(
    graph: Any,
    copies: np.ndarray,
    given: Mapping[str, str] | None = None,
) -> tuple[tuple[str, str], ...]:
    """Lists every layer with weights that an edit leaves unchanged.

    A layer of which only the inputs change is listed if `given` names it.

    Args:
        graph: The channel graph before the edit.
        copies: For each group of units, the number of copies after the edit.
        given: Known reasons, by the path of the units. Defaults to `None`.

    Returns:
        Path and reason, in the order of the model.
    """
    given = given or {}
    changed = copies != 1
    bound = _bound_axes(graph)
    rows: list[tuple[str, str]] = []
    known: dict[int, str] = {}
    for path, layer in graph.layers():
        own = own_variables(layer)
        axes = [axis for v in own for axis in bound.get(id(v), ())]
        is_changed = any(changed[graph.group_of[one.ids]].any() for one in axes)
        keys = graph.producer_keys(layer)
        for key in keys:
            name, groups = producer_path(graph, key), graph.units(key)
            reason = given.get(name)
            if reason is None and not is_changed and own:
                reason = _protection(graph, groups) or NOT_NAMED
            if reason is not None and not changed[groups].any():
                rows.append((name, with_remedy(reason)))
                known.setdefault(id(layer), reason)
        if not own or keys or is_changed:
            continue
        reason = _reason(graph, layer, axes, given, known)
        rows.append((path, with_remedy(reason)))
    return tuple(rows)


def describe_fixed(graph: Any, layer: Any) -> str:
    """Describes why a layer that makes no units cannot be named in an edit."""
    obstacle: str = graph.obstacle(layer)
    if obstacle:
        return with_remedy(obstacle)
    if not getattr(layer, "weights", None):
        return "has no weights"
    own, path = own_variables(layer), graph.path(layer)
    if not own:
        inside = [
            producer_path(graph, key)
            for key in graph.producers
            if graph.path(key).startswith(f"{path}/")
        ]
        remedy = f"; name a layer inside it, such as '{inside[0]}'"
        return "has no weights of its own" + (remedy if inside else "")
    bound = _bound_axes(graph)
    axes = [axis for v in own for axis in bound.get(id(v), ())]
    source = _source(graph, axes)
    if source is not None:
        return f"has the channels of '{source}'; name that layer"
    return with_remedy(_reason(graph, layer, axes, {}, {}))


def with_remedy(reason: str) -> str:
    """Adds the remedy to a reason that a layer without a handler causes."""
    causes = ("has no handler", "cannot be traced")
    is_unknown = any(cause in reason for cause in causes)
    if is_unknown or _INSIDE.match(reason):
        return f"{reason} (see `surgery.register`)"
    return reason


def group_reasons(
    rows: tuple[tuple[str, str], ...], shown: int = 6
) -> list[tuple[str, str]]:
    """Joins the names of rows with one reason.

    Of the layers that the user chose to leave alone only the first are named.
    """
    names: dict[str, list[str]] = {}
    for name, reason in rows:
        names.setdefault(reason, []).append(name)
    found = []
    for reason, group in names.items():
        rest = len(group) - shown if reason in CHOICES else 0
        text = ", ".join(group[:shown] if rest > 1 else group)
        more = f" and {rest} more (`skipped` lists all)" if rest > 1 else ""
        found.append((text + more, reason))
    return found


def _bound_axes(graph: Any) -> dict[int, list[Any]]:
    """Returns the coupled axes by the `id` of the variable."""
    found: dict[int, list[Any]] = {}
    for axis in graph.coupled_axes:
        found.setdefault(id(axis.variable), []).append(axis)
    return found


def _protection(graph: Any, groups: np.ndarray) -> str | None:
    """Returns why none of some groups may change; `None` if one may."""
    reasons = [graph.protected.get(one) for one in groups.tolist()]
    return next(iter(reasons)) if reasons and all(reasons) else None


def _source(graph: Any, axes: list[Any]) -> str | None:
    """Returns the first layer that makes units on some axes."""
    ids = [graph.group_of[axis.ids] for axis in axes]
    groups = np.unique(np.concatenate(ids)) if ids else np.zeros(0, int)
    for key in graph.producers:
        if np.isin(graph.units(key), groups).any():
            return producer_path(graph, key)
    return None


def _reason(
    graph: Any,
    layer: Any,
    axes: list[Any],
    given: Mapping[str, str],
    known: Mapping[int, str],
) -> str:
    """Returns why a layer that makes no units is unchanged."""
    obstacle: str = graph.obstacle(layer)
    if obstacle:
        return obstacle
    for axis in axes:
        if id(axis.layer) in known:  # A projection of attention, a cell.
            return known[id(axis.layer)]
    for axis in axes:
        reason = _protection(graph, graph.group_of[axis.ids])
        if reason is not None:
            return reason
    source = _source(graph, axes)
    if source is None:
        return NO_CHANNELS
    reason = given.get(source, NOT_NAMED)
    return reason if reason in CHOICES else f"has the channels of '{source}'"
