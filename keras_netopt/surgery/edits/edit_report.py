"""Report of one edit: sizes, widths, optimizer slots, output difference."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from keras_netopt.cost.summarize import count_model_macs
from keras_netopt.graph.layers import walk_paths
from keras_netopt.report import Report
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.channels.coupling_path import CouplingPaths
from keras_netopt.surgery.channels.layer_groups import producer_path
from keras_netopt.surgery.channels.unchanged_layers import group_reasons
from keras_netopt.surgery.edits.edit_plan import EditPlan
from keras_netopt.surgery.edits.output_difference import OutputDifference
from keras_netopt.tables import render
from keras_netopt.training.slots import SlotReport


@dataclass(frozen=True)
class WidthChange:
    """The width of one layer before and after an edit.

    Args:
        layer: The path of the layer.
        before: Number of units before: channels, features or heads.
        after: Number of units after.
        coupled: If the edit does not name the layer: to which layer it is
            coupled by which call, as "to 'conv' by Add 'add'". Defaults to
            `""`.
        asked: The width that channel pruning asks for before it is rounded,
            or `None`. Defaults to `None`.
    """

    layer: str
    before: int
    after: int
    coupled: str = ""
    asked: float | None = None


@dataclass(frozen=True)
class ModelSize:
    """Parameters and compute of a model.

    Args:
        params: Number of weights.
        macs: Multiply-accumulates per sample, as far as they can be counted.
        is_lower_bound: Whether there are MACs that cannot be counted; see
            `cost.summarize(model)`. Defaults to `False`.
    """

    params: int
    macs: int
    is_lower_bound: bool = False

    @classmethod
    def of(cls, model: keras.Model) -> "ModelSize":
        """Counts the weights and MACs of a model."""
        return cls(model.count_params(), *count_model_macs(model))

    def describe_macs(self) -> str:
        """Returns the MACs as text; ">= " where some are not counted."""
        return f"{'>= ' if self.is_lower_bound else ''}{self.macs:,}"


@dataclass(frozen=True)
class EditReport(Report):
    """Result of one edit of a model; `print` shows a table.

    Args:
        operation: The method: "widen", "deepen", "remove" or
            "channel pruning".
        before: Size of the model before.
        after: Size of the model after.
        widths: One row per layer whose width has changed.
        inserted: Names of new layers. Defaults to none.
        skipped: Layers with weights that were left unchanged, each with the
            reason. Defaults to none.
        notes: Further remarks. Defaults to none.
        slots: What was carried over and reset in the optimizer, or `None`
            where it has no slots yet. Defaults to `None`.
        output_difference: How much the outputs changed, where it was
            measured. Defaults to `None`.
        edit: The JSON-safe record that `surgery.replay` takes.
        dry_run: Whether nothing was changed. Defaults to `False`.
    """

    operation: str
    before: ModelSize
    after: ModelSize
    widths: tuple[WidthChange, ...] = ()
    inserted: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    slots: SlotReport | None = None
    output_difference: OutputDifference | None = None
    edit: dict[str, Any] = field(default_factory=dict)
    dry_run: bool = False

    def __str__(self) -> str:
        shares = any(row.asked is not None for row in self.widths)
        head = ["layer", "before", "after", ""]
        head[3:3] = ["asked", "reached"] if shares else []
        rows = [_width_row(row, shares) for row in self.widths]
        blank = [""] * (len(head) - 3)
        rows += [[name, "", "new", *blank] for name in self.inserted]
        for name in ("params", "macs"):
            old, new = getattr(self.before, name), getattr(self.after, name)
            texts = [f"{old:,}", f"{new:,}", *blank[1:], _ratio(old, new)]
            if name == "macs" and self.before.is_lower_bound:
                sizes = (self.before, self.after)
                texts[:2] = [size.describe_macs() for size in sizes]
                texts[-1] = ""
            rows.append([name, *texts])
        title = self.operation + (" (dry run)" if self.dry_run else "")
        align = "l" + "r" * (len(head) - 2) + "l"
        lines = [render(head, rows, title=title, align=align)]
        lines += [
            f"Coupled: {row.layer} {row.coupled}"
            for row in self.widths
            if row.coupled
        ]
        lines += [
            f"Unchanged: {names}: {reason}"
            for names, reason in group_reasons(self.skipped)
        ]
        lines += [f"Note: {note}" for note in self.notes]
        if self.slots is not None:
            lines.append(str(self.slots))
        if self.output_difference is not None:
            lines.append(f"Outputs: {self.output_difference}")
        return "\n".join(lines)


def width_changes(
    graph: ChannelGraph, plan: EditPlan, named: Sequence[Any]
) -> tuple[WidthChange, ...]:
    """Lists every layer whose width a plan changes, in the order of the model.

    `graph` is the graph before the edit; `named` are the producers that the
    user named.
    """
    rows = []
    coupling = CouplingPaths(graph, named)
    for key in graph.producers:
        groups = graph.units(key)
        after = int(plan.copies[groups].sum())
        if after == len(groups):
            continue
        changed = groups[plan.copies[groups] != 1]
        reason = "" if key in named else coupling.describe(key, changed)
        path = producer_path(graph, key)
        rows.append(WidthChange(path, len(groups), after, reason))
    return tuple(rows)


def combine_reports(reports: Sequence[EditReport]) -> EditReport:
    """Combines the reports, at least one, of edits of one model in order.

    The result has the size before the first edit and after the last, and the
    largest output difference.
    """
    widths: dict[str, WidthChange] = {}
    for row in (row for report in reports for row in report.widths):
        before = widths.get(row.layer, row).before
        widths[row.layer] = replace(row, before=before)
    listed = [dict(report.skipped) for report in reports if report.skipped]
    skipped = [
        (name, reason)
        for name, reason in (listed[-1].items() if listed else ())
        if all(name in one for one in listed)
    ]
    differences = [
        report.output_difference
        for report in reports
        if report.output_difference is not None
    ]
    return replace(
        reports[-1],
        operation=", ".join(dict.fromkeys(r.operation for r in reports)),
        before=reports[0].before,
        widths=tuple(widths.values()),
        inserted=tuple(name for r in reports for name in r.inserted),
        skipped=tuple(skipped),
        notes=tuple(dict.fromkeys(note for r in reports for note in r.notes)),
        output_difference=max(
            differences, key=lambda one: one.max_abs, default=None
        ),
        edit={},
    )


def sort_widths(report: EditReport, model: keras.Model) -> EditReport:
    """Sorts the rows of a report in the order of the layers of its model."""
    names = [path for path, _ in walk_paths(model)]
    places = {name: place for place, name in enumerate(names)}
    rows = sorted(
        report.widths,
        key=lambda row: places.get(row.layer.split(":")[0], len(places)),
    )
    return replace(report, widths=tuple(rows))


def _width_row(row: WidthChange, shares: bool) -> list[object]:
    cells: list[object] = [row.layer, row.before, row.after]
    if shares:
        kept = [row.before if row.asked is None else row.asked, row.after]
        cells += [f"{1 - width / row.before:.1%}" for width in kept]
    return [*cells, "coupled" if row.coupled else ""]


def _ratio(old: int, new: int) -> str:
    return f"x {new / old:.2f}" if old else ""
