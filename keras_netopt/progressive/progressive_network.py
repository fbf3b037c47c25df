"""Progressive networks: one column per task."""

from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_netopt.checks import check_choice, check_positive
from keras_netopt.graph.make_submodel import make_submodel
from keras_netopt.layers.lateral_connection import LateralConnection
from keras_netopt.progressive.build_task import LateralSettings, build_task
from keras_netopt.progressive.check_loss import check_loss_at_compile
from keras_netopt.progressive.check_new_task import check_new_task
from keras_netopt.progressive.column_source import (
    ColumnSource,
    FunctionSource,
    ModelSource,
    check_column,
    split_model,
)
from keras_netopt.progressive.forgetting_report import (
    ForgettingReport,
    check_task,
)
from keras_netopt.progressive.network_file import load_network, save_network
from keras_netopt.progressive.task import Task
from keras_netopt.progressive.task_costs import NetworkCosts, measure_task
from keras_netopt.progressive.task_methods import TaskMethods
from keras_netopt.progressive.task_name import check_task_name
from keras_netopt.training.compiled_clone import compile_like

_UNSET: Any = object()
NETWORK_ATTRIBUTE = "_netopt_progressive_network"


class ProgressiveNetwork(TaskMethods):
    """One column per task; later columns read earlier ones, which never change.

    Each task is a plain Functional model: compile it, call `fit`, `evaluate`,
    save and export it as usual. A new task gets a column with new weights and
    a head of its own. Its hidden tensors receive the features of earlier
    columns through `layers.LateralConnection`; earlier columns are
    `layers.FrozenColumn`: inference mode, no gradients, no updates. What a
    finished task computes does not change by a bit.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> def column(inputs, width=1.0):
    ...     h1 = keras.layers.Dense(int(16 * width), "relu")(inputs)
    ...     return [h1, keras.layers.Dense(int(8 * width), "relu")(h1)]
    >>> net = netopt.progressive.ProgressiveNetwork(column, keras.Input((4,)))
    >>> x, y = np.random.normal(size=(64, 4)), np.arange(64) % 2
    >>> first = net.add_task(keras.layers.Dense(2), name="first")
    >>> first.compile("adam", keras.losses.SparseCategoricalCrossentropy(True))
    >>> history = first.fit(x, y, verbose=0)
    >>> second = net.add_task(keras.layers.Dense(2), name="second", width=0.5)
    >>> second.compile("adam", keras.losses.SparseCategoricalCrossentropy(True))
    >>> history = second.fit(x, 1 - y, verbose=0)
    >>> net.tasks, net.check_forgetting().passed
    (['first', 'second'], True)

    Args:
        column: A function `column(inputs)`, or `column(inputs, width)`, that
            returns the list of its hidden tensors, shallow to deep. Or a built
            Keras model, trained or not: it is the first task itself, with its
            head and weights, and new columns have its structure.
        inputs: `keras.Input`, or a structure of those, for a function.
            Defaults to `None`: the inputs of the model.
        hidden: Selector of the layers of the model whose outputs are hidden
            tensors. Defaults to `None`: the output of each block of layers
            that is the only connection to the next one.
        adapter: "mlp", "linear" or `None`: columns without lateral
            connections. Defaults to `"mlp"`.
        adapter_width: Output channels of the first layer of an MLP adapter.
            Defaults to `None`: the channels of the hidden tensor, at most 128.
        lateral: Which columns a new one reads: "all", "previous" or a list of
            task names. Defaults to `"all"`.
        alpha_init: Initial scale of each source. 1.0 gains more on a task
            that is close to an earlier one and costs up to 1.3 % on one that
            is not; .01 needs thousands of steps. Defaults to `0.3`.
        first_task: Name of the first task, for a model. Defaults to
            `"task1"`.
        probe: A few inputs on which the outputs of each finished task are
            recorded, for `check_forgetting`. Defaults to `None`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, a task has the name of
            another one, or its column does not fit the others.

    Reference:
        Rusu et al., *Progressive Neural Networks*, 2016, arXiv 1606.04671
    """

    def __init__(
        self,
        column: Callable[..., Any] | keras.Model,
        inputs: Any = None,
        *,
        hidden: Any = None,
        adapter: str | None = "mlp",
        adapter_width: int | None = None,
        lateral: Any = "all",
        alpha_init: float = 0.3,
        first_task: str = "task1",
        probe: Any = None,
    ) -> None:
        self._settings = {
            "adapter": adapter,
            "adapter_width": adapter_width,
            "lateral": lateral,
            "alpha_init": alpha_init,
        }
        _check_adapter(adapter, adapter_width, alpha_init)
        self._probe = probe
        self._tasks: dict[str, Task] = {}
        self._source: ColumnSource
        check_column(column, inputs, hidden)
        if isinstance(column, keras.Model):
            self._adopt(column, hidden, first_task)
            return
        self.inputs = inputs
        self._source = FunctionSource(column)

    @property
    def tasks(self) -> list[str]:
        """The names of the tasks, in order."""
        return list(self._tasks)

    def __getitem__(self, name: str) -> keras.Model:
        return self._find(name).model

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def add_task(
        self,
        head: Any = None,
        *,
        name: str | None = None,
        width: float = 1.0,
        adapter: Any = _UNSET,
        adapter_width: Any = _UNSET,
        lateral: Any = _UNSET,
        alpha_init: Any = _UNSET,
        compiled: keras.Model | None = None,
    ) -> keras.Model:
        """Adds a column and a head, and freezes all earlier tasks.

        Args:
            head: A layer, or a function from the last hidden tensor to the
                outputs. Defaults to `None`: for columns from a model, new
                copies of the layers of its head.
            name: Name of the task and its model. Defaults to `None`: "task1",
                "task2", ...
            width: Factor of the widths of the column, above 0: the argument
                `width` of the function, or for a model, up to 1, the share of
                channels that are kept. Defaults to `1.0`.
            adapter: As in the constructor, for this task. Defaults to the
                value there; likewise `adapter_width`, `lateral` and
                `alpha_init`.
            compiled: A compiled model; the task is compiled with the same
                arguments. Defaults to `None`: it is not compiled.

        Returns:
            The model of the task. After an error earlier tasks train on.
        """
        name = check_task_name(name, self._tasks)
        check_positive(width, "width")
        given = {
            "adapter": adapter,
            "adapter_width": adapter_width,
            "lateral": lateral,
            "alpha_init": alpha_init,
        }
        settings = {
            key: self._settings[key] if value is _UNSET else value
            for key, value in given.items()
        }
        _check_adapter(
            settings["adapter"],
            settings["adapter_width"],
            settings["alpha_init"],
        )
        if lateral is _UNSET and isinstance(settings["lateral"], list):
            settings["lateral"] = [n for n in settings["lateral"] if n in self]
        sources = self._select_sources(settings.pop("lateral"))
        if head is None:
            head = self._source.default_head(name)
        if head is None:
            raise ValueError(
                "Argument `head` must be given for columns from a function. "
                "Received: head=None. Pass a layer, such as "
                "`keras.layers.Dense(10)`."
            )
        undo = [
            task.freeze(self._probe)
            for task in self._tasks.values()
            if not task.is_finished
        ]
        try:
            hidden = self._source.build(name, self.inputs, width)
            laterals = LateralSettings(**settings)
            task = build_task(
                name, self.inputs, hidden, head, sources, laterals
            )
            check_new_task(task, self._tasks.values())
            check_loss_at_compile(task.model)
            if compiled is not None:
                compile_like(task.model, compiled)
        except Exception:
            for thaw in undo:
                thaw()
            raise
        self._tasks[name] = task
        self._own(task.model)
        return task.model

    def check_forgetting(self) -> ForgettingReport:
        """Compares each finished task with the moment when it was finished.

        Returns:
            Per task, whether each variable of its column and head, and with
            `probe` its outputs, are bit-equal.
        """
        finished = [one for one in self._tasks.values() if one.fingerprint]
        return ForgettingReport(
            [check_task(task, self._probe) for task in finished]
        )

    def summary(self) -> NetworkCosts:
        """Counts the parameters and MACs per task."""
        return NetworkCosts(
            [measure_task(task) for task in self._tasks.values()]
        )

    def save(self, path: Any) -> None:
        """Writes the network to one file, from which `load` makes it again.

        Columns are stored once. The file is replaced when it is complete, so
        that an interruption leaves the former one. `keras.saving.load_model`
        reads it as a model with one output per task. Optimizer states are not
        in it: use `BackupAndRestore` within `fit`.

        Args:
            path: Path that ends in ".keras".
        """
        if not self._tasks:
            raise ValueError(
                "The network must have a task before it is saved. "
                "Received: no task. Call `add_task` first."
            )
        save_network(
            list(self._tasks.values()), self.inputs, path, self._settings
        )

    @classmethod
    def load(
        cls,
        path: Any,
        column: Callable[..., Any] | None = None,
        *,
        probe: Any = None,
        custom_objects: Any = None,
    ) -> "ProgressiveNetwork":
        """Reads a network; its tasks are finished, and more can be added.

        Args:
            path: File that `save` wrote.
            column: Function for new columns. Defaults to `None`: new columns
                have the structure of the first one.
            probe: As in the constructor: the same inputs as then.
            custom_objects: As in `keras.saving.load_model`.
        """
        tasks, inputs, settings = load_network(path, custom_objects)
        net = cls.__new__(cls)
        net._settings = settings
        net._probe = probe
        net._tasks = {task.name: task for task in tasks}
        net.inputs = inputs
        first = tasks[0]
        net._source = (
            ModelSource(first.finished_column, first.head)
            if column is None
            else FunctionSource(column)
        )
        for task in tasks:
            net._own(task.model)
        return net

    def _adopt(self, model: keras.Model, hidden: Any, name: str) -> None:
        """Makes a finished model the first task."""
        name = check_task_name(name, (), "first_task")
        self.inputs, tensors, graph = split_model(model, hidden)
        task = Task(
            name=name,
            model=model,
            hidden=tensors,
            head=make_submodel(
                [tensors[-1]], graph.output, name=f"{name}_head"
            ),
            inputs=keras.tree.flatten(self.inputs),
        )
        self._tasks[name] = task
        self._source = ModelSource(task.column(), task.head)
        self._own(model)

    def _own(self, model: keras.Model) -> None:
        """Notes on a model which network it belongs to, untracked by Keras."""
        object.__setattr__(model, NETWORK_ATTRIBUTE, self)

    def _find(self, name: str) -> Task:
        if name not in self._tasks:
            raise ValueError(
                f"Argument `name` must be one of {self.tasks}. "
                f"Received: name={name!r}"
            )
        return self._tasks[name]

    def _select_sources(self, lateral: Any) -> list[Task]:
        tasks = list(self._tasks.values())
        if isinstance(lateral, str):
            check_choice(lateral, "lateral", ("all", "previous"))
            return tasks if lateral == "all" else tasks[-1:]
        if not isinstance(lateral, list | tuple):
            raise TypeError(
                'Argument `lateral` must be "all", "previous" or a list of '
                f"task names. Received: lateral={lateral!r}"
            )
        unknown = [name for name in lateral if name not in self._tasks]
        if unknown:
            raise ValueError(
                f"Argument `lateral` must name tasks of {self.tasks}. "
                f"Received: lateral={lateral!r}"
            )
        return [task for task in tasks if task.name in lateral]


def find_network(model: keras.Model) -> ProgressiveNetwork | None:
    """Returns the progressive network of a task's model.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([
    ...     keras.Input((4,)), keras.layers.Dense(8, "relu"),
    ...     keras.layers.Dense(1)])
    >>> second = netopt.progressive.next_task(model, name="second")
    >>> netopt.progressive.find_network(second).tasks
    ['task1', 'second']

    Args:
        model: A Keras model.

    Returns:
        The network, or `None` for a model that is no task.

    Raises:
        TypeError: If `model` is not a Keras model.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "Argument `model` must be a Keras model. "
            f"Received: model={model!r} of type {type(model).__name__}"
        )
    found: ProgressiveNetwork | None = vars(model).get(NETWORK_ATTRIBUTE)
    return found


def _check_adapter(adapter: Any, adapter_width: Any, alpha_init: Any) -> None:
    if adapter is not None:
        LateralConnection(adapter, adapter_width, alpha_init=alpha_init)
