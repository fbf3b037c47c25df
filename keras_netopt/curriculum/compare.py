"""Curriculum, control and ordinary training, seed by seed at equal steps."""

import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import (
    check_integer,
    check_number,
)
from keras_netopt.curriculum.arm_report import ArmComparison

ARMS = ("shuffle", "random", "easy_first", "hard_first")
Build = Callable[[], keras.Model]


@dataclass(frozen=True, eq=False)
class Arm:
    """One way of training in a comparison, where an ordering is not all.

    Example:

    >>> import keras_netopt as netopt
    >>> half = netopt.curriculum.Arm(
    ...     "shuffle", callbacks=lambda: [netopt.callbacks.SelectiveBackprop()]
    ... )
    >>> half.ordering
    'shuffle'

    Args:
        ordering: As in `callbacks.Curriculum`. Defaults to `"shuffle"`.
        options: Other arguments of `callbacks.Curriculum`; they go before
            what the comparison gives to all arms. Defaults to none.
        build: Builds this arm's model, with another loss for instance.
            Defaults to `None`: as the other arms.
        callbacks: Returns further callbacks, new ones each time. Defaults to
            `None`.
        table: A number for each sample, see `Curriculum.dataset`. Defaults to
            `None`.
    """

    ordering: Any = "shuffle"
    options: Mapping[str, Any] = field(default_factory=dict)
    build: Build | None = None
    callbacks: Callable[[], Sequence[Any]] | None = None
    table: Any = None


def compare_arms(
    build: Build,
    x: Any,
    y: Any = None,
    *,
    validation_data: Any,
    arms: Iterable[Any] | Mapping[str, Any] = ARMS,
    seeds: int | Sequence[int] = 3,
    epochs: int = 10,
    batch_size: int = 32,
    difficulty: Any = "loss",
    pacing: Any = None,
    monitor: str | None = None,
    target: float | None = None,
    verbose: int = 0,
) -> ArmComparison:
    """Trains each arm with each seed and tells what the order was worth.

    All arms of a seed begin with the same weights and make the same number
    of steps of the same size, so their differences are paired. Look
    at the control arm first: "random" has as many samples in play as the
    curriculum at every step, chosen blindly. What it gains is the pacing's,
    not the difficulty's. With few seeds the interval is wide, and says so.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> x, y = np.random.normal(size=(64, 8)), np.arange(64) % 2
    >>> def build():
    ...     model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    ...     loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ...     model.compile("sgd", loss, metrics=["accuracy"], run_eagerly=True)
    ...     return model
    >>> arms = netopt.curriculum.compare_arms(
    ...     build,
    ...     x,
    ...     y,
    ...     validation_data=(x, y),
    ...     arms=["shuffle", "random", "easy_first"],
    ...     difficulty=np.abs(x).sum(axis=1),
    ...     seeds=2,
    ...     epochs=2,
    ...     batch_size=8,
    ... )
    >>> arms.curves["easy_first"].shape  # `print(arms)` shows the table
    (2, 2)

    Args:
        build: Returns a new compiled model; the seed is set before.
        x: Inputs, as in `callbacks.Curriculum`.
        y: Targets where `x` is arrays. Defaults to `None`.
        validation_data: As in `fit`; no arm trains on it.
        arms: Orderings, or a mapping from names to orderings and `Arm`s; the
            first one is the baseline. Defaults to `("shuffle", "random",
            "easy_first", "hard_first")`.
        seeds: How many, at least 1, or the seeds. Defaults to `3`.
        epochs: Epochs of each training, at least 1. Defaults to `10`.
        batch_size: Samples of a batch. Defaults to `32`.
        difficulty: As in `callbacks.Curriculum`. Defaults to `"loss"`.
        pacing: As in `callbacks.Curriculum`. Defaults to `None`.
        monitor: What is compared, a name of the logs such as "val_accuracy".
            Defaults to `None`: "val_accuracy" where there is one, else
            "val_loss".
        target: A value of it; the report counts the steps to it. Defaults to
            `None`: what the baseline reaches at its end on average.
        verbose: 1 prints a line a training. Defaults to `0`.

    Returns:
        The curves of every arm and seed; `print` shows a table of the last
        epochs with paired differences and their 95 % intervals, `.plot()`
        the picture.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or `monitor` is not in
            the logs.
    """
    _check_build(build)
    named = _named(arms)
    chosen = _seeds(seeds)
    check_integer(epochs, "epochs", minimum=1)
    check_integer(batch_size, "batch_size", minimum=1)
    check_integer(verbose, "verbose")
    if validation_data is None:
        raise ValueError(
            "Argument `validation_data` must be given: the losses of training "
            "belong to other samples in every arm. "
            "Received: validation_data=None"
        )
    if target is not None:
        check_number(target, "target")
    shared = {"difficulty": difficulty, "pacing": pacing}
    _check_options(named, x, y, shared)
    curves: dict[str, list[list[float]]] = {name: [] for name in named}
    for seed in chosen:
        for name, arm in named.items():
            logs, steps = run_arm(
                arm,
                build,
                x,
                y,
                seed=seed,
                epochs=epochs,
                batch_size=batch_size,
                validation_data=validation_data,
                **shared,
            )
            monitor = _monitored(monitor, logs)
            curves[name].append([float(value) for value in logs[monitor]])
            if verbose:
                print(f"{name}, seed {seed}: {curves[name][-1][-1]:.4f}")
    return ArmComparison(
        {name: np.array(rows) for name, rows in curves.items()},
        steps_per_epoch=steps,
        metric=str(monitor),
        lower_is_better=_is_loss(str(monitor)),
        goal=target,
    )


