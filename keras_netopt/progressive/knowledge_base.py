"""The column that holds what all compressed tasks need, and their heads."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_netopt.graph.layers import walk_layers
from keras_netopt.layers.frozen_column import FrozenColumn
from keras_netopt.progressive.task import Task
from keras_netopt.training.trainable_flags import FlagMemory


class KnowledgeBase:
    """A column, and the model of each compressed task on it.

    Args:
        inputs: Structure of the inputs.
        column: Model from the inputs to the hidden tensors. Its layers that
            are not trainable now stay so.
        flags: Whether each layer is trainable, in the order of
            `walk_layers`. Defaults to `None`: as the layers are.
    """

    def __init__(
        self,
        inputs: Any,
        column: keras.Model,
        flags: Sequence[bool] | None = None,
    ) -> None:
        self.inputs = inputs
        self.column = column
        if flags is not None:
            layers = list(walk_layers(column))
            for layer, flag in zip(layers, flags, strict=True):
                layer.trainable = flag
        self._memory = FlagMemory([column])
        self.models: dict[str, keras.Model] = {}
        self._heads: dict[str, keras.Model] = {}

    @property
    def flags(self) -> list[bool]:
        """Whether each layer of the column was trainable when it was made."""
        return self._memory.flags

    def as_task(self) -> Task:
        """Returns the column as a finished task that active columns read."""
        frozen = FrozenColumn(self.column, name="knowledge_base_frozen")
        return Task(
            name="knowledge_base",
            model=self.column,
            hidden=[],
            head=self.column,
            inputs=[],
            frozen=frozen,
            features=keras.tree.flatten(frozen(self.inputs)),
        )

    def open(self) -> None:
        """Makes trainable what was, apart from known statistics."""
        self._memory.restore()
        if self.models:
            for layer in walk_layers(self.column):
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.trainable = False

    def close(self) -> None:
        """Fixes the column."""
        self._memory.freeze()

    def heads_for(self, head: Any, name: str) -> keras.Model:
        """Returns the model of a new task on the knowledge base.

        Args:
            head: A layer, which is copied, or a function.
            name: Name of the task.
        """
        if not callable(head):
            raise TypeError(
                "Argument `head` must be a Keras layer or a function from the "
                f"last hidden tensor to the outputs. Received: head={head!r} "
                f"of type {type(head).__name__}"
            )
        last = keras.tree.flatten(self.column.output)[-1]
        tensor = keras.Input(last.shape[1:], dtype=last.dtype)
        outputs = (_copy(head) if _is_layer(head) else head)(tensor)
        flat = keras.tree.flatten(outputs)
        if not flat or not all(
            isinstance(one, keras.KerasTensor) for one in flat
        ):
            raise ValueError(
                "Argument `head` must return a tensor, or a structure of "
                f"tensors. Received: {outputs!r} for task {name!r}"
            )
        made = keras.Model(tensor, outputs, name=f"{name}_head")
        self._heads[name] = made
        return self.build_model(name, made)

    def build_model(self, name: str, head: keras.Model) -> keras.Model:
        """Returns the model of a task: the column, then its head."""
        self._heads[name] = head
        hidden = keras.tree.flatten(self.column(self.inputs))
        return keras.Model(self.inputs, head(hidden[-1]), name=name)

    def add(self, name: str, model: keras.Model) -> None:
        """Adds the model of a compressed task; its head is fixed."""
        self._heads[name].trainable = False
        self.models[name] = model

    def head(self, name: str) -> keras.Model:
        """Returns the head of a task."""
        return self._heads[name]

    def count_heads(self) -> int:
        """Counts the parameters of all heads of compressed tasks."""
        return sum(self._heads[name].count_params() for name in self.models)

    def refuse_shared(self, active: Task, model: keras.Model) -> None:
        """Raises an error if the columns or heads share a weight."""
        own = {id(v) for v in model.weights}
        column = active.column()
        read = {id(v) for v in self.column.weights}
        shared = [
            v.path
            for v in (*column.weights, *active.head.weights)
            if id(v) in own | read
        ]
        if shared:
            raise ValueError(
                "The active column and the knowledge base must have weights "
                f"of their own. Received: task {active.name!r} with the "
                f"shared weight {shared[0]!r}. Create the layers inside the "
                "functions `column` and `head`."
            )


def known_flags(given: keras.Model) -> list[bool] | None:
    """Returns the flags for a copy of a model: `None` if all is frozen."""
    if not given.trainable_weights:
        return None
    return [layer.trainable for layer in walk_layers(given)]


def _is_layer(head: Any) -> bool:
    return isinstance(head, keras.Layer)


def _copy(head: keras.Layer) -> keras.Layer:
    """Returns the layer with new weights."""
    if isinstance(head, keras.Model):
        return keras.models.clone_model(head)
    return type(head).from_config(head.get_config())
