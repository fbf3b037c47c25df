"""Makes a plain model of one task of a progressive network."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.call_flat import call_flat
from keras_netopt.graph.model_graph import has_mask, is_graph_model
from keras_netopt.layers.frozen_column import FrozenColumn
from keras_netopt.layers.lateral_connection import LateralConnection
from keras_netopt.progressive.column_source import copy_operation
from keras_netopt.progressive.task import Task, find_task
from keras_netopt.surgery import check_preserved, snapshot
from keras_netopt.training.compiled_clone import compile_like


def export_task(model: keras.Model, x: Any = None) -> keras.Model:
    """Returns a plain Functional model of one task, with weights of its own.

    The model holds the layers that the outputs of the task need and no
    others: no wrapper, no head of another task, no column that nothing reads.
    Lateral connections become dense layers, with the scales in their kernels,
    so that a file of the model opens without this package. (With masks, and
    with channels first, the connection stays one layer.) The network does not
    change. Prune adapters first for a smaller model.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> first = keras.Sequential([
    ...     keras.Input((4,)), keras.layers.Dense(16, "relu", name="one"),
    ...     keras.layers.Dense(8, "relu", name="two"), keras.layers.Dense(1)])
    >>> second = netopt.progressive.next_task(first)
    >>> exported = netopt.progressive.export_task(second)
    >>> exported.count_params() < second.count_params()  # scales are gone
    True
    >>> sorted({type(layer).__name__ for layer in exported.layers})
    ['Add', 'Dense', 'InputLayer']

    Args:
        model: The model of a task, finished or not.
        x: Inputs on which the outputs are compared, as arrays. Defaults to
            `None`: standard normal numbers, if all inputs are float tensors
            of fixed shape; else nothing is compared.

    Returns:
        The model, compiled like the task if that is compiled.

    Raises:
        TypeError: If `model` is not a Keras model.
        ValueError: If `model` is not a task, or the outputs of both models
            differ by more than 1e-5 of the largest.

    Reference:
        Rusu et al., *Progressive Neural Networks*, 2016, arXiv 1606.04671
    """
    return export_model(find_task(model), x)


def export_model(task: Task, x: Any = None) -> keras.Model:
    """Does the work of `export_task`."""
    model = task.model
    inputs = keras.tree.map_structure(
        lambda one: keras.Input(
            batch_shape=one.shape, dtype=one.dtype, name=one.name
        ),
        model.input if is_graph_model(model) else task.inputs,
    )
    copies = _Copies()
    if is_graph_model(model):
        outputs = call_flat(model, inputs, replace=copies.replace)
    else:
        hidden = call_flat(task.column(), inputs, replace=copies.replace)
        last = keras.tree.flatten(hidden)[-1]
        outputs = call_flat(task.head, last, replace=copies.replace)
    exported = keras.Model(inputs, outputs, name=model.name)
    copies.copy_weights()
    before = snapshot(model, x)
    if before is not None:
        difference = check_preserved(before, exported)
        if difference.verdict != "exact":
            raise ValueError(
                "The exported model must compute what the task computes. "
                f"Received: task {task.name!r}, {difference}. A layer keeps "
                "values that are not in its weights or its config."
            )
    if getattr(model, "compiled", False):
        compile_like(exported, model)
    return exported


class _Copies:
    """Copies of layers, each made once, with names that differ."""

    def __init__(self) -> None:
        self._copies: dict[int, tuple[Any, Any]] = {}
        self._names: set[str] = set()

    def replace(self, operation: Any, prefix: str = "") -> Callable[..., Any]:
        """Returns what is called in the place of a layer or op."""
        if isinstance(operation, FrozenColumn):
            return lambda inputs: self._open(operation, inputs)
        if isinstance(operation, LateralConnection):
            return lambda inputs: self._connect(operation, inputs)
        if id(operation) not in self._copies:
            name = self._unused(operation.name, prefix)
            copy = copy_operation(operation, name)
            self._copies[id(operation)] = operation, copy
        return self._copies[id(operation)][1]

    def copy_weights(self) -> None:
        """Gives the copies the weights, once all are built."""
        for old, new in self._copies.values():
            if isinstance(new, keras.Layer) and new is not old:
                new.set_weights(old.get_weights())
                # What preprocessing layers derive from their weights.
                getattr(new, "finalize_state", lambda: None)()

    def _open(self, frozen: FrozenColumn, inputs: Any) -> Any:
        column = frozen.column
        given = keras.tree.pack_sequence_as(
            column.input, keras.tree.flatten(inputs)
        )
        prefix = f"{frozen.name.removesuffix('_column')}_"
        hidden = call_flat(
            column, given, replace=lambda one: self.replace(one, prefix)
        )
        return keras.tree.flatten(hidden)

    def _connect(self, layer: LateralConnection, inputs: list[Any]) -> Any:
        hidden, *sources = inputs
        channels_first = layer.data_format == "channels_first"
        if has_mask(hidden) or (channels_first and len(hidden.shape) > 3):
            kept = copy_operation(layer, self._unused(layer.name, ""))
            self._copies[id(layer)] = layer, kept
            return kept(inputs)
        x = sources[0]
        if len(sources) > 1:
            join = keras.layers.Concatenate(name=self._part(layer, "join"))
            x = join(sources)
        scales: Any = np.repeat(
            keras.ops.convert_to_numpy(layer.alpha),
            [one.shape[-1] for one in sources],
        )
        for part in (layer.reduce, layer.expand):
            if part is not None:
                dense = keras.layers.Dense(
                    part.units,
                    activation=part.activation,
                    dtype=part.dtype_policy,
                    name=self._part(layer, part.name),
                )
                x = dense(x)
                kernel, bias = part.get_weights()
                if scales is not None:
                    kernel, scales = kernel * scales[:, None], None
                dense.set_weights([kernel, bias])
        return keras.layers.Add(name=self._part(layer, "add"))([hidden, x])

    def _part(self, layer: Any, part: str) -> str:
        return self._unused(f"{layer.name}_{part}", "")

    def _unused(self, name: str, prefix: str) -> str:
        free = name if name not in self._names else f"{prefix}{name}"
        number = 1
        while free in self._names:
            free = f"{prefix}{name}_{number}"
            number += 1
        self._names.add(free)
        return free
