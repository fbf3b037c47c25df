"""Progress & Compress: a sequence of tasks in a network of constant size."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.callbacks import ElasticWeightConsolidation
from keras_netopt.checks import check_bool, check_integer, check_positive
from keras_netopt.layers.lateral_connection import LateralConnection
from keras_netopt.progressive.build_task import LateralSettings, build_task
from keras_netopt.progressive.check_loss import check_loss_at_compile
from keras_netopt.progressive.check_trained import require_trained
from keras_netopt.progressive.column_source import (
    ColumnSource,
    FunctionSource,
    ModelSource,
    check_column,
    split_model,
)
from keras_netopt.progressive.continual_metrics import ContinualMetrics
from keras_netopt.progressive.distil import check_arrays, distil
from keras_netopt.progressive.knowledge_base import KnowledgeBase, known_flags
from keras_netopt.progressive.progress_compress_file import (
    load_knowledge,
    save_knowledge,
)
from keras_netopt.progressive.task import COMPRESSED, Task, refuse_training
from keras_netopt.progressive.task_name import check_task_name
from keras_netopt.progressive.task_scores import (
    evaluate_tasks,
    report_scores,
)
from keras_netopt.training.compiled_clone import compile_like


class ProgressCompress:
    """Learns tasks one after another with two columns of constant size.

    A new task is learned by the active column, which reads the hidden tensors
    of a frozen knowledge base through lateral connections (progress). Then
    the knowledge base learns to give the outputs of the active column, and
    elastic weight consolidation holds what it needs for earlier tasks
    (compress). Each task has a head of its own; the columns do not grow with
    the number of tasks. Some forgetting remains, other than in a
    `ProgressiveNetwork`: evaluate all tasks after each compress.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> def column(inputs):
    ...     h1 = keras.layers.Dense(16, "relu")(inputs)
    ...     return [h1, keras.layers.Dense(8, "relu")(h1)]
    >>> pc = netopt.progressive.ProgressCompress(column, keras.Input((4,)))
    >>> x, y = np.random.normal(size=(64, 4)), np.arange(64) % 2
    >>> for name, labels in (("first", y), ("second", 1 - y)):
    ...     active = pc.add_task(keras.layers.Dense(2), name=name)
    ...     active.compile(
    ...         "adam", keras.losses.SparseCategoricalCrossentropy(True),
    ...         metrics=["accuracy"])
    ...     _ = active.fit(x, labels, verbose=0)
    ...     _ = pc.compress(x, epochs=2, verbose=0)
    ...     scores = pc.evaluate({"first": (x, y), "second": (x, 1 - y)})
    >>> pc.tasks, list(scores)
    (['first', 'second'], ['first', 'second'])

    Args:
        column: A function `column(inputs)` that returns the list of its
            hidden tensors, shallow to deep. Or a built Keras model: the
            knowledge base begins as a copy of it, without its head. Layers
            that are not trainable stay fixed in the knowledge base, unless
            no weight of the model is trainable.
        inputs: `keras.Input`, or a structure of those, for a function.
            Defaults to `None`: the inputs of the model.
        hidden: Selector of the layers of a model whose outputs are hidden
            tensors. Defaults to `None`: found automatically.
        adapter: "mlp", "linear" or `None`: the active column does not read
            the knowledge base. Defaults to `"mlp"`.
        adapter_width: Output channels of the first layer of an MLP adapter.
            Defaults to `None`: those of the hidden tensor, at most 128.
        alpha_init: Initial scale of the knowledge base. Defaults to `0.3`.
        strength: Factor of the consolidation penalty. Defaults to `1e2`.
        gamma: Factor of the information of earlier tasks at each further
            compress, in [0, 1]. Defaults to `0.95`.
        fisher_samples: Number of examples for the information. Defaults to
            `200`.
        temperature: Temperature of the distillation. Defaults to `1.0`.
        reset: Whether the active column has new weights for each task, rather
            than those of the last one. Defaults to `True`.
        seed: Of the targets drawn for the information. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Reference:
        Schwarz et al., *Progress & Compress*, 2018, arXiv 1805.06370
    """

    def __init__(
        self,
        column: Callable[..., Any] | keras.Model,
        inputs: Any = None,
        *,
        hidden: Any = None,
        adapter: str | None = "mlp",
        adapter_width: int | None = None,
        alpha_init: float = 0.3,
        strength: float = 1e2,
        gamma: float = 0.95,
        fisher_samples: int = 200,
        temperature: float = 1.0,
        reset: bool = True,
        seed: int = 0,
    ) -> None:
        if adapter is not None:
            LateralConnection(adapter, adapter_width, alpha_init=alpha_init)
        check_positive(temperature, "temperature")
        check_bool(reset, "reset")
        self._settings: dict[str, Any] = {
            "adapter": adapter,
            "adapter_width": adapter_width,
            "alpha_init": alpha_init,
            "strength": strength,
            "gamma": gamma,
            "fisher_samples": fisher_samples,
            "temperature": temperature,
            "reset": reset,
            "seed": seed,
        }
        self._ewc = _make_consolidation(self._settings)
        self._source: ColumnSource
        check_column(column, inputs, hidden)
        if isinstance(column, keras.Model):
            inputs, tensors, _ = split_model(column, hidden)
            given = keras.Model(inputs, tensors)
            self._source = ModelSource(given)
            fresh = keras.tree.map_structure(
                lambda one: keras.Input(one.shape[1:], dtype=one.dtype), inputs
            )
            self._begin(fresh, known_flags(given))
            self._base.column.set_weights(given.get_weights())
            return
        self._source = FunctionSource(column)
        self._begin(inputs)

    def _begin(self, inputs: Any, flags: list[bool] | None = None) -> None:
        hidden = self._source.build("knowledge_base", inputs, 1.0)
        column = keras.Model(inputs, hidden, name="knowledge_base")
        self._adopt(KnowledgeBase(inputs, column, flags))

    def _adopt(self, base: KnowledgeBase) -> None:
        self._base = base
        self._features = base.as_task()
        self._active: Task | None = None
        self._last: Task | None = None
        self._last_weights: list[np.ndarray] | None = None
        self._scores: list[dict[str, float]] = []

    @property
    def tasks(self) -> list[str]:
        """The names of the compressed tasks, in order."""
        return list(self._base.models)

    def __getitem__(self, name: str) -> keras.Model:
        """The model of a task: the active column's until it is compressed."""
        if self._active is not None and self._active.name == name:
            return self._active.model
        if name not in self._base.models:
            raise ValueError(
                f"Argument `name` must be one of {self.tasks}. "
                f"Received: name={name!r}"
            )
        return self._base.models[name]

    def __contains__(self, name: object) -> bool:
        return name in self._base.models

    def __len__(self) -> int:
        return len(self._base.models)

    def add_task(self, head: Any, *, name: str | None = None) -> keras.Model:
        """Makes the active column ready for a new task.

        Args:
            head: A layer, or a function from the last hidden tensor to the
                outputs. It is used twice: a copy of the layer, or a second
                call of the function, is the head on the knowledge base.
            name: Name of the task. Defaults to `None`: "task1", "task2", ...

        Returns:
            The model to compile and fit: a plain `keras.Model`.
        """
        if self._active is not None:
            raise ValueError(
                f"Task {self._active.name!r} must be compressed before the "
                "next one is added: call `compress(x)` with its inputs. "
                f"Received: name={name!r}"
            )
        name = check_task_name(name, self._base.models)
        known = self._base.heads_for(head, name)
        hidden = self._source.build(name, self._base.inputs, 1.0)
        keys = ("adapter", "adapter_width", "alpha_init")
        settings = LateralSettings(**{k: self._settings[k] for k in keys})
        active = build_task(
            name, self._base.inputs, hidden, head, [self._features], settings
        )
        self._base.refuse_shared(active, known)
        if not self._settings["reset"] and self._last_weights is not None:
            active.column().set_weights(self._last_weights)
        self._active, self._pending = active, known
        check_loss_at_compile(active.model)
        return active.model

    def compress(
        self,
        x: Any,
        *,
        epochs: int = 10,
        batch_size: int = 32,
        optimizer: Any = "adam",
        callbacks: Sequence[Any] = (),
        verbose: Any = "auto",
    ) -> Any:
        """Distils the active column into the knowledge base.

        The loss is the divergence of the knowledge base's outputs from those
        of the active column, plus the penalty on the weights that earlier
        tasks need. Batch normalization of the knowledge base keeps the
        statistics and scales of the first task.

        Args:
            x: Inputs of the task: an array, or a list or dictionary of
                arrays. Targets are not needed.
            epochs: Number of epochs; about three times those of the active
                column. Defaults to `10`.
            batch_size: Samples per batch. Defaults to `32`.
            optimizer: As in `compile`; a new one is made for each call.
                Defaults to `"adam"`.
            callbacks: Further callbacks of the `fit` call. Defaults to none.
            verbose: As in `fit`. Defaults to `"auto"`.

        Returns:
            The history of the `fit` call.

        Raises:
            ValueError: If there is no task to compress, it is not compiled,
                or it is not clear what its outputs hold.
        """
        active = require_trained(self._active, self.tasks)
        check_integer(epochs, "epochs", minimum=1)
        check_integer(batch_size, "batch_size", minimum=1)
        check_arrays(x)
        model = self._pending
        history = distil(
            active.model,
            model,
            x,
            release=self._base.open,
            temperature=self._settings["temperature"],
            optimizer=optimizer,
            epochs=epochs,
            batch_size=batch_size,
            callbacks=[*([self._ewc] if self.tasks else ()), *callbacks],
            verbose=verbose,
        )
        # Also a loss and metrics that no configuration describes.
        compile_like(model, active.model)
        self._ewc.consolidate(model, x)
        self._finish(active, model)
        return history

    def evaluate(
        self,
        data: Mapping[str, Any],
        *,
        metric: str | None = None,
        batch_size: int = 256,
    ) -> dict[str, float]:
        """Evaluates every compressed task on the knowledge base.

        The values are the row of `report` for the last compressed task.

        Args:
            data: `(x, y)` by name of the task; tasks that were not compressed
                yet may be in it.
            metric: Name of a metric, as in `evaluate(return_dict=True)`.
                Defaults to `None`: the first one with "acc" in its name, or
                the only one beside the loss.
            batch_size: Samples per batch. Defaults to `256`.

        Returns:
            The value by name of the task.
        """
        found = evaluate_tasks(self._base.models, data, metric, batch_size)
        if found:
            self._scores[len(found) - 1 :] = [found]
        return found

    def report(self) -> ContinualMetrics:
        """Returns what `evaluate` found after each compress.

        Raises:
            ValueError: If `evaluate` was not called after each compress.
        """
        return report_scores(self._scores)

    def count_params(self) -> dict[str, int]:
        """Counts the parameters of both columns and of all heads.

        Returns:
            "knowledge_base" and "active", which do not depend on the number
            of tasks, and "heads".
        """
        active = self._active or self._last
        return {
            "knowledge_base": self._base.column.count_params(),
            "active": active.column().count_params() if active else 0,
            "heads": self._base.count_heads(),
        }

    def save(self, path: Any) -> None:
        """Writes the knowledge base, all heads and what consolidation holds.

        Args:
            path: Path that ends in ".keras". `keras.saving.load_model` reads
                the file as a model with one output per task.
        """
        if self._active is not None or not self.tasks:
            raise ValueError(
                "All tasks must be compressed before the network is saved: "
                f"call `compress(x)`. Received: compressed tasks {self.tasks}"
                f", active model {self._active and self._active.model!r}"
            )
        save_knowledge(
            self._base,
            self._ewc,
            path,
            {"settings": self._settings, "scores": self._scores},
            self._last_weights or [],
        )

    @classmethod
    def load(
        cls,
        path: Any,
        column: Callable[..., Any] | None = None,
        *,
        custom_objects: Any = None,
    ) -> "ProgressCompress":
        """Reads what `save` wrote; more tasks can be added.

        Args:
            path: File that `save` wrote.
            column: Function for active columns. Defaults to `None`: they have
                the structure of the knowledge base.
            custom_objects: As in `keras.saving.load_model`.
        """
        loaded = load_knowledge(path, custom_objects)
        base, state, weights, load_anchors = loaded
        pc = cls.__new__(cls)
        pc._settings = state["settings"]
        pc._ewc = _make_consolidation(pc._settings)
        load_anchors(pc._ewc)
        pc._source = ModelSource(base.column)
        if column is not None:
            pc._source = FunctionSource(column)
        pc._adopt(base)
        pc._scores = state["scores"]
        pc._last_weights = weights or None
        return pc

    def _finish(self, active: Task, model: keras.Model) -> None:
        self._base.close()
        self._base.add(active.name, model)
        refuse_training(model, active.name)
        refuse_training(active.model, active.name, COMPRESSED)
        if not self._settings["reset"]:
            self._last_weights = active.column().get_weights()
        self._active, self._last = None, active


def _make_consolidation(settings: dict[str, Any]) -> ElasticWeightConsolidation:
    names = ("strength", "gamma", "fisher_samples", "seed")
    return ElasticWeightConsolidation(**{one: settings[one] for one in names})
