"""Where the columns of a progressive network come from."""

import inspect
from collections.abc import Callable
from typing import Any, Protocol

import keras

from keras_netopt.graph.call_flat import call_flat
from keras_netopt.graph.layers import walk_layers
from keras_netopt.graph.make_submodel import make_submodel
from keras_netopt.graph.model_graph import (
    as_graph,
    has_graph,
    is_graph_model,
)
from keras_netopt.graph.recorded_calls import list_calls
from keras_netopt.graph.symbolic import input_specs
from keras_netopt.layers.frozen_column import FrozenColumn
from keras_netopt.layers.lateral_connection import LateralConnection
from keras_netopt.progressive.hidden_tensors import find_hidden
from keras_netopt.surgery import prune_channels

ColumnFunction = Callable[..., Any]


class ColumnSource(Protocol):
    """Builds columns of one structure with new weights."""

    def build(self, name: str, inputs: Any, width: float) -> list[Any]:
        """Returns the hidden tensors of a new column."""

    def default_head(self, name: str) -> Any:
        """Returns the head of the model, with new weights, or `None`."""


def check_column(column: Any, inputs: Any, hidden: Any) -> None:
    """Checks the arguments that say what a column is."""
    is_model = isinstance(column, keras.Model)
    if not is_model and not callable(column):
        raise TypeError(
            "Argument `column` must be a Keras model or a function that "
            f"returns hidden tensors. Received: column={column!r} of type "
            f"{type(column).__name__}"
        )
    if is_model and inputs is not None:
        raise ValueError(
            "Argument `inputs` must be None for a `column` that is a model. "
            f"Received: inputs={inputs!r}"
        )
    if is_model:
        return
    if hidden is not None:
        raise ValueError(
            "Argument `hidden` must be None for a function. "
            f"Received: hidden={hidden!r}"
        )
    flat = keras.tree.flatten(inputs)
    if not flat or not all(isinstance(t, keras.KerasTensor) for t in flat):
        raise TypeError(
            "Argument `inputs` must be `keras.Input(shape)`, or a list or "
            f"dictionary of those. Received: inputs={inputs!r}"
        )


class FunctionSource:
    """Columns from a function of the user."""

    def __init__(self, function: ColumnFunction) -> None:
        self.function = function
        parameters = inspect.signature(function).parameters.values()
        self._takes_width = any(
            one.name == "width" or one.kind is one.VAR_KEYWORD
            for one in parameters
        )

    def build(self, name: str, inputs: Any, width: float) -> list[Any]:
        """Returns the hidden tensors of a new column."""
        if width != 1.0 and not self._takes_width:
            raise ValueError(
                "Argument `width` must be 1.0 for a `column` function without "
                f"an argument of that name. Received: width={width!r}. Write "
                "the function as `column(inputs, width=1.0)`."
            )
        options = {"width": width} if self._takes_width else {}
        try:
            hidden = self.function(inputs, **options)
        except Exception as error:
            raise ValueError(
                "Argument `column` must be a function of the inputs: the call "
                f"failed with {type(error).__name__}: {error}. "
                f"Received: column={self.function!r}"
            ) from error
        if isinstance(hidden, keras.KerasTensor):
            hidden = [hidden]
        if (
            not isinstance(hidden, list | tuple)
            or not hidden
            or not all(isinstance(one, keras.KerasTensor) for one in hidden)
        ):
            raise ValueError(
                "Argument `column` must be a function that returns the list "
                "of its hidden tensors, from shallow to deep. "
                f"Received: column={self.function!r}, which returns {hidden!r}"
            )
        return list(hidden)

    def default_head(self, name: str) -> Any:
        """A function has no head."""
        return None


class ModelSource:
    """Columns with the structure of a Functional model of hidden tensors.

    `column` has the hidden tensors as outputs; `head`, if it is known, maps
    the last of them to the outputs of the task.
    """

    def __init__(
        self, column: keras.Model, head: keras.Model | None = None
    ) -> None:
        self.column = column
        self.head = head
        self._copies: dict[int, Any] = {}

    def build(self, name: str, inputs: Any, width: float) -> list[Any]:
        """Returns the hidden tensors of a clone with new weights."""
        column = self.column
        if width != 1.0:
            column = _scale_width(column, width)
        self._copies = {}
        hidden = _call_fresh(
            column, _like(column, inputs), f"{name}_", self._copies
        )
        return keras.tree.flatten(hidden)

    def default_head(self, name: str) -> Any:
        """Returns a function that calls new copies of the head's layers."""
        if self.head is None:
            return None
        head = self.head
        # A layer may be in both: embeddings that are the output layer, too.
        return lambda tensor: _call_fresh(
            head, tensor, f"{name}_", self._copies
        )


