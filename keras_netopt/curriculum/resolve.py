"""Turns what a user writes for a difficulty or for labels into objects."""

from typing import Any

import keras
import numpy as np

from keras_netopt.curriculum.difficulty import (
    Computed,
    Difficulty,
    Given,
    Several,
    checked_scores,
)
from keras_netopt.curriculum.early_scores import EL2N, Forgetting
from keras_netopt.curriculum.labels import class_labels, class_values
from keras_netopt.curriculum.model_difficulty import ModelLoss
from keras_netopt.curriculum.sources import Source
from keras_netopt.curriculum.text_difficulty import Length, Rarity

NAMES: dict[str, type[Difficulty]] = {
    "length": Length,
    "rarity": Rarity,
    "loss": ModelLoss,
    "el2n": EL2N,
    "forgetting": Forgetting,
}


def as_difficulty(value: Any, samples: int) -> Difficulty:
    """Returns the difficulty that a user names.

    Example:

    >>> as_difficulty("length", samples=3).name
    'length'

    Args:
        value: A name, an array of scores, a `callable(x, y)`, a difficulty
            object, or a list of those.
        samples: How many samples there are.

    Raises:
        TypeError: If it is something else.
        ValueError: If the name is not known or scores are wrong.
    """
    if isinstance(value, Difficulty):
        return value
    if isinstance(value, str):
        if value not in NAMES:
            raise ValueError(
                "Argument `difficulty` must be one of "
                f"{', '.join(map(repr, NAMES))}, an array, a function or an "
                "object of `keras_netopt.curriculum`. "
                f"Received: difficulty={value!r}"
            )
        return NAMES[value]()
    if isinstance(value, list | tuple) and any(
        not isinstance(part, int | float | np.number) for part in value
    ):
        return Several([as_difficulty(part, samples) for part in value])
    if hasattr(value, "__array__") or isinstance(value, list | tuple):
        if keras.ops.is_tensor(value):
            value = keras.ops.convert_to_numpy(value)
        return Given(checked_scores(value, samples))
    if callable(value) and not isinstance(value, type):
        return Computed(value)
    raise TypeError(
        "Argument `difficulty` must be a name, an array of scores, a "
        "`callable(x, y)`, an object of `keras_netopt.curriculum` or a list "
        f"of those. Received: difficulty of type {type(value).__name__}"
    )


def check_targets(difficulty: Difficulty, source: Source) -> None:
    """Refuses a difficulty that compares answers with targets without any.

    Args:
        difficulty: What makes a sample hard.
        source: The data.

    Raises:
        ValueError: If there are no targets and it needs some.
    """
    parts = getattr(difficulty, "parts", (difficulty,))
    compares = any(p.follows_training or p.costly for p in parts)
    if not compares or source.y is not None:
        return
    if source.fetch(np.arange(1))[1] is None:
        raise ValueError(
            f"Argument `y` must hold targets for a difficulty of "
            f"{difficulty.name!r}, which compares answers with them. "
            "Received: y=None"
        )


def as_labels(labels: Any, source: Source) -> np.ndarray | None:
    """Returns the class numbers for the class guard.

    Args:
        labels: One class for each sample, `None` to find them in the targets,
            or `False` for none.
        source: The data.

    Raises:
        ValueError: If they are no classes or of another length.
    """
    if labels is None:
        return class_labels(source.y)
    if labels is False:
        return None
    values = class_values(labels)
    if values is None or len(values) != source.samples:
        raise ValueError(
            "Argument `labels` must hold one integer for each of the "
            f"{source.samples} samples, or be False for data without "
            f"classes. Received: labels of shape {np.shape(labels)}"
        )
    return np.unique(values, return_inverse=True)[1].reshape(-1)
