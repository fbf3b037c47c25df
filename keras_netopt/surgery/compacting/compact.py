"""Removes the units that have no effect on the outputs of a model."""

import dataclasses
import warnings
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_bool
from keras_netopt.graph.model_graph import is_graph_model
from keras_netopt.selectors import Selector, check_selector
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.channels.layer_groups import producer_path
from keras_netopt.surgery.channels.unchanged_layers import list_unchanged
from keras_netopt.surgery.compacting.dead_units import (
    DeadUnits,
    find_dead_units,
)
from keras_netopt.surgery.cutting.channel_pruner import list_units
from keras_netopt.surgery.cutting.cut_candidates import (
    CutCandidates,
    CutConstraints,
    find_candidates,
)
from keras_netopt.surgery.cutting.rehearse_cuts import rehearse_cuts
from keras_netopt.surgery.edits.edit_report import (
    EditReport,
    ModelSize,
    combine_reports,
)
from keras_netopt.surgery.edits.rehearsal import rehearsal
from keras_netopt.surgery.edits.remove import remove
from keras_netopt.training import NoEffectWarning
from keras_netopt.training.editing import editing

METHOD = "compact"
ALIVE = "has no dead units"


def compact(
    model: keras.Model,
    *,
    include: Selector | None = None,
    exclude: Selector | None = None,
    dry_run: bool = False,
    stacklevel: int = 2,
) -> EditReport:
    """Removes dead units; see `sparsity.compact`.

    `stacklevel` is that of the warning if there is none.
    """
    check_selector(include, "include")
    check_selector(exclude, "exclude")
    check_bool(dry_run, "dry_run")
    limits = CutConstraints(
        min_channels=1, include=include, exclude=exclude, with_first=True
    )
    ChannelGraph(model)  # Raises for a model without a graph.
    _check_graph(model)
    with rehearsal(model) if dry_run else editing(model):
        report = remove_dead_units(model, limits)
    report = dataclasses.replace(report, dry_run=dry_run)
    if not report.widths:
        warnings.warn(
            "the model has no dead units that can be removed, so it is "
            "unchanged. Single zeros leave units alive: train with "
            "`callbacks.ChannelSparsity`, or prune whole channels with "
            "`callbacks.ChannelPruning`. The report names the constant units "
            "that stay.",
            NoEffectWarning,
            stacklevel=stacklevel,
        )
    return report


def _check_graph(model: keras.Model) -> None:
    if not is_graph_model(model):
        raise ValueError(
            f"The model '{model.name}' is subclassed, so nothing tells how "
            "its code uses the units. Build it with "
            "`keras.Model(inputs, outputs)`, or compact its parts. "
            f"Received: model={type(model).__name__}"
        )


def remove_dead_units(model: keras.Model, limits: CutConstraints) -> EditReport:
    """Removes dead units until there are none, in an `editing` context."""
    reports: list[EditReport] = []
    while True:
        graph = ChannelGraph(model)
        found, dead, units = _find_units(graph, limits)
        if not units:
            break
        groups = _groups(graph, units)
        for target, values in dead.folds(groups):
            target.add(values)
        reports.append(remove(model, units))
        # This pass may have left a layer of `include` with one unit.
        limits = dataclasses.replace(limits, is_checked=True)
    size = ModelSize.of(model)
    last = EditReport(
        METHOD,
        size,
        size,
        skipped=_reasons(graph, found),
        notes=_notes(graph, dead),
    )
    if not reports:
        return last
    whole = combine_reports(reports)
    return dataclasses.replace(
        whole,
        operation=METHOD,
        after=size,
        skipped=last.skipped,
        notes=(*whole.notes, *last.notes),
        edit=reports[-1].edit if len(reports) == 1 else {},
    )


def _find_units(
    graph: ChannelGraph, limits: CutConstraints
) -> tuple[CutCandidates, DeadUnits, dict[str, list[int]]]:
    """Returns the units to remove, by layer; each layer keeps one."""
    dead = find_dead_units(graph)
    found = find_candidates(graph, limits)
    refused = rehearse_cuts(graph, found, set())
    if refused:
        found = find_candidates(graph, limits, None, refused)
    removed: dict[str, np.ndarray] = {}
    for block in found.blocks:
        own = block.groups[np.isin(block.groups, list(dead.groups))]
        if len(own) == len(block.groups):
            own = own[1:]
        if len(own):
            removed[block.name] = own
    return found, dead, list_units(graph, found, removed)


def _groups(graph: ChannelGraph, units: dict[str, list[int]]) -> np.ndarray:
    """Returns the groups of some units."""
    rows = []
    for name, places in units.items():
        path, _, kind = name.partition(":")
        rows.append(graph.units(path, kind)[places])
    return np.unique(np.concatenate(rows))


def _reasons(
    graph: ChannelGraph, found: CutCandidates
) -> tuple[tuple[str, str], ...]:
    """Returns the layers that keep their units, with reasons."""
    given = dict(found.skipped)
    for key in graph.producers:
        given.setdefault(producer_path(graph, key), ALIVE)
    copies: Any = np.ones(graph.group_count, "int64")
    rows = list_unchanged(graph, copies, given)
    follow = (ALIVE, "has the channels of")
    return tuple(row for row in rows if not row[1].startswith(follow))


def _notes(graph: ChannelGraph, dead: DeadUnits) -> tuple[str, ...]:
    """Returns why units that are dead or constant stay."""
    notes: list[str] = []
    for key in graph.producers:
        name, groups = producer_path(graph, key), graph.units(key)
        counts: dict[str, int] = {}
        for group in groups.tolist():
            reason = dead.kept.get(group)
            if reason is not None:
                counts[reason] = counts.get(reason, 0) + 1
        notes += [
            f"{name}: {count} constant unit{'s' * (count > 1)} "
            f"stay{'s' * (count == 1)}: {reason}"
            for reason, count in counts.items()
        ]
        if len(groups) and set(groups.tolist()) <= dead.groups:
            notes.append(
                f"{name}: has no effect on the outputs; one unit stays, "
                "because a layer needs one"
            )
    return tuple(notes)
