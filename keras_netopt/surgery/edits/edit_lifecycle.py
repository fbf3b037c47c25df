"""What every verb does before and after its edit."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.surgery.edits.journal import Event, Journal, named_layers
from keras_netopt.surgery.edits.report import EditReport, Size
from keras_netopt.surgery.graph.channel_graph import layer_paths
from keras_netopt.training import slots


def check_optimizer(model: keras.Model, *, zero_outgoing: bool = False) -> None:
    """Refuses optimizers and distributions that an edit would break.

    Args:
        model: The model, compiled or not.
        zero_outgoing: Whether units with zero outgoing weights will be made.
            Defaults to `False`.

    Raises:
        ValueError: If the optimizer can't be carried over; the text says why.
    """
    slots.check_optimizer(model, zero_outgoing=zero_outgoing)


@dataclass(frozen=True)
class Before:
    """What is known of a model before an edit.

    Args:
        size: Its size.
        paths: The paths of its layers, in the order of the structure.
    """

    size: Size
    paths: list[str]

    @classmethod
    def of(cls, model: keras.Model) -> "Before":
        """Looks at a model that is about to be edited."""
        return cls(Size.of(model), layer_paths(model))


def finish(
    model: keras.Model, event: Event, before: Before, **facts: Any
) -> EditReport:
    """Writes an edit into the model's journal and reports it.

    Args:
        model: The model after the edit.
        event: The journal's entry.
        before: What was known of the model before the edit.
        **facts: Further arguments of `EditReport`.

    Returns:
        The report.
    """
    event = {
        **event,
        "places": {
            name: before.paths.index(name.partition(":")[0])
            for name in named_layers(event)
        },
    }
    journal = Journal.of(model)
    if not journal.events:
        journal.start = before.size.params
    journal.record(model, event)
    return EditReport(
        event["verb"], before.size, Size.of(model), event=event, **facts
    )


def rehearse(
    model: keras.Model, verb: Callable[..., EditReport], event: Event
) -> EditReport:
    """Makes an edit on a copy of the model and reports what it would do.

    Args:
        model: The model, which stays as it is.
        verb: The verb.
        event: The verb's arguments as the journal holds them.

    Returns:
        The report, with `dry_run=True`.
    """
    arguments = {k: v for k, v in event.items() if k != "verb"}
    copy = keras.models.clone_model(model)
    return dataclasses.replace(verb(copy, **arguments), dry_run=True)
