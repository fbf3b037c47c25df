"""The edits of a model, in order, stored in its weight files.

A weights file loads only into a model of the same shapes. Every file saved
while an edited model is in memory stores the list of edits, so that a newly
built model can be brought to the same shapes first.
"""

import copy
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras

from keras_netopt.graph.layer_paths import layer_paths
from keras_netopt.training.checkpoint_state import Arrays, CheckpointState
from keras_netopt.training.editing import editing

STATE_NAME = "edit_history"
EditRecord = dict[str, Any]
_OPERATIONS: dict[str, Callable[..., Any]] = {}
# Keys of an edit record that are not arguments of its operation.
_METADATA = ("operation", "positions", "epoch", "step")


class EditHistory:
    """The edits of one model since it was built or loaded.

    `initial_params` is the number of weights before the first edit.
    """

    def __init__(self, initial_params: int) -> None:
        self.initial_params = initial_params
        self.params = initial_params
        self.edits: list[EditRecord] = []

    @classmethod
    def of(cls, model: keras.Model) -> "EditHistory":
        """Returns the edit history of a model, a new one if it has none."""
        states = CheckpointState.of(model).states
        found = states.get(STATE_NAME)
        if not isinstance(found, cls):
            found = states[STATE_NAME] = cls(model.count_params())
        return found

    def record(self, model: keras.Model, edit: EditRecord) -> None:
        """Adds an edit that was just made."""
        self.edits.append(edit)
        self.params = model.count_params()

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Called by `CheckpointState` whenever weights are saved."""
        return copy.deepcopy(vars(self)), {}


def named_layers(edit: Mapping[str, Any]) -> list[str]:
    """Lists the names of the layers in an edit record."""
    single = [edit["layer"]] if "layer" in edit else []
    return [*single, *edit.get("units", {})]


def edit_operation(function: Callable[..., Any]) -> Callable[..., Any]:
    """Registers a function as an edit operation that `replay` can call."""
    _OPERATIONS[function.__name__] = function
    return function


def replay(
    model: keras.Model,
    edits: "Iterable[Mapping[str, Any]] | str | os.PathLike[str]",
) -> int:
    """Repeats the edits of another run, so that its weights can be loaded.

    Edits that the model already has are skipped. New weights get their values
    when the file of the other run is loaded.

    Example:

    >>> import keras
    >>> from keras_netopt import surgery
    >>> def build():
    ...     return keras.Sequential([
    ...         keras.Input((4,)),
    ...         keras.layers.Dense(3, activation="relu", name="hidden"),
    ...         keras.layers.Dense(2, name="out"),
    ...     ])
    >>> grown = build()
    >>> edits = [surgery.widen(grown, "hidden", to=5).edit]
    >>> model = build()
    >>> surgery.replay(model, edits)
    1
    >>> model.get_layer("hidden").units
    5

    Args:
        model: The model as it was built before the first edit.
        edits: The edits (`report.edit` of each one, or the `history` of a
            callback), or the path of a `.weights.h5` file that was saved
            while the edited model was in memory.

    Returns:
        The number of edits that were made.

    Raises:
        TypeError: If `model` is not a `keras.Model`.
        ValueError: If the file has no edits, an operation is unknown, or the
            model matches neither the state before nor after the edits.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"Argument `model` must be a `keras.Model`. Received: model={model}"
        )
    if isinstance(edits, str | os.PathLike):
        found = read_edit_history(model, edits)
        if found is None:
            raise ValueError(
                "Argument `edits` must be a file saved while the edited "
                "model was in memory, or a list of edits. Edits of a part, "
                "such as a nested model, are not in the files of the model "
                "around it: call `replay(part, edits)` with the `edit` of "
                "each report, or edit the whole model. Received: "
                f"edits={os.fspath(edits)!r}, which holds no edits"
            )
        return apply_missing_edits(model, found)
    return _apply_edits(model, [dict(edit) for edit in edits])


def read_edit_history(
    model: keras.Model, path: str | os.PathLike[str]
) -> dict[str, Any] | None:
    """Reads the edit history of a weights file; the model is unchanged."""
    checkpoint_state = CheckpointState(model)
    checkpoint_state.read(path)
    return checkpoint_state.peek_values(STATE_NAME)


def apply_missing_edits(model: keras.Model, saved: Mapping[str, Any]) -> int:
    """Brings a model to the shapes of a saved edit history.

    `model` is as it was built, or after the first of the edits; `saved` is the
    output of `EditHistory.save_state`. Returns the number of edits made.
    Raises ValueError if the edit history belongs to another model.
    """
    history = EditHistory.of(model)
    edits, done = list(saved["edits"]), history.edits
    if model.count_params() == saved["params"] and not done:
        return 0  # Loaded from a file of the edited model.
    expected = [_without_names(edit) for edit in edits[: len(done)]]
    if expected != [_without_names(edit) for edit in done]:
        raise ValueError(
            "The file belongs to a model with other edits: rebuild the model "
            "before you load its weights. Received: "
            f"edits of the model={done}, edits in the file={edits}"
        )
    if history.initial_params != saved["initial_params"]:
        raise ValueError(
            "The file belongs to another model: it had "
            f"{saved['initial_params']} weights before its first edit. "
            f"Received: a model with {history.initial_params} weights"
        )
    return _apply_edits(model, edits[len(done) :])


def _apply_edits(model: keras.Model, edits: list[EditRecord]) -> int:
    with editing(model):
        for edit in edits:
            name = edit.get("operation")
            if name not in _OPERATIONS:
                raise ValueError(
                    "Argument `edits` must hold edits with one of the "
                    f"operations {sorted(_OPERATIONS)}. "
                    f"Received: operation={name!r}"
                )
            here = _with_local_names(edit, layer_paths(model))
            arguments = {k: v for k, v in here.items() if k not in _METADATA}
            _OPERATIONS[name](model, **arguments)
    return len(edits)


def _with_local_names(edit: EditRecord, paths: list[str]) -> EditRecord:
    """Replaces the names of layers by those that the given model uses.

    Keras numbers automatic names per process, so `dense` may be called
    `dense_2` in a model that is built a second time.
    """
    names: dict[str, str] = {}
    for name, position in edit.get("positions", {}).items():
        kind = name.partition(":")[2]
        if position < len(paths):
            names[name] = paths[position] + (f":{kind}" if kind else "")
    new = dict(edit)
    if "layer" in new:
        new["layer"] = names.get(new["layer"], new["layer"])
    if "units" in new:
        new["units"] = {names.get(k, k): v for k, v in new["units"].items()}
    return new


def _without_names(edit: EditRecord) -> EditRecord:
    """Replaces the names of layers by their positions, for a comparison."""
    positions = edit.get("positions", {})
    numbers = [str(k) for k in range(1 + max(positions.values(), default=0))]
    arguments = {k: v for k, v in edit.items() if k not in _METADATA}
    return _with_local_names({**arguments, "positions": positions}, numbers) | {
        "operation": edit["operation"],
        "positions": sorted(positions.values()),
    }
