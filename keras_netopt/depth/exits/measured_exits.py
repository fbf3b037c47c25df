"""Scores and correctness of every exit on the calibration samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.depth.exits.exit_criteria import (
    are_probabilities,
    exit_scores,
    predicted_classes,
)


@dataclass(frozen=True, eq=False)
class MeasuredExits:
    """Scores and correctness of every exit, both of shape `(samples, exits)`.

    A higher score is more confident. `is_probability` is `True` if the outputs
    are probabilities, `False` for logits.
    """

    scores: np.ndarray
    correct: np.ndarray
    is_probability: bool

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.scores)

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Accuracy of each exit on all samples."""
        return tuple(float(a) for a in self.correct.mean(axis=0))

    @property
    def full_accuracy(self) -> float:
        """Accuracy of the final exit."""
        return self.accuracies[-1]

    @classmethod
    def from_outputs(
        cls, outputs: list[np.ndarray], y: Any, criterion: str
    ) -> "MeasuredExits":
        """Scores outputs and compares them with the targets `y`.

        There is one array of shape `(samples, classes)` per exit.
        """
        for output in outputs:
            if output.ndim != 2:
                raise ValueError(
                    "Argument `exit_model` must have outputs of shape "
                    f"(samples, classes). Received: shape {output.shape}"
                )
        stacked = np.stack([o.astype("float64") for o in outputs], axis=1)
        is_nan = np.isnan(stacked).any(axis=(1, 2))
        if is_nan.any():
            raise ValueError(
                "Argument `x` must give finite predictions. Received: NaN for "
                f"{int(is_nan.sum())} of {len(stacked)} samples. Look for NaN "
                "in the data and in the weights"
            )
        is_probability = are_probabilities(stacked)
        targets = target_classes(y, len(stacked), stacked.shape[-1])
        return cls(
            exit_scores(stacked, criterion, is_probability),
            predicted_classes(stacked, is_probability) == targets[:, None],
            is_probability,
        )


def target_classes(y: Any, samples: int, units: int) -> np.ndarray:
    """Returns targets as class indices of shape `(samples,)`.

    `y` holds integers of shape `(samples,)` or `(samples, 1)`, or one-hot rows
    with one column per output unit.

    Example:

    >>> import numpy as np
    >>> target_classes(np.array([[0, 1], [1, 0]]), 2, 2)
    array([1, 0])
    """
    values = np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    elif values.ndim == 2 and values.shape[1] == units:
        values = values.argmax(axis=1)
    whole = values.dtype.kind in "iub" or (
        values.dtype.kind == "f" and bool((values == np.round(values)).all())
    )
    if values.shape != (samples,) or not whole:
        raise ValueError(
            f"Argument `y` must hold the classes of {samples} samples: "
            "integers of shape (samples,) or one-hot rows. Received: shape "
            f"{np.shape(y)} of dtype {np.asarray(y).dtype}"
        )
    return values.astype("int64")
