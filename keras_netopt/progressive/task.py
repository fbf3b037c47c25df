"""One task of a progressive network."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.make_submodel import make_submodel
from keras_netopt.layers.frozen_column import FrozenColumn
from keras_netopt.training.backend import keep_rounding, without_gradients
from keras_netopt.training.override_method import override_method
from keras_netopt.training.trainable_flags import FlagMemory

Undo = Callable[[], None]

COMPRESSED = "`compress` has distilled it into the knowledge base"
_FROZEN = "later tasks read its column, which must not change"
TASK_ATTRIBUTE = "_netopt_progressive_task"


@dataclass(eq=False)
class Task:
    """A task: its model, its hidden tensors and, once finished, its column.

    Args:
        name: Name of the task.
        model: The model that the user trains and calls.
        hidden: Hidden tensors in the graph of the task, after the lateral
            connections; the head reads the last one.
        head: Model from the last hidden tensor to the outputs.
        inputs: The inputs of the column: those of the network and, flat, the
            hidden tensors of earlier columns that it reads.
        laterals: The lateral connections.
        frozen: The finished column. Defaults to `None`.
        features: Outputs of `frozen` on the inputs of the network.
        fingerprint: Hash of each variable when the column was frozen.
        probe_outputs: Outputs on the probe inputs at that time, or `None`.
        cached: Models that share the layers and read cached features.
    """

    name: str
    model: keras.Model
    hidden: list[Any]
    head: keras.Model
    inputs: list[Any]
    laterals: list[keras.layers.Layer] = field(default_factory=list)
    frozen: FrozenColumn | None = None
    features: list[Any] = field(default_factory=list)
    fingerprint: dict[str, str] = field(default_factory=dict)
    probe_outputs: list[np.ndarray] | None = None
    cached: list[keras.Model] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Keras does not track what is set this way.
        object.__setattr__(self.model, TASK_ATTRIBUTE, self)

    @property
    def is_finished(self) -> bool:
        """Whether the column is fixed, because a later task may read it."""
        return bool(self.fingerprint)

    @property
    def variables(self) -> list[tuple[str, Any]]:
        """Names and variables of the column and the head, random states apart.

        A name is the path of the variable with its number, because paths
        repeat.
        """
        held = [] if self.frozen is None else self.frozen.weights
        return [
            (f"{number}:{variable.path}", variable)
            for number, variable in enumerate([*held, *self.head.weights])
        ]

    @property
    def finished_column(self) -> Any:
        """The column of a finished task."""
        return None if self.frozen is None else self.frozen.column

    def column(self) -> keras.Model:
        """Returns the model from `inputs` to the hidden tensors."""
        return make_submodel(self.inputs, self.hidden)

    def freeze(self, probe: Any = None) -> Undo:
        """Makes the column and the head fixed, and records what they are.

        Args:
            probe: Inputs on which the outputs are recorded. Defaults to
                `None`: none.

        Returns:
            A function that makes the task trainable again.
        """
        before = dict(vars(self))
        if probe is not None and self.probe_outputs is None:
            self.probe_outputs = self.run(probe)
        flags = FlagMemory([self.model, self.head])
        if self.frozen is None:
            self.frozen = FrozenColumn(
                self.column(), name=f"{self.name}_column"
            )
            self.features = self.frozen(self.inputs)
        self.head.trainable = False
        keep_rounding(self.head)
        self.fingerprint = {n: hash_value(v) for n, v in self.variables}
        allow = [
            refuse_training(model, self.name)
            for model in (self.model, *self.cached)
        ]

        def undo() -> None:
            vars(self).update(before)
            flags.restore()
            for permit in allow:
                permit()

        return undo

    def run(self, x: Any) -> list[np.ndarray]:
        """Returns the flat outputs of the task on some inputs."""
        with without_gradients():
            outputs = self.model(x, training=False)
        return [
            keras.ops.convert_to_numpy(one)
            for one in keras.tree.flatten(outputs)
        ]


def find_task(model: Any) -> Task:
    """Returns the task that a model is."""
    task: Task | None = getattr(model, "__dict__", {}).get(TASK_ATTRIBUTE)
    if task is None:
        raise ValueError(
            "Argument `model` must be the model of a task of a progressive "
            f"network, as `add_task` and `next_task` return it. "
            f"Received: model={model!r}"
        )
    return task


def hash_value(variable: Any) -> str:
    """Returns a hash of the value of a variable, bit for bit."""
    value = keras.ops.convert_to_numpy(variable)
    return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()


def refuse_training(
    model: keras.Model, name: str, reason: str = _FROZEN
) -> Undo:
    """Makes `fit` and `train_on_batch` of a finished task raise.

    Returns a function that allows them again.
    """

    def refuse(force: bool = False) -> None:
        raise ValueError(
            f"Task {name!r} is finished: {reason}. Received: a training step "
            f"of model {model.name!r}. Add a new task with `add_task` to "
            "learn more."
        )

    # A step that was compiled before would train the frozen weights.
    model.train_function = None
    if "make_train_function" in vars(model):
        return lambda: None
    return override_method(model, "make_train_function", refuse)