def split_model(
    model: keras.Model, hidden: Any
) -> tuple[Any, list[Any], keras.Model]:
    """Returns inputs, hidden tensors and a flat graph of a finished model.

    The graph shares the layers of the model. A graph model without nested
    models is used as it is.
    """
    graph = open_model(model)
    return graph.input, find_hidden(graph, hidden), graph


def open_model(model: keras.Model) -> keras.Model:
    """Returns a flat Functional model with the layers of a model."""
    parts = [
        layer.name
        for layer in walk_layers(model)
        if isinstance(layer, FrozenColumn | LateralConnection)
    ]
    if parts:
        raise ValueError(
            "Argument `column` must be a model of one column. Received: "
            f"column={model.name!r} with {parts[0]!r} of earlier tasks. Save "
            "the network with `ProgressiveNetwork.save`, and `load` it, to add "
            "tasks in another process."
        )
    is_graph = is_graph_model(model) and has_graph(model)
    if is_graph and not any(
        is_graph_model(call.operation) for call in list_calls(model)
    ):
        return as_graph(model)
    if is_graph:
        inputs = as_graph(model).input
    else:
        inputs = keras.tree.map_structure(
            lambda one: keras.Input(batch_shape=one.shape, dtype=one.dtype),
            input_specs(model)[0],
        )
    try:
        outputs = call_flat(model, inputs)
        opened = keras.Model(inputs, outputs)
    except Exception as error:
        raise ValueError(
            "Argument `column` must be a model whose `call` consists of Keras "
            f"layers and operations. Received: column={model.name!r} of class "
            f"{type(model).__name__}, which cannot be traced: {error}. Hand "
            "over a function that returns the list of hidden tensors instead."
        ) from error
    missing = {v.path for v in model.weights} - {v.path for v in opened.weights}
    if len(opened.weights) != len(model.weights):
        raise ValueError(
            "Argument `column` must be a model all of whose weights belong to "
            f"layers that its `call` uses. Received: column={model.name!r} "
            f"with the weights {sorted(missing)}, which a column would not "
            "hold. Hand over a function that returns the list of hidden "
            "tensors instead."
        )
    return opened


def _call_fresh(
    model: keras.Model,
    inputs: Any,
    prefix: str = "",
    copies: dict[int, Any] | None = None,
) -> Any:
    """Calls copies of the layers of a model that have new weights.

    `prefix` stands before the names of the copies: in a new process, automatic
    names may repeat those in a file. `copies` holds copies by the id of their
    layer, which are used again, and receives new ones.
    """
    fresh = {} if copies is None else copies

    def renew(operation: Any) -> Any:
        if id(operation) not in fresh:
            taken = {copy.name for copy in fresh.values()}
            name = f"{prefix}{operation.name}"
            if name in taken:
                # Nested models may have layers of one name.
                name = f"{name}_{len(taken)}"
            fresh[id(operation)] = copy_operation(operation, name)
        return fresh[id(operation)]

    return call_flat(model, inputs, replace=renew)


def copy_operation(operation: Any, name: str) -> Any:
    """Returns a layer or op of the same config, trainable, not built."""
    try:
        config = operation.get_config()
    except NotImplementedError:
        if isinstance(operation, keras.Layer):
            raise
        return operation
    copy = type(operation).from_config({**config, "name": name})
    if isinstance(copy, keras.Layer):
        copy.trainable = True
    return copy


def _like(model: keras.Model, inputs: Any) -> Any:
    flat = keras.tree.flatten(inputs)
    return keras.tree.pack_sequence_as(model.input, flat)


def _scale_width(column: keras.Model, width: float) -> keras.Model:
    """Returns a narrower model of hidden tensors; its weights do not matter."""
    if width > 1.0:
        raise ValueError(
            "Argument `width` must be in (0, 1] for columns with the "
            f"structure of a model. Received: width={width!r}. Hand over a "
            "function `column(inputs, width=1.0)` for wider columns."
        )
    inputs = keras.tree.map_structure(
        lambda one: keras.Input(batch_shape=one.shape, dtype=one.dtype),
        column.input,
    )
    hidden = keras.tree.flatten(_call_fresh(column, inputs))
    # Channels that reach an output stay: a layer after each hidden tensor.
    ends = [keras.layers.Dense(1)(one) for one in hidden]
    model = keras.Model(inputs, ends)
    prune_channels(
        model, 1.0 - width, score="random", min_channels=1, include="."
    )
    calls = {id(call.output): call for call in list_calls(model)}
    return make_submodel(
        keras.tree.flatten(model.input),
        [calls[id(one)].input_tensors[0] for one in model.outputs],
    )
