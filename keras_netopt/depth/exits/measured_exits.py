"""What every exit answered on the calibration samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.depth.exits.confidence import (
    are_probabilities,
    classes,
    scores,
)


@dataclass(frozen=True, eq=False)
class MeasuredExits:
    """How sure and how right each exit is, sample by sample.

    Example:

    >>> import numpy as np
    >>> early, late = np.array([[0.6, 0.4]]), np.array([[0.1, 0.9]])
    >>> found = MeasuredExits.of([early, late], [1], "confidence")
    >>> found.correct
    array([[False,  True]])

    Args:
        scores: Shape `(samples, exits)`; higher is surer.
        correct: Whether the answer is right, of the same shape.
        is_probability: Whether the answers are no logits.
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
        """The accuracy of each exit on all samples."""
        return tuple(float(a) for a in self.correct.mean(axis=0))

    @property
    def full_accuracy(self) -> float:
        """The accuracy of the final exit."""
        return self.accuracies[-1]

    @classmethod
    def of(
        cls, answers: list[np.ndarray], y: Any, criterion: str
    ) -> "MeasuredExits":
        """Measures answers against targets.

        Args:
            answers: Shape `(samples, classes)`, one array an exit.
            y: Classes, integers or one-hot rows.
            criterion: What says how sure an answer is.

        Returns:
            The measurement.

        Raises:
            ValueError: If shapes do not fit, or an answer is NaN.
        """
        for answer in answers:
            if answer.ndim != 2:
                raise ValueError(
                    "Argument `exit_model` must answer with (samples, "
                    f"classes). Received: answers of shape {answer.shape}"
                )
        held = np.stack([a.astype("float64") for a in answers], axis=1)
        if np.isnan(held).any():
            bad = int(np.isnan(held).any(axis=(1, 2)).sum())
            raise ValueError(
                "Argument `x_val` must give answers that are numbers. "
                f"Received: NaN for {bad} of {len(held)} samples. Look for "
                "NaN in the data and in the weights"
            )
        is_probability = are_probabilities(held)
        truth = target_classes(y, len(held), held.shape[-1])
        return cls(
            scores(held, criterion, is_probability),
            classes(held, is_probability) == truth[:, None],
            is_probability,
        )


def target_classes(y: Any, samples: int, units: int) -> np.ndarray:
    """Returns targets as class numbers.

    Example:

    >>> import numpy as np
    >>> target_classes(np.array([[0, 1], [1, 0]]), 2, 2)
    array([1, 0])

    Args:
        y: Integers of shape `(samples,)` or `(samples, 1)`, or one-hot rows.
        samples: How many there must be.
        units: Width of an answer.

    Returns:
        Integers of shape `(samples,)`.

    Raises:
        ValueError: If they do not fit the answers.
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
            f"Argument `y_val` must hold the classes of {samples} samples: "
            "integers of shape (samples,) or one-hot rows. Received: shape "
            f"{np.shape(y)} of dtype {np.asarray(y).dtype}"
        )
    return values.astype("int64")
