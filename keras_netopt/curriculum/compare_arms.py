"""Compares curricula with a control arm and ordinary training."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_netopt.checks import check_integer, check_number, check_seeds
from keras_netopt.curriculum.arm_comparison import ArmComparison
from keras_netopt.curriculum.auxiliary_training import check_build_model
from keras_netopt.curriculum.ordering import NAMES, Ordering
from keras_netopt.curriculum.train_arm import Arm, BuildModel, train_arm
from keras_netopt.metric_direction import resolve_monitor

ARMS = ("shuffle", "random", "easy_first", "hard_first")


def compare_arms(
    build_model: BuildModel,
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
    """Trains each arm with each seed and compares the results.

    All arms of a seed start from the same weights and train for the same
    number of steps of the same batch size, so differences are paired by seed.
    The control arm "random" has active sets of the same sizes as the
    curriculum, chosen at random: its gain is the effect of the pacing
    function, not of the difficulty. With few seeds the confidence intervals
    are wide. Sets Keras' global seed before each training.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> x, y = np.random.normal(size=(64, 8)), np.arange(64) % 2
    >>> def build_model():
    ...     model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    ...     loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ...     model.compile("sgd", loss, metrics=["accuracy"], run_eagerly=True)
    ...     return model
    >>> arms = netopt.curriculum.compare_arms(
    ...     build_model,
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
        build_model: A function without arguments that returns a new compiled
            model.
        x: Inputs, as in `callbacks.Curriculum`.
        y: Targets, if `x` is arrays. Defaults to `None`.
        validation_data: As in `fit`.
        arms: Orderings, or a mapping from names to orderings and `Arm`s; the
            first one is the baseline. Defaults to `("shuffle", "random",
            "easy_first", "hard_first")`.
        seeds: Number of seeds, at least 1, or the seeds themselves.
            Defaults to `3`.
        epochs: Epochs of each training, at least 1. Defaults to `10`.
        batch_size: Samples per batch. Defaults to `32`.
        difficulty: As in `callbacks.Curriculum`. Defaults to `"loss"`.
        pacing: As in `callbacks.Curriculum`. Defaults to `None`.
        monitor: Quantity to compare, a key of the logs such as
            "val_accuracy". Defaults to `None`: "val_accuracy" if it is in the
            logs, else "val_loss".
        target: Value of `monitor` for the report of the steps to it. Defaults
            to `None`: the mean of the baseline in the last epoch.
        verbose: 1 prints a line per training. Defaults to `0`.

    Returns:
        The curves of every arm and seed. Printing it shows a table of the
        last epoch with paired differences and 95 % confidence intervals;
        `.plot()` draws it.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or `monitor` is not in
            the logs.
    """
    check_build_model(build_model)
    named = _arms_by_name(arms)
    seed_list = check_seeds(seeds)
    check_integer(epochs, "epochs", minimum=1)
    check_integer(batch_size, "batch_size", minimum=1)
    check_integer(verbose, "verbose")
    if validation_data is None:
        raise ValueError(
            "Argument `validation_data` must be given, because each arm "
            "computes its training loss on other samples. "
            "Received: validation_data=None"
        )
    if target is not None:
        check_number(target, "target")
    shared = {"difficulty": difficulty, "pacing": pacing}
    _check_arms(named, x, y, shared)
    curves: dict[str, list[list[float]]] = {name: [] for name in named}
    for seed in seed_list:
        for name, arm in named.items():
            logs, session = train_arm(
                arm,
                build_model,
                x,
                y,
                seed=seed,
                epochs=epochs,
                batch_size=batch_size,
                validation_data=validation_data,
                **shared,
            )
            monitor = resolve_monitor(monitor, logs)
            curves[name].append([float(value) for value in logs[monitor]])
            if verbose:
                print(f"{name}, seed {seed}: {curves[name][-1][-1]:.4f}")
    return ArmComparison(
        {name: np.array(rows) for name, rows in curves.items()},
        steps_per_epoch=int(session.data.steps or 0),
        monitor=str(monitor),
        mode="min" if _is_loss(str(monitor)) else "max",
        target=target,
    )


def _arms_by_name(arms: Any) -> dict[str, Arm]:
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
            "Argument `arms` must hold at least two arms with different names; "
            "use a mapping to name them. "
            f"Received: arms={arms!r}"
        )
    return {
        str(name): arm if isinstance(arm, Arm) else Arm(arm)
        for name, arm in pairs
    }


def _check_arms(
    named: Mapping[str, Arm], x: Any, y: Any, shared: Mapping[str, Any]
) -> None:
    """Raises for invalid arms before the first training."""
    for name, arm in named.items():
        if not isinstance(arm.ordering, Ordering) and (
            arm.ordering not in NAMES
        ):
            raise ValueError(
                f"Argument `arms` must hold orderings, of {sorted(NAMES)}, "
                f"or objects. Received: arms[{name!r}]={arm.ordering!r}"
            )
        arm.make_curriculum(x, y, **{**shared, **arm.curriculum_kwargs})


def _is_loss(name: str) -> bool:
    words = ("loss", "error", "mse", "mae", "perplexity")
    return any(word in name for word in words)
