"""Transfer scores from each task to each other one."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer, check_number, check_seeds
from keras_netopt.progressive.equal_width import find_factor
from keras_netopt.progressive.progressive_network import ProgressiveNetwork
from keras_netopt.progressive.task_data import TaskData
from keras_netopt.progressive.transfer_arms import (
    RANDOM_OFFSET,
    quiet_tasks,
    renew_head,
    widen_task,
)
from keras_netopt.progressive.transfer_matrix_report import TransferMatrix
from keras_netopt.progressive.transfer_report import (
    RANDOM,
    WIDE,
    find_ceiling,
)
from keras_netopt.progressive.transfer_score import transfer_score
from keras_netopt.progressive.transfer_training import (
    TransferTraining,
    check_floor,
)

Curves = dict[Any, list[list[float]]]


def transfer_matrix(
    column: Any,
    inputs: Any = None,
    *,
    tasks: Mapping[str, TaskData],
    epochs: int = 10,
    batch_size: int | None = None,
    optimizer: Any = None,
    loss: Any = None,
    metrics: Any = None,
    seeds: int | Sequence[int] = 3,
    monitor: str | None = None,
    mode: str = "auto",
    floor: float = 0.0,
    verbose: int = 0,
    **settings: Any,
) -> TransferMatrix:
    """Measures the transfer from each task to each other one.

    Per seed, each task is learned from scratch by a column of its own; these
    curves are the baselines. Then each task is learned by a new column that
    reads the column of one other task. The controls, once per task: a new
    column that reads a column with random weights, and a single column from
    scratch with as many parameters (see `measure_transfer`). For k tasks
    these are k * (k + 2) trainings per seed.

    Sets Keras' global seed before each training.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_netopt import progressive
    >>> x, y = np.random.normal(size=(16, 4)), np.arange(16) % 2
    >>> tasks = {
    ...     name: progressive.TaskData(
    ...         keras.layers.Dense(2), x, labels, validation_data=(x, labels)
    ...     )
    ...     for name, labels in (("normal", y), ("inverse", 1 - y))
    ... }
    >>> matrix = progressive.transfer_matrix(
    ...     lambda inputs: [keras.layers.Dense(4, "relu")(inputs)],
    ...     keras.Input((4,)),
    ...     tasks=tasks,
    ...     loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    ...     metrics=["accuracy"],
    ...     epochs=1,
    ...     seeds=1,
    ... )
    >>> matrix.ratios.shape  # `print(matrix)` shows the table
    (1, 2, 2)

    Args:
        column: As in `ProgressiveNetwork`; of a model, only the structure is
            used.
        inputs: As in `ProgressiveNetwork`. Defaults to `None`.
        tasks: Data and head of each task by its name, at least two.
        epochs: Epochs of each training, at least 1. Defaults to `10`.
        batch_size: As in `fit`. Defaults to `None`.
        optimizer: As in `compile`; each model has a copy. Defaults to `None`:
            "adam" with a `loss`, else that of the model.
        loss: As in `compile`. Defaults to `None`: all models are compiled as
            the model is that is passed as `column`.
        metrics: As in `compile`. Defaults to `None`.
        seeds: Number of seeds, at least 1, or the seeds themselves.
            Defaults to `3`.
        monitor: Quantity to compare, a key of the logs. Defaults to `None`:
            "val_accuracy" if it is in the logs, else "val_loss".
        mode: "max", "min", or "auto": by the name of `monitor`. Defaults to
            `"auto"`.
        floor: Value of no performance, see `transfer_score`. Defaults to
            `0.0`.
        verbose: 1 prints a line per training. Defaults to `0`.
        **settings: `hidden`, `adapter`, `adapter_width` and `alpha_init`, as
            in `ProgressiveNetwork`.

    Returns:
        The scores; printing it shows them beside the controls, `.plot()`
        draws them.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, there is no loss, or
            `monitor` is not in the logs, before the first training; if the
            first curve from scratch of a task is below `floor`, after it.

    Reference:
        Rusu et al., "Progressive Neural Networks", 2016,
        https://arxiv.org/abs/1606.04671, figure 4.
    """
    named = _check_tasks(tasks)
    seed_list = check_seeds(seeds)
    check_number(floor, "floor")
    check_integer(verbose, "verbose")
    training = TransferTraining(epochs, batch_size, monitor=monitor, mode=mode)

    def make_network() -> ProgressiveNetwork:
        if isinstance(column, keras.Model):
            copy = keras.models.clone_model(column)
            return ProgressiveNetwork(
                copy, inputs, first_task="none", **settings
            )
        return ProgressiveNetwork(column, inputs, **settings)

    source = column if isinstance(column, keras.Model) else None
    first = next(iter(named.values()))
    with quiet_tasks():
        training.compile_template(
            make_network().add_task(renew_head(first.head)),
            optimizer,
            loss,
            metrics,
            source,
        )
        training.check_logs(training.template, first.validation_data)
        for task in list(named.values())[1:]:
            model = make_network().add_task(renew_head(task.head))
            training.check_logs(model, task.validation_data)
        curves: Curves = {}
        for seed in seed_list:
            run = _SeedRun(
                make_network(), training, named, seed, curves, float(floor)
            )
            run.train_all(verbose)
    return _make_report(curves, tuple(named), training, float(floor))


class _SeedRun:
    """All trainings of one seed, in one network."""

    def __init__(
        self,
        net: ProgressiveNetwork,
        training: TransferTraining,
        tasks: Mapping[str, TaskData],
        seed: int,
        curves: Curves,
        floor: float,
    ) -> None:
        self._net = net
        self._training = training
        self._tasks = tasks
        self._seed = seed
        self._curves = curves
        self._floor = floor
        self._count = 0

    def train_all(self, verbose: int) -> None:
        """Trains baselines, controls and all pairs of tasks."""
        places = {name: f"source_{i}" for i, name in enumerate(self._tasks)}
        for name, task in self._tasks.items():
            model = self._add(task, places[name], adapter=None)
            self._train(("scratch", name), model, name, verbose)
            check_floor(self._curves["scratch", name], self._floor, name)
        keras.utils.set_random_seed(self._seed + RANDOM_OFFSET)
        self._net.add_task(renew_head(task.head), name=RANDOM, adapter=None)
        for name, task in self._tasks.items():
            sources = {one: places[one] for one in self._tasks if one != name}
            for source, place in {**sources, RANDOM: RANDOM}.items():
                self._count += 1
                label = f"transfer_{self._count}"
                model = self._add(task, label, lateral=[place])
                self._train((source, name), model, name, verbose)
            wide = self._widen(places[name], task, model.count_params())
            if wide is not None:
                self._train((WIDE, name), wide, name, verbose)

    def _add(self, task: TaskData, label: str, **settings: Any) -> Any:
        keras.utils.set_random_seed(self._seed)
        return self._net.add_task(renew_head(task.head), name=label, **settings)

    def _widen(self, place: str, task: TaskData, parameters: int) -> Any:
        def build(factor: float) -> keras.Model:
            return widen_task(self._net, place, renew_head(task.head), factor)

        try:
            factor = find_factor(build, parameters)
        except Exception:  # Layers of users raise errors of any type.
            return None
        keras.utils.set_random_seed(self._seed)
        return build(factor)

    def _train(
        self, key: tuple[str, str], model: Any, name: str, verbose: int
    ) -> None:
        task = self._tasks[name]
        curve = self._training.train(
            key[0],
            model,
            task.x,
            task.y,
            validation_data=task.validation_data,
            seed=self._seed,
        )
        self._curves.setdefault(key, []).append(curve)
        if verbose:
            print(f"{key[0]} -> {name}, seed {self._seed}: {curve[-1]:.4f}")


def _make_report(
    curves: Curves,
    names: tuple[str, ...],
    training: TransferTraining,
    floor: float,
) -> TransferMatrix:
    count = len(next(iter(curves.values())))
    monitor, mode = str(training.monitor), training.mode

    def score(source: str, target: str) -> np.ndarray:
        try:
            return np.array(
                transfer_score(
                    curves[source, target],
                    curves["scratch", target],
                    monitor=monitor,
                    mode=mode,
                    floor=floor,
                ).ratios
            )
        except (KeyError, ValueError):  # Not trained, or diverged.
            return np.full(count, np.nan)

    def scores_of(source: str) -> np.ndarray:
        return np.stack([score(source, name) for name in names], axis=-1)

    return TransferMatrix(
        names,
        np.stack([scores_of(name) for name in names], axis=1),
        {name: scores_of(name) for name in (RANDOM, WIDE)},
        monitor,
        mode,
        tuple(
            find_ceiling(
                np.array(curves["scratch", name]), monitor, mode, floor
            )
            for name in names
        ),
    )


def _check_tasks(tasks: Any) -> dict[str, TaskData]:
    if not isinstance(tasks, Mapping) or not all(
        isinstance(task, TaskData) for task in tasks.values()
    ):
        raise TypeError(
            "Argument `tasks` must be a dictionary of `TaskData` by the names "
            f"of the tasks. Received: tasks={tasks!r}"
        )
    if len(tasks) < 2:
        raise ValueError(
            "Argument `tasks` must hold at least two tasks. "
            f"Received: tasks={list(tasks)}"
        )
    reserved = {"scratch", RANDOM, WIDE} & set(tasks)
    if reserved:
        raise ValueError(
            "Argument `tasks` must not use the names of the controls. "
            f"Received: tasks={sorted(reserved)}"
        )
    return {str(name): task for name, task in tasks.items()}
