"""Models of the arms of `measure_transfer`."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import keras

from keras_netopt.graph.layers import walk_layers
from keras_netopt.layers.frozen_column import FrozenColumn
from keras_netopt.progressive.column_source import ModelSource
from keras_netopt.progressive.equal_width import find_factor, scale_widths
from keras_netopt.progressive.progressive_network import (
    NETWORK_ATTRIBUTE,
    ProgressiveNetwork,
    find_network,
)
from keras_netopt.progressive.task import TASK_ATTRIBUTE
from keras_netopt.progressive.transfer_report import (
    PROGRESSIVE,
    RANDOM,
    SCRATCH,
    TUNED,
    WIDE,
)
from keras_netopt.warnings import NotIntendedUseWarning

NEW = "new_task"
# Random columns have other weights than new columns of the same seed.
RANDOM_OFFSET = 10_007


class TransferArms:
    """Builds the model of each arm on a copy of a network.

    The copy is read from a temporary file, which a `with` block removes.

    Args:
        source: A `ProgressiveNetwork` with a trained task, or a trained
            model.
        head: As in `measure_transfer`.
    """

    def __init__(self, source: Any, head: Any) -> None:
        is_plain = isinstance(source, keras.Model) and not find_network(source)
        net = as_network(source)
        self.last = net[net.tasks[-1]]
        self._head = head
        self._factor: float | None = None
        self._folder = tempfile.TemporaryDirectory()
        self._path = os.path.join(self._folder.name, "network.keras")
        # A file holds no function, and no classes that are not registered.
        self._column = getattr(net._source, "function", None)
        self._classes = _own_classes(net)
        try:
            net.save(self._path)
        finally:
            if is_plain:
                _detach_network(source)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def build(self, arm: str, seed: int) -> Any:
        """Returns a new model, whose new weights depend on the seed alone.

        Raises:
            ValueError: If the head holds the layers of an earlier arm, or the
                column has no wider form.
        """
        with quiet_tasks(), keras.saving.custom_object_scope(self._classes):
            return self._build(arm, seed)

    def _build(self, arm: str, seed: int) -> Any:
        net = ProgressiveNetwork.load(self._path, self._column)
        if arm == WIDE:
            return self._build_wide(net, seed)
        keras.utils.set_random_seed(seed)
        if arm in (PROGRESSIVE, RANDOM):
            model = net.add_task(self._new_head(net), name=NEW)
            if arm == RANDOM:
                keras.utils.set_random_seed(seed + RANDOM_OFFSET)
                forget_columns(model)
            return model
        if arm == SCRATCH:
            return net.add_task(self._new_head(net), name=NEW, adapter=None)
        return read_last(net, self._new_head(net), is_trainable=arm == TUNED)

    def _build_wide(self, net: ProgressiveNetwork, seed: int) -> Any:
        head = self._new_head(net)
        if self._factor is None:
            target = net.add_task(head, name="target").count_params()
            net.add_task(self._new_head(net), name=NEW, adapter=None)
            self._factor = find_factor(
                lambda factor: widen_task(
                    net, NEW, self._new_head(net), factor
                ),
                target,
            )
        else:
            net.add_task(head, name=NEW, adapter=None)
        keras.utils.set_random_seed(seed)
        return widen_task(net, NEW, self._new_head(net), self._factor)

    def _new_head(self, net: ProgressiveNetwork) -> Any:
        if self._head is not None:
            return renew_head(self._head)
        first: Any = net._find(net.tasks[0])  # Finished, as it is from a file.
        return ModelSource(first.frozen.column, first.head).default_head(NEW)


@contextmanager
def quiet_tasks() -> Iterator[None]:
    """Leaves reports on large adapters to where a task is added for good."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotIntendedUseWarning)
        yield


def as_network(source: Any) -> ProgressiveNetwork:
    """Returns a network that holds the trained tasks of `source`.

    Raises:
        TypeError: If it is neither a network nor a model.
        ValueError: If the network has no task.
    """
    if isinstance(source, keras.Model):
        return find_network(source) or ProgressiveNetwork(source)
    if not isinstance(source, ProgressiveNetwork):
        raise TypeError(
            "Argument `source` must be a `ProgressiveNetwork` or a trained "
            f"Keras model. Received: source={source!r}"
        )
    if not len(source):
        raise ValueError(
            "Argument `source` must have a trained task. "
            "Received: source=a network without tasks"
        )
    return source


def _own_classes(net: ProgressiveNetwork) -> dict[str, type]:
    """Returns the classes of layers that are not of Keras, by their name."""
    found = {type(one) for name in net for one in walk_layers(net[name])}
    return {
        one.__name__: one
        for one in found
        if not one.__module__.startswith("keras.")
    }


def _detach_network(model: keras.Model) -> None:
    """Makes a model a task of no network again."""
    for name in (TASK_ATTRIBUTE, NETWORK_ATTRIBUTE):
        vars(model).pop(name, None)


def renew_head(head: Any) -> Any:
    """Returns a new layer like `head`, or the function that makes layers.

    Raises:
        TypeError: If `head` cannot be called.
    """
    if isinstance(head, keras.Model):
        return keras.models.clone_model(head)
    if isinstance(head, keras.Layer):
        return type(head).from_config(head.get_config())
    if not callable(head):
        raise TypeError(
            "Argument `head` must be a layer or a function from the last "
            f"hidden tensor to the outputs. Received: head={head!r}"
        )
    return head


def forget_columns(model: keras.Model) -> None:
    """Gives the frozen columns that a task reads new random weights."""
    for layer in model.layers:
        if isinstance(layer, FrozenColumn):
            fresh = keras.models.clone_model(layer.column)
            layer.column.set_weights(fresh.get_weights())


def widen_task(
    net: ProgressiveNetwork, name: str, head: Any, factor: float
) -> keras.Model:
    """Returns a single column with scaled widths and a head, from scratch."""
    column = scale_widths(net._find(name).column(), factor)
    inputs = keras.tree.flatten(net.inputs)
    hidden = column(inputs if len(inputs) > 1 else inputs[0])
    return keras.Model(net.inputs, head(keras.tree.flatten(hidden)[-1]))


def read_last(
    net: ProgressiveNetwork, head: Any, *, is_trainable: bool
) -> keras.Model:
    """Returns a new head on the last column, frozen or a trainable copy."""
    task = net._find(net.tasks[-1])
    if not is_trainable:
        return keras.Model(net.inputs, head(task.features[-1]))
    frozen: Any = task.frozen  # A task from a file is finished.
    trained = frozen.column
    column = keras.models.clone_model(trained)
    column.set_weights(trained.get_weights())
    # Keras skips the layers of a model whose own flag is set already.
    for layer in walk_layers(column):
        layer.trainable = True
    flat = list(task.inputs)
    hidden = column(flat if len(flat) > 1 else flat[0])
    return keras.Model(net.inputs, head(keras.tree.flatten(hidden)[-1]))
