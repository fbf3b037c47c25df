"""The edits of a model, in order, as its weight files carry them.

A file of weights fits a model of the same shapes only. Every file that is
saved while a model is edited holds the list of edits, so that a model built
anew can be brought to the same shapes first.
"""

import copy
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras

from keras_netopt.surgery.graph.channel_graph import layer_paths
from keras_netopt.training.checkpoint_state import Arrays, CheckpointState
from keras_netopt.training.editing import editing

ENTRY = "journal"
Event = dict[str, Any]
_VERBS: dict[str, Callable[..., Any]] = {}
_LAYER_ARGUMENTS = ("layer", "after")
# What an event tells beside the arguments of its verb.
_FACTS = ("verb", "places", "epoch", "step")


class Journal:
    """What was done to one model since it was built or loaded.

    Args:
        start: Number of weights before the first edit.
    """

    def __init__(self, start: int) -> None:
        self.start = start
        self.end = start
        self.events: list[Event] = []

    @classmethod
    def of(cls, model: keras.Model) -> "Journal":
        """Returns the journal of a model and begins one where there is none.

        Args:
            model: A built model.

        Returns:
            The journal, the only one the model has.
        """
        entries = CheckpointState.of(model).states
        found = entries.get(ENTRY)
        if not isinstance(found, cls):
            found = entries[ENTRY] = cls(model.count_params())
        return found

    def record(self, model: keras.Model, event: Event) -> None:
        """Adds an edit that was just made."""
        self.events.append(event)
        self.end = model.count_params()

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Called by `CheckpointState` whenever weights are saved."""
        events = copy.deepcopy(self.events)
        return {"start": self.start, "end": self.end, "events": events}, {}


def named_layers(event: Mapping[str, Any]) -> list[str]:
    """Lists the layers that an event names, as it names them."""
    single = [event[key] for key in _LAYER_ARGUMENTS if key in event]
    return [*single, *event.get("units", {})]


def verb(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function known to `replay` under its own name."""
    _VERBS[function.__name__] = function
    return function


def replay(
    model: keras.Model,
    journal: "Iterable[Mapping[str, Any]] | str | os.PathLike[str]",
) -> int:
    """Redoes the edits of another run, so that its weights can be loaded.

    What has been done already is not done again. The new weights are not
    those of the other run until its file is loaded.

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
    >>> events = [surgery.widen(grown, "hidden", to=5).event]
    >>> model = build()
    >>> surgery.replay(model, events)
    1
    >>> model.get_layer("hidden").units
    5

    Args:
        model: A model as it was built before the first edit.
        journal: The events (`report.event` of each edit, or the `history` of
            a callback), or the path of a `.weights.h5` file that was saved
            while the edited model was in memory.

    Returns:
        The number of edits that were made.

    Raises:
        TypeError: If `model` is not a `keras.Model`.
        ValueError: If the file has no journal, an event is unknown, or the
            model is neither the one before nor the one after the edits.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"Argument `model` must be a `keras.Model`. Received: model={model}"
        )
    if isinstance(journal, str | os.PathLike):
        found = read_journal(model, journal)
        if found is None:
            raise ValueError(
                "Argument `journal` must be a file saved while the edited "
                "model was in memory, or a list of events. Received: "
                f"journal={os.fspath(journal)!r}, which holds no edits"
            )
        return catch_up(model, found)
    events = [dict(event) for event in journal]
    return _redo(model, events)


def read_journal(
    model: keras.Model, path: str | os.PathLike[str]
) -> dict[str, Any] | None:
    """Reads the journal of a weights file; the model stays as it is."""
    checkpoint_state = CheckpointState(model)
    checkpoint_state.read(path)
    return checkpoint_state.peek_values(ENTRY)


def catch_up(model: keras.Model, saved: Mapping[str, Any]) -> int:
    """Brings a model to the shapes that a saved journal leads to.

    Args:
        model: The model as it was built, or edited by the first events.
        saved: What `Journal.save_state` wrote.

    Returns:
        The number of edits that were made.

    Raises:
        ValueError: If the journal does not belong to the model.
    """
    done = Journal.of(model)
    events = list(saved["events"])
    if model.count_params() == saved["end"] and not done.events:
        return 0  # Loaded from a file of the edited model.
    known = [_canonical(event) for event in events[: len(done.events)]]
    if known != [_canonical(event) for event in done.events]:
        raise ValueError(
            "The file belongs to a model with other edits: build the model "
            "anew before its weights are loaded. Received: "
            f"edits of the model={done.events}, edits in the file={events}"
        )
    if done.start != saved["start"]:
        raise ValueError(
            "The file belongs to another model: it had "
            f"{saved['start']} weights before its first edit. Received: a "
            f"model with {done.start} weights"
        )
    return _redo(model, events[len(done.events) :])


def _redo(model: keras.Model, events: list[Event]) -> int:
    with editing(model):
        for event in events:
            name = event.get("verb")
            if name not in _VERBS:
                raise ValueError(
                    "Argument `journal` must hold events with one of the "
                    f"verbs {sorted(_VERBS)}. Received: verb={name!r}"
                )
            here = _translated(event, layer_paths(model))
            arguments = {k: v for k, v in here.items() if k not in _FACTS}
            _VERBS[name](model, **arguments)
    return len(events)


def _translated(event: Event, paths: list[str]) -> Event:
    """Names the layers of an event as the model at hand does.

    Keras numbers automatic names through a process, so `dense` may be called
    `dense_2` in a model that was built again.
    """
    names: dict[str, str] = {}
    for name, place in event.get("places", {}).items():
        kind = name.partition(":")[2]
        if place < len(paths):
            names[name] = paths[place] + (f":{kind}" if kind else "")
    new = dict(event)
    for key in _LAYER_ARGUMENTS:
        if key in new:
            new[key] = names.get(new[key], new[key])
    if "units" in new:
        new["units"] = {names.get(k, k): v for k, v in new["units"].items()}
    return new


def _canonical(event: Event) -> Event:
    """An event without the names that a process has given."""
    places = event.get("places", {})
    numbers = [str(k) for k in range(1 + max(places.values(), default=0))]
    facts = {k: v for k, v in event.items() if k not in _FACTS}
    return _translated({**facts, "places": places}, numbers) | {
        "verb": event["verb"],
        "places": sorted(places.values()),
    }