def run_arm(
    arm: Arm,
    build: Build,
    x: Any,
    y: Any,
    *,
    seed: int,
    epochs: int,
    batch_size: int,
    validation_data: Any,
    callbacks: Sequence[Any] = (),
    steps_per_epoch: int | None = None,
    **shared: Any,
) -> tuple[dict[str, list[float]], int]:
    """Trains one arm with one seed.

    Args:
        arm: The arm.
        build: Returns a new compiled model.
        x: Inputs.
        y: Targets.
        seed: Seed of the weights and of the order.
        epochs: Epochs to train.
        batch_size: Samples of a batch.
        validation_data: As in `fit`.
        callbacks: Called behind the arm's own ones; those with an attribute
            `curriculum` are given the arm's. Defaults to `()`.
        steps_per_epoch: Steps of an epoch. Defaults to `None`: as many as all
            samples fill.
        **shared: Arguments of `callbacks.Curriculum` for all arms.

    Returns:
        The history of the fit, and the steps of an epoch.
    """
    # The one place of the engine that runs a whole fit, callbacks and all.
    from keras_netopt.callbacks import Curriculum

    keras.utils.set_random_seed(seed)
    model = (arm.build or build)()
    options = {**shared, **arm.options, "ordering": arm.ordering}
    curriculum = Curriculum(x, y, seed=seed, verbose=0, **options)
    data = curriculum.dataset(
        batch_size, steps_per_epoch=steps_per_epoch, table=arm.table
    )
    for callback in callbacks:
        if hasattr(callback, "curriculum"):
            callback.curriculum = curriculum
    own = arm.callbacks() if arm.callbacks else ()
    history = model.fit(
        data,
        epochs=epochs,
        validation_data=validation_data,
        callbacks=[curriculum, *own, *callbacks],
        verbose=0,
    )
    return history.history, data.num_batches


def _check_build(build: Any) -> None:
    if not callable(build) or isinstance(build, keras.Model):
        raise TypeError(
            "Argument `build` must be a function without arguments that "
            "returns a new compiled model: each arm trains its own. "
            f"Received: build={build!r}"
        )


def _named(arms: Any) -> dict[str, Arm]:
    if isinstance(arms, str) or not isinstance(arms, Iterable):
        raise TypeError(
            "Argument `arms` must be orderings, or a mapping from names to "
            f"orderings and `Arm`s. Received: arms={arms!r}"
        )
    pairs = (
        list(arms.items())
        if isinstance(arms, Mapping)
        else [(a if isinstance(a, str) else type(a).__name__, a) for a in arms]
    )
    if len(dict(pairs)) != len(pairs) or len(pairs) < 2:
        raise ValueError(
            "Argument `arms` must name at least two different arms; use a "
            "mapping to give two of a kind names of their own. "
            f"Received: arms={arms!r}"
        )
    return {
        str(name): arm if isinstance(arm, Arm) else Arm(arm)
        for name, arm in pairs
    }


def _seeds(seeds: Any) -> list[int]:
    if isinstance(seeds, numbers.Integral) or not isinstance(seeds, Iterable):
        return list(range(check_integer(seeds, "seeds", minimum=1)))
    found = [check_integer(seed, "seeds") for seed in seeds]
    if not found or len(set(found)) != len(found):
        raise ValueError(
            "Argument `seeds` must hold at least one seed, each once. "
            f"Received: seeds={seeds!r}"
        )
    return found


def _check_options(
    named: Mapping[str, Arm], x: Any, y: Any, shared: Mapping[str, Any]
) -> None:
    """Finds what no curriculum can be made of before the first training."""
    from keras_netopt.callbacks import Curriculum
    from keras_netopt.curriculum.ordering import NAMES, Ordering

    for name, arm in named.items():
        if not isinstance(arm.ordering, Ordering) and (
            arm.ordering not in NAMES
        ):
            raise ValueError(
                f"Argument `arms` must hold orderings, of {sorted(NAMES)}, "
                f"or objects. Received: arms[{name!r}]={arm.ordering!r}"
            )
        options = {**shared, **arm.options, "ordering": arm.ordering}
        Curriculum(x, y, **options)


def _monitored(monitor: str | None, logs: Mapping[str, Any]) -> str:
    if monitor is None:
        return "val_accuracy" if "val_accuracy" in logs else "val_loss"
    if monitor not in logs:
        raise ValueError(
            f"Argument `monitor` must be one of the logs {sorted(logs)}. "
            f"Received: monitor={monitor!r}"
        )
    return monitor


def _is_loss(name: str) -> bool:
    words = ("loss", "error", "mse", "mae", "perplexity")
    return any(word in name for word in words)
