"""Builds the model of a new task on top of frozen columns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.graph.insert_block import insert_block
from keras_netopt.graph.make_submodel import make_submodel
from keras_netopt.graph.model_graph import graph_outputs
from keras_netopt.graph.recorded_calls import list_calls
from keras_netopt.layers.lateral_connection import LateralConnection
from keras_netopt.progressive.task import Task


@dataclass(frozen=True)
class LateralSettings:
    """How a column reads earlier columns.

    Args:
        adapter: "mlp", "linear" or `None`: no lateral connections.
        adapter_width: Output channels of the first dense layer, or `None`.
        alpha_init: Initial scale of each source.
    """

    adapter: str | None
    adapter_width: int | None
    alpha_init: float


def build_task(
    name: str,
    inputs: Any,
    hidden: list[Any],
    head: Any,
    sources: Sequence[Task],
    settings: LateralSettings,
) -> Task:
    """Connects a new column with frozen ones and adds its head.

    Args:
        name: Name of the task.
        inputs: Structure of the inputs of the network.
        hidden: Hidden tensors of the new column.
        head: A layer, or a function from the last hidden tensor to outputs.
        sources: Frozen tasks that the column reads, in their order.
        settings: The lateral connections.
    """
    laterals: list[keras.layers.Layer] = []
    if sources and settings.adapter is not None:
        _check_depth(name, hidden, sources)
        hidden, laterals = _insert_laterals(
            name, inputs, hidden, sources, settings
        )
    read = list(sources) if laterals else []
    outputs = _call_head(head, hidden[-1], name)
    return Task(
        name=name,
        model=keras.Model(inputs, outputs, name=name),
        hidden=hidden,
        head=make_submodel([hidden[-1]], outputs, name=f"{name}_head"),
        inputs=[
            *keras.tree.flatten(inputs),
            *(one for task in read for one in task.features),
        ],
        laterals=laterals,
    )


def _insert_laterals(
    name: str,
    inputs: Any,
    hidden: list[Any],
    sources: Sequence[Task],
    settings: LateralSettings,
) -> tuple[list[Any], list[keras.layers.Layer]]:
    column = keras.Model(inputs, hidden)
    laterals: list[keras.layers.Layer] = []
    for number, tensor in enumerate(hidden):
        lateral = LateralConnection(
            settings.adapter or "mlp",
            settings.adapter_width,
            alpha_init=settings.alpha_init,
            name=f"{name}_lateral_{number + 1}",
        )
        others = [task.features[number] for task in sources]
        place = next(
            call
            for call in list_calls(column)
            if any(one is tensor for one in call.outputs)
        )
        insert_block(place, _connect(lateral, others))
        laterals.append(lateral)
    return list(graph_outputs(column)), laterals


def _connect(
    lateral: keras.layers.Layer, others: list[Any]
) -> Callable[[Any], Any]:
    return lambda tensor: lateral([tensor, *others])


def _check_depth(name: str, hidden: list[Any], sources: Sequence[Task]) -> None:
    for task in sources:
        if len(task.features) != len(hidden):
            raise ValueError(
                "The column of a new task must have as many hidden tensors as "
                f"the columns that it reads. Received: {len(hidden)} hidden "
                f"tensors of task {name!r}, {len(task.features)} of task "
                f"{task.name!r}. Choose the tasks to read with `lateral`, or "
                "`adapter=None`."
            )


def _call_head(head: Any, tensor: Any, name: str) -> Any:
    if not callable(head):
        raise TypeError(
            "Argument `head` must be a Keras layer or a function from the "
            f"last hidden tensor to the outputs. Received: head={head!r} of "
            f"type {type(head).__name__}"
        )
    outputs = head(tensor)
    flat = keras.tree.flatten(outputs)
    if not flat or not all(isinstance(one, keras.KerasTensor) for one in flat):
        raise ValueError(
            "Argument `head` must return a tensor, or a structure of tensors. "
            f"Received: {outputs!r} for task {name!r}"
        )
    return outputs
