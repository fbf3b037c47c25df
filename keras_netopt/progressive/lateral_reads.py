"""What the lateral connections of a task read, with their values."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.model_graph import has_graph, is_graph_model
from keras_netopt.graph.recorded_calls import list_calls
from keras_netopt.layers.frozen_column import FrozenColumn
from keras_netopt.layers.lateral_connection import LateralConnection
from keras_netopt.training.override_method import override_method

Change = Callable[[list[Any]], list[Any]]


@dataclass(frozen=True, eq=False)
class LateralRead:
    """One call of a lateral connection.

    Args:
        layer: The lateral connection.
        columns: Names of the columns that it reads: the own one, then the
            sources.
        tensors: The symbolic inputs, in the same order.
        output: The symbolic output.
    """

    layer: Any
    columns: tuple[str, ...]
    tensors: tuple[Any, ...]
    output: Any

    def channel_axis(self) -> int:
        """Returns the axis of the channels."""
        rank = len(self.tensors[0].shape)
        is_first = self.layer.data_format == "channels_first" and rank > 3
        return 1 if is_first else -1

    def scale_channels(self, values: np.ndarray) -> np.ndarray:
        """Returns the standard deviation of each channel, for broadcasting."""
        axis = self.channel_axis() % values.ndim
        others = tuple(a for a in range(values.ndim) if a != axis)
        return values.std(axis=others, keepdims=True)


def list_lateral_reads(model: Any) -> list[LateralRead]:
    """Lists the lateral connections of a task, from shallow to deep.

    Raises:
        TypeError: If `model` is no Keras model.
        ValueError: If it has no lateral connections.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "Argument `model` must be the Keras model of a task. "
            f"Received: model={model!r}"
        )
    calls = []
    if is_graph_model(model) and has_graph(model):
        calls = list(list_calls(model))
    makers = {id(one): call.operation for call in calls for one in call.outputs}
    found = [
        LateralRead(
            call.operation,
            (
                model.name,
                *(_name_source(makers[id(t)]) for t in call.input_tensors[1:]),
            ),
            call.input_tensors,
            call.output,
        )
        for call in calls
        if isinstance(call.operation, LateralConnection)
    ]
    if not found:
        raise ValueError(
            "Argument `model` must be a task with lateral connections, such "
            "as the second task of a `ProgressiveNetwork`, without "
            f"`adapter=None`. Received: model={model.name!r}"
        )
    return found


@contextmanager
def changed_inputs(
    reads: Sequence[LateralRead], changes: Sequence[Change]
) -> Iterator[None]:
    """Changes the inputs of lateral connections while the block runs."""
    undo = [
        override_method(one.layer, "call", _changed(one.layer.call, change))
        for one, change in zip(reads, changes, strict=True)
    ]
    try:
        yield
    finally:
        for remove in undo:
            remove()


def _changed(call: Any, change: Change) -> Callable[[Any], Any]:
    return lambda inputs: call(change(list(inputs)))


def _name_source(operation: Any) -> str:
    name = str(operation.name)
    if isinstance(operation, FrozenColumn):
        return name.removesuffix("_column")
    return name
