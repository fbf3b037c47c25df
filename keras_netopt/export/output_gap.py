"""The difference between the outputs of a file and of its model, by sample."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_netopt.export.export_error import ExportError
from keras_netopt.export.model_runs import measure_gap

TIE = 1e-6  # Classes whose values are closer, relative to the scale, tie.


@dataclass(frozen=True)
class OutputGap:
    """How much one output of a file differs from that of the model.

    Args:
        max_abs: Largest difference.
        scale: Largest absolute value of the model, 1 if all are 0.
        relative: Largest difference of each sample, shape `(samples,)`,
            relative to the largest distance of this sample from the median
            output, or to the median of these distances if that is larger; to
            `scale` if all samples have one output.
        same_class: Whether the largest value of each sample is at the same
            index, shape `(samples,)`; `None` unless the output has the shape
            `(batch, classes)`.
    """

    max_abs: float
    scale: float
    relative: np.ndarray
    same_class: np.ndarray | None

    @property
    def agreement(self) -> float | None:
        """Share of the samples with the same class."""
        same = self.same_class
        return None if same is None else float(np.mean(same))

    def quantile(self, share: float) -> float:
        """Returns the relative difference that a share of samples keeps."""
        return float(np.quantile(self.relative, share))


def compare_output(
    name: str, expected: Sequence[np.ndarray], actual: Sequence[np.ndarray]
) -> OutputGap:
    """Compares one output, batch by batch.

    Raises ExportError if shapes differ, or one is NaN or infinite where the
    other is not.
    """
    gaps, same = [], []
    has_classes = True
    for a, b in zip(expected, actual, strict=True):
        if a.shape != b.shape:
            raise ExportError(
                f"The file returns shape {b.shape} for output {name!r} instead "
                f"of {a.shape}. Pass an `input_signature` with a fixed "
                "batch size."
            )
        _check_finite(name, a, b)
        rows = zip(a, b, strict=True) if a.ndim else [(a, b)]
        gaps += [measure_gap(one, two) for one, two in rows]
        if a.ndim == 2 and a.shape[-1] > 1 and a.dtype.kind == "f":
            same.append(_find_same_classes(a, b))
        else:
            has_classes = False
    finite = [np.abs(a[np.isfinite(a)].astype("float64")) for a in expected]
    scale = max(float(values.max(initial=0.0)) for values in finite) or 1.0
    return OutputGap(
        max_abs=max(gaps),
        scale=scale,
        relative=np.array(gaps) / _measure_distances(expected, scale),
        same_class=np.concatenate(same) if has_classes else None,
    )


def _measure_distances(
    batches: Sequence[np.ndarray], scale: float
) -> np.ndarray | float:
    """Returns what the difference of each sample is relative to.

    Outputs whose shapes differ have no median; neither says a distance
    something that is only rounding.
    """
    if len({a.shape[1:] for a in batches}) > 1 or batches[0].ndim == 0:
        return scale
    rows = np.concatenate(batches).astype("float64")
    rows = np.where(np.isfinite(rows), rows, 0.0).reshape(len(rows), -1)
    distances = np.abs(rows - np.median(rows, axis=0)).max(axis=1, initial=0.0)
    usual = float(np.median(distances))
    if usual <= TIE * np.abs(rows).max(initial=0.0):
        return scale
    return np.maximum(distances, usual)


def _find_same_classes(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compares classes; where the model's best ones tie, all are right."""
    values: np.ndarray = a.astype("float64")
    chosen = np.take_along_axis(values, b.argmax(-1)[:, None], -1)[:, 0]
    best = values.max(-1)
    finite = np.abs(values[np.isfinite(values)]).max(initial=1e-30)
    with np.errstate(invalid="ignore"):
        tie: np.ndarray = (best == chosen) | (best - chosen <= TIE * finite)
    return tie


def _check_finite(name: str, a: np.ndarray, b: np.ndarray) -> None:
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)):
        bad = int(np.sum(finite & ~np.isfinite(b)))
        raise ExportError(
            f"The file computes NaN or infinity where the model does not: "
            f"{bad} values of output {name!r}."
        )
