"""Checks the arguments of the oracles."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner


def check_objective(objective: Any, name: str) -> None:
    """Refuses a hypermodel in place of an objective of the oracle `name`."""
    if callable(objective) or isinstance(objective, keras_tuner.HyperModel):
        tuner = f"search.{name.removesuffix('Oracle')}(build, ...)"
        if not name.endswith("Oracle"):
            tuner = "search.Tuner(build, oracle=...)"
        raise TypeError(
            "Argument `objective` must be the name of a metric or a "
            f"`keras_tuner.Objective`. The tuner of `{name}`, which takes a "
            f"`hypermodel`, is `{tuner}`. Received: objective={objective!r}"
        )


def check_hyperparameters(hyperparameters: Any) -> None:
    """Refuses what is not a `keras_tuner.HyperParameters`."""
    kind = keras_tuner.HyperParameters
    if hyperparameters is None or isinstance(hyperparameters, kind):
        return
    raise TypeError(
        "Argument `hyperparameters` must be a `keras_tuner.HyperParameters` "
        "that defines entries, as in `hp = keras_tuner.HyperParameters(); "
        'hp.Float("rate", 1e-4, 1e-2, sampling="log")`. Values to try first '
        "belong into `initial_points`. "
        f"Received: hyperparameters={hyperparameters!r}"
    )


def as_points(points: Any) -> list[dict[str, Any]]:
    """Returns the argument `initial_points` as a list of dicts."""
    if points is None:
        return []
    if isinstance(points, Sequence) and not isinstance(points, str):
        if all(isinstance(point, Mapping) for point in points):
            return [dict(point) for point in points]
    raise TypeError(
        "Argument `initial_points` must be a list of dicts of values by name. "
        f"Received: initial_points={points!r}"
    )
