"""Accuracy and errors of predictions, chosen by the form of the labels."""

from typing import Any

import numpy as np

CLASSES = "class numbers"
ROWS = "one-hot rows"
BINARY = "0 and 1"
NUMBERS = "numbers"


class LabelScores:
    """Collects the accuracy or the errors of one output, batch by batch.

    Labels with one integer per row of the output are class numbers. Labels
    of the output's shape are one-hot rows (or probabilities) where each row
    adds up to 1, yes-no labels where all are 0 or 1, and numbers otherwise;
    this is known after the last batch.

    Args:
        name: The name of the output.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._sums = dict.fromkeys(
            ("rows", "equal", "above_half", "above_zero", "square", "gap"), 0.0
        )
        self._row_weight = self._value_weight = 0.0
        self._are_rows = self._are_binary = True
        self._are_probabilities = self._are_classes = True
        self._by_class: bool | None = None

    def update(
        self, labels: np.ndarray, outputs: np.ndarray, weights: Any = None
    ) -> None:
        """Adds one batch.

        `labels` and `outputs` hold one entry per sample, `weights` one number
        per sample or per label, or `None`.
        """
        if labels.ndim == outputs.ndim + 1 and labels.shape[-1] == 1:
            labels = labels[..., 0]
        if outputs.ndim == labels.ndim + 1 and outputs.shape[-1] == 1:
            labels = labels[..., None]
        if labels.shape == outputs.shape:
            if self._by_class:
                raise self._mismatch(labels, outputs)
            self._by_class = False
            self._add_values(labels, outputs, weights)
            return
        if labels.ndim == outputs.ndim and labels.shape[-1] == 1:
            labels = labels[..., 0]
        if labels.shape != outputs.shape[:-1] or self._by_class is False:
            raise self._mismatch(labels, outputs)
        self._by_class = True
        classes = self._check_classes(labels, outputs.shape[-1])
        share = self._weigh(weights, classes.shape)
        self._row_weight += share.sum()
        self._sums["rows"] += (share * _is_right(outputs, classes)).sum()

    def result(self) -> tuple[str, dict[str, float], str]:
        """Returns the form of the labels, the metrics and a note or ""."""
        sums = self._sums
        rows, values = self._row_weight, self._value_weight
        if not (rows if self._by_class else values):
            raise ValueError(
                "The sample weights must not all be 0. "
                f"Received: weights of output {self._name!r} that add up to 0"
            )
        if self._by_class:
            return CLASSES, {"accuracy": sums["rows"] / rows}, ""
        if self._are_rows:
            return ROWS, {"accuracy": sums["rows"] / rows}, ""
        if self._are_classes:
            return CLASSES, {"accuracy": sums["equal"] / values}, ""
        if self._are_binary:
            half = self._are_probabilities
            right = sums["above_half" if half else "above_zero"]
            note = (
                f"{self._name}: 1 is predicted above {0.5 if half else 0:g}, "
                f"because the outputs lie {'in' if half else 'outside'} [0, 1]."
            )
            return BINARY, {"accuracy": right / values}, note
        errors = {"mse": sums["square"] / values, "mae": sums["gap"] / values}
        return NUMBERS, errors, ""

    def _add_values(
        self, labels: np.ndarray, outputs: np.ndarray, weights: Any
    ) -> None:
        y: np.ndarray = labels.astype("float64")
        p: np.ndarray = outputs.astype("float64")
        share = self._weigh(weights, y.shape)
        sums = self._sums
        self._value_weight += share.sum()
        sums["square"] += (share * (p - y) ** 2).sum()
        sums["gap"] += (share * abs(p - y)).sum()
        # A file may end in an argmax.
        self._are_classes &= outputs.dtype.kind in "iu"
        sums["equal"] += (share * (p == y)).sum()
        self._are_binary &= bool(np.isin(y, (0.0, 1.0)).all())
        sums["above_half"] += (share * ((p > 0.5) == (y > 0.5))).sum()
        sums["above_zero"] += (share * ((p > 0.0) == (y > 0.5))).sum()
        self._are_probabilities &= bool(((p >= 0.0) & (p <= 1.0)).all())
        self._are_rows &= (
            y.ndim > 1
            and y.shape[-1] > 1
            and bool((y >= 0.0).all())
            and bool((abs(y.sum(-1) - 1.0) < 1e-4).all())
        )
        if self._are_rows:
            row = self._weigh(weights, y.shape[:-1])
            self._row_weight += row.sum()
            sums["rows"] += (row * _is_right(p, y.argmax(-1))).sum()

    def _weigh(self, weights: Any, shape: tuple[int, ...]) -> np.ndarray:
        """Returns one weight per label."""
        if weights is None:
            return np.ones(shape)
        array = np.asarray(weights, "float64")
        while array.ndim > len(shape) and array.shape[-1] == 1:
            array = array[..., 0]
        if array.shape != shape[: array.ndim]:
            raise ValueError(
                "The sample weights must hold one number for each sample or "
                f"label. Received: shape {np.shape(weights)} for labels of "
                f"shape {shape}"
            )
        array = array.reshape(array.shape + (1,) * (len(shape) - array.ndim))
        return np.broadcast_to(array, shape)

    def _check_classes(self, labels: np.ndarray, count: int) -> np.ndarray:
        classes: np.ndarray = labels.astype("int64")
        if not np.array_equal(classes, labels):
            raise self._mismatch(labels, np.zeros((len(labels), count)))
        low, high = int(classes.min()), int(classes.max())
        if low < 0 or high >= count:
            first = (
                " Subtract 1 if the first class is 1."
                if (low, high) == (1, count)
                else ""
            )
            raise ValueError(
                f"Argument `y` must hold class numbers from 0 to {count - 1} "
                f"for output {self._name!r}, which has {count} classes. "
                f"Received: numbers from {low} to {high}.{first}"
            )
        return classes

    def _mismatch(self, labels: np.ndarray, outputs: np.ndarray) -> ValueError:
        rows, shape = outputs.shape[:-1], outputs.shape
        return ValueError(
            f"Argument `y` must hold, for output {self._name!r}, class numbers "
            f"of shape {rows} or values of shape {shape}, the same in every "
            f"batch. Received: {labels.dtype} of shape {labels.shape}, in a "
            f"batch of {len(outputs)} samples"
        )


def _is_right(outputs: np.ndarray, classes: np.ndarray) -> np.ndarray:
    found: np.ndarray = outputs.argmax(-1) == classes
    return found & ~np.isnan(outputs).any(-1)
