"""Measures what earlier tasks bring to a new one, beside its controls."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_netopt.checks import check_integer, check_number, check_seeds
from keras_netopt.progressive.transfer_arms import TransferArms
from keras_netopt.progressive.transfer_report import (
    ARMS,
    PROGRESSIVE,
    SCRATCH,
    WIDE,
    TransferReport,
)
from keras_netopt.progressive.transfer_training import (
    TransferTraining,
    check_data,
    check_floor,
)


def measure_transfer(
    source: Any,
    head: Any,
    x: Any,
    y: Any = None,
    *,
    validation_data: Any,
    epochs: int = 10,
    batch_size: int | None = None,
    optimizer: Any = None,
    loss: Any = None,
    metrics: Any = None,
    seeds: int | Sequence[int] = 3,
    arms: Iterable[str] = ARMS,
    monitor: str | None = None,
    mode: str = "auto",
    floor: float = 0.0,
    verbose: int = 0,
) -> TransferReport:
    """Trains a new task with and without earlier ones, and the controls.

    Every arm has the same data in the same order, the same number of steps,
    and with each seed the same initial weights of the new column:

    - "scratch": a single new column, the baseline of all scores.
    - "progressive": a new column that reads the trained ones.
    - "random_column", a control: the same network, whose frozen columns have
      random weights. Does the knowledge help, or just the additional path?
    - "equal_width", a control: a single column from scratch, all widths
      multiplied by one factor, so that it has at least as many parameters as
      the progressive network, frozen ones included (at most 2 % more where
      whole numbers of units allow it).
    - "head_only": the last trained column, frozen, with a new head.
    - "fine_tuning": a copy of the last trained column, all of it trained.

    The network that is passed does not change: all arms are built on a copy
    read from a temporary file. Sets Keras' global seed before each training.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from keras_netopt import progressive
    >>> trained = keras.Sequential([keras.Input((4,)),
    ...     keras.layers.Dense(8, "relu"), keras.layers.Dense(2)])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> trained.compile("adam", loss, metrics=["accuracy"])
    >>> x, y = np.random.normal(size=(32, 4)), np.arange(32) % 3
    >>> report = progressive.measure_transfer(
    ...     trained,
    ...     keras.layers.Dense(3),
    ...     x,
    ...     y,
    ...     validation_data=(x, y),
    ...     epochs=1,
    ...     seeds=1,
    ...     arms=("scratch", "progressive", "random_column"),
    ... )
    >>> list(report.curves)  # `print(report)` shows the table and a verdict
    ['scratch', 'progressive', 'random_column']

    Args:
        source: A `ProgressiveNetwork` whose tasks are trained, or a trained
            model.
        head: A layer, which is copied for each arm, or a function from the
            last hidden tensor to the outputs that makes new layers. `None`
            for a copy of the head of the first task.
        x: Inputs of the new task, as in `fit`; no generator.
        y: Targets, if `x` is arrays. Defaults to `None`.
        validation_data: As in `fit`; the curves are measured on it.
        epochs: Epochs of each training, at least 1. Defaults to `10`.
        batch_size: As in `fit`. Defaults to `None`.
        optimizer: As in `compile`; each arm has a copy. Defaults to `None`:
            "adam" with a `loss`, else that of the last task.
        loss: As in `compile`. Defaults to `None`: compiled as the last task
            is.
        metrics: As in `compile`. Defaults to `None`.
        seeds: Number of seeds, at least 1, or the seeds themselves.
            Defaults to `3`.
        arms: Arms to train; "scratch" and "progressive" are always trained.
            A control that is left out keeps its row in the table. Defaults to
            all.
        monitor: Quantity to compare, a key of the logs. Defaults to `None`:
            "val_accuracy" if it is in the logs, else "val_loss".
        mode: "max", "min", or "auto": by the name of `monitor`. Defaults to
            `"auto"`.
        floor: Value of no performance, see `transfer_score`. Defaults to
            `0.0`.
        verbose: 1 prints a line per training. Defaults to `0`.

    Returns:
        The curves of every arm and seed. Printing it shows the scores beside
        both controls and says whether they explain the gain; `.plot()` draws
        it.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, the network has no task,
            there is no loss, or `monitor` is not in the logs; before the
            first training; if the first curve from scratch is below `floor`,
            after it.

    Reference:
        Rusu et al., "Progressive Neural Networks", 2016,
        https://arxiv.org/abs/1606.04671.
    """
    names = _check_arms(arms)
    seed_list = check_seeds(seeds)
    check_number(floor, "floor")
    check_integer(verbose, "verbose")
    check_data(x, y, validation_data)
    training = TransferTraining(epochs, batch_size, monitor=monitor, mode=mode)
    curves: dict[str, list[list[float]]] = {name: [] for name in names}
    missing: dict[str, str] = {}
    with TransferArms(source, head) as models:
        training.compile_template(
            models.build(SCRATCH, seed_list[0]),
            optimizer,
            loss,
            metrics,
            models.last,
        )
        training.check_logs(training.template, validation_data)
        for seed in seed_list:
            for name in names:
                if name in missing:
                    continue
                try:
                    model = models.build(name, seed)
                # Layers of users raise errors of any type.
                except Exception as error:
                    if name != WIDE:
                        raise
                    missing[name] = f"no wider column could be built: {error}"
                    continue
                curve = training.train(
                    name,
                    model,
                    x,
                    y,
                    validation_data=validation_data,
                    seed=seed,
                )
                curves[name].append(curve)
                if name == SCRATCH:
                    check_floor(curves[name], floor, "new_task")
                if verbose:
                    print(f"{name}, seed {seed}: {curve[-1]:.4f}")
    return TransferReport(
        {n: np.array(rows) for n, rows in curves.items() if n not in missing},
        monitor=str(training.monitor),
        mode=training.mode,
        floor=float(floor),
        seeds=tuple(seed_list),
        parameters={n: counts[0] for n, counts in training.counts.items()},
        trainable={n: counts[1] for n, counts in training.counts.items()},
        missing=missing,
    )


def _check_arms(arms: Any) -> list[str]:
    given = [arms] if isinstance(arms, str) else list(arms)
    unknown = [name for name in given if name not in ARMS]
    if unknown:
        raise ValueError(
            f"Argument `arms` must hold names of {list(ARMS)}. "
            f"Received: arms={arms!r}"
        )
    given += [SCRATCH, PROGRESSIVE]
    return [name for name in ARMS if name in given]
