"""Steps that every edit operation takes before and after its edit."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.graph.layer_paths import layer_paths
from keras_netopt.surgery.edits.edit_history import (
    EditHistory,
    EditRecord,
    named_layers,
)
from keras_netopt.surgery.edits.edit_recorder import EditRecorder, Insertion
from keras_netopt.surgery.edits.edit_report import EditReport, ModelSize
from keras_netopt.surgery.edits.rehearsal import rehearsal
from keras_netopt.training.editing import find_relatives


@dataclass(frozen=True)
class ModelOutline:
    """A model before an edit: its size, layer paths in order, and configs."""

    size: ModelSize
    paths: list[str]
    configs: EditRecorder

    @classmethod
    def of(cls, model: keras.Model) -> "ModelOutline":
        """Reads size and paths of a model that is being edited."""
        configs = EditRecorder([model, *find_relatives(model)])
        return cls(ModelSize.of(model), layer_paths(model), configs)


def record_edit(
    model: keras.Model,
    edit: EditRecord,
    before: ModelOutline,
    *,
    insertion: Insertion | None = None,
    notes: tuple[str, ...] = (),
    **details: Any,
) -> EditReport:
    """Adds an edit to the model's edit history and reports it.

    `insertion` describes inserted layers, see `EditRecorder.finish`; `details`
    are further arguments of `EditReport`.
    """
    positions = {
        name: before.paths.index(name.partition(":")[0])
        for name in named_layers(edit)
    }
    edit = {**edit, "positions": positions}
    history = EditHistory.of(model)
    if not history.edits:
        history.initial_params = before.size.params
    history.record(model, edit)
    notes += before.configs.finish(insertion)
    return EditReport(
        edit["operation"],
        before.size,
        ModelSize.of(model),
        edit=edit,
        notes=notes,
        **details,
    )


def dry_run_edit(
    model: keras.Model, operation: Callable[..., EditReport], edit: EditRecord
) -> EditReport:
    """Rehearses an edit and returns its report with `dry_run=True`."""
    arguments = {k: v for k, v in edit.items() if k != "operation"}
    with rehearsal(model):
        report = operation(model, **arguments)
    return dataclasses.replace(report, dry_run=True)
