"""Converts the argument `difficulty` to a `Difficulty`."""

from typing import Any

import keras
import numpy as np

from keras_netopt.curriculum.difficulty import (
    CombinedDifficulty,
    Difficulty,
    FunctionDifficulty,
    PrecomputedScores,
    check_scores,
)
from keras_netopt.curriculum.model_difficulty import ModelLoss
from keras_netopt.curriculum.sample_source import SampleSource
from keras_netopt.curriculum.text_difficulty import SequenceLength, TokenRarity
from keras_netopt.curriculum.training_dynamics import EL2N, ForgettingEvents

NAMES: dict[str, type[Difficulty]] = {
    "length": SequenceLength,
    "rarity": TokenRarity,
    "loss": ModelLoss,
    "el2n": EL2N,
    "forgetting": ForgettingEvents,
}


def as_difficulty(value: Any, samples: int) -> Difficulty:
    """Converts the argument `difficulty` of `callbacks.Curriculum`.

    Raises:
        TypeError: If it has another type.
        ValueError: If the name is unknown or the scores are invalid.
    """
    if isinstance(value, Difficulty):
        return value
    if isinstance(value, str):
        if value not in NAMES:
            raise ValueError(
                "Argument `difficulty` must be one of "
                f"{', '.join(map(repr, NAMES))}, an array, a function or a "
                "`keras_netopt.curriculum.Difficulty`. "
                f"Received: difficulty={value!r}"
            )
        return NAMES[value]()
    if isinstance(value, list | tuple) and any(
        not isinstance(part, int | float | np.number) for part in value
    ):
        return CombinedDifficulty(
            [as_difficulty(part, samples) for part in value]
        )
    if hasattr(value, "__array__") or isinstance(value, list | tuple):
        if keras.ops.is_tensor(value):
            value = keras.ops.convert_to_numpy(value)
        return PrecomputedScores(check_scores(value, samples))
    if callable(value) and not isinstance(value, type):
        return FunctionDifficulty(value)
    raise TypeError(
        "Argument `difficulty` must be a name, an array of scores, a "
        "`callable(x, y)`, a `keras_netopt.curriculum.Difficulty` or a list "
        f"of those. Received: difficulty of type {type(value).__name__}"
    )


def check_targets(difficulty: Difficulty, source: SampleSource) -> None:
    """Raises ValueError if a difficulty needs targets that the data lack."""
    parts = getattr(difficulty, "parts", (difficulty,))
    needs_targets = any(p.dynamic or p.expensive for p in parts)
    if not needs_targets or source.y is not None:
        return
    if source.fetch(np.arange(1))[1] is None:
        raise ValueError(
            f"Argument `y` must hold targets for a difficulty of "
            f"{difficulty.name!r}, which compares predictions with them. "
            "Received: y=None"
        )
