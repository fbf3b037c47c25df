"""What an edit has done, for people and for the journal."""

from dataclasses import dataclass, field
from typing import Any

import keras

from keras_netopt import cost
from keras_netopt.surgery.edits.plan import EditPlan
from keras_netopt.surgery.edits.preserve import Preservation
from keras_netopt.surgery.graph.channel_graph import ChannelGraph
from keras_netopt.tables import render
from keras_netopt.training.slots import SlotReport


@dataclass(frozen=True)
class WidthChange:
    """The width of one layer before and after an edit.

    Args:
        layer: The path of the layer.
        before: Its units before: channels, features or heads.
        after: Its units after.
        coupled: Whether it was not named but shares units with one that was.
    """

    layer: str
    before: int
    after: int
    coupled: bool = False


@dataclass(frozen=True)
class Size:
    """What a model weighs.

    Args:
        params: Number of weights.
        macs: Multiply-accumulates a sample, as far as they can be counted.
    """

    params: int
    macs: int

    @classmethod
    def of(cls, model: keras.Model) -> "Size":
        """Counts the weights and MACs of a model."""
        return cls(model.count_params(), cost.summarize(model).macs)


@dataclass(frozen=True)
class EditReport:
    """What one edit has done to a model; `print` shows a table.

    Args:
        verb: "widen", "deepen" or "remove".
        before: Size of the model before.
        after: Size of the model after.
        widths: One row a layer whose width has changed.
        inserted: Names of new layers. Defaults to none.
        skipped: Layers that were left alone, each with the reason. Defaults
            to none.
        notes: What else is worth knowing. Defaults to none.
        slots: What became of the optimizer's slots, or `None` where there
            are none yet. Defaults to `None`.
        preserved: How far the outputs have moved, where it was measured.
            Defaults to `None`.
        event: The JSON-safe entry that `surgery.replay` takes.
        dry_run: Whether nothing was changed. Defaults to `False`.
    """

    verb: str
    before: Size
    after: Size
    widths: tuple[WidthChange, ...] = ()
    inserted: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    slots: SlotReport | None = None
    preserved: Preservation | None = None
    event: dict[str, Any] = field(default_factory=dict)
    dry_run: bool = False

    def __str__(self) -> str:
        rows: list[list[object]] = [
            [
                row.layer,
                row.before,
                row.after,
                "coupled" if row.coupled else "",
            ]
            for row in self.widths
        ]
        rows += [[name, "", "new", ""] for name in self.inserted]
        for name in ("params", "macs"):
            old, new = getattr(self.before, name), getattr(self.after, name)
            rows.append([name, f"{old:,}", f"{new:,}", _ratio(old, new)])
        title = self.verb + (" (dry run)" if self.dry_run else "")
        lines = [
            render(
                ["layer", "before", "after", ""],
                rows,
                title=title,
                align="lrrl",
            )
        ]
        lines += [f"Left alone: {name}: {why}" for name, why in self.skipped]
        lines += [f"Note: {note}" for note in self.notes]
        if self.slots is not None:
            lines.append(str(self.slots))
        if self.preserved is not None:
            lines.append(f"Outputs: {self.preserved}")
        return "\n".join(lines)


def width_changes(
    graph: ChannelGraph, plan: EditPlan, named: set[str]
) -> tuple[WidthChange, ...]:
    """Lists every layer whose width a plan changes.

    Args:
        graph: The graph before the edit.
        plan: The plan.
        named: Paths of the layers that the user named.

    Returns:
        One row a layer, in the order of the model.
    """
    rows = []
    for layer in graph.producers:
        kind = layer[1] if isinstance(layer, tuple) else ""
        path = graph.path(layer) + (f":{kind}" if kind else "")
        classes = graph.units(layer)
        after = int(plan.copies[classes].sum())
        if after != len(classes):
            row = WidthChange(path, len(classes), after, path not in named)
            rows.append(row)
    return tuple(rows)


def _ratio(old: int, new: int) -> str:
    return f"x {new / old:.2f}" if old else ""
