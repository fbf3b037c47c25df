"""Runs an exported file and compares it with the Keras model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from keras_netopt.cost.tflite_model import TfliteModel, find_wide_tensors
from keras_netopt.export.export_error import ExportError
from keras_netopt.export.exportable_model import ExportableModel
from keras_netopt.export.input_samples import (
    Arrays,
    Samples,
    iterate_batches,
)
from keras_netopt.export.model_runs import measure_gap
from keras_netopt.export.quantization_mode import MODES
from keras_netopt.report import Report

FLOAT_TOLERANCE = 1e-4
MAX_RELATIVE = 0.5
MIN_AGREEMENT = 0.7
WIDE = 1e5  # Range of values of which integers hold no useful steps.


@dataclass(frozen=True)
class Verification(Report):
    """Differences between a file and its model.

    Example:

    >>> Verification(1e-7, 1e-7, 1.0, 3).max_abs_diff
    1e-07

    Args:
        max_abs_diff: Largest difference of any output.
        max_rel_diff: The same, divided by the largest value of that output.
        agreement: Share of samples with the same largest class, the lowest
            of all outputs of shape `(batch, classes)`; `None` without such.
        samples: Number of samples compared.
        randomness: Largest difference of the model from itself, if it draws
            random numbers at inference, else 0.
    """

    max_abs_diff: float
    max_rel_diff: float
    agreement: float | None
    samples: int
    randomness: float = 0.0


def verify_file(
    exportable: ExportableModel,
    path: str,
    samples: Samples,
    expected: list[Arrays],
    quantize: str | None = None,
    noise: Mapping[str, float] | None = None,
) -> Verification:
    """Runs the file on each batch and compares output by output.

    `expected` are the outputs of the model, `noise` the largest difference of
    each from run to run; `quantize` sets the tolerance. Two draws of random
    numbers may differ by twice the noise.
    Raises ExportError if the file does not run, its outputs have other names
    or shapes or are NaN, or differ more than `quantize` allows.
    """
    actual = run_file(exportable, path, samples)
    found = [_compare(name, expected, actual) for name in sorted(expected[0])]
    noise = noise or {}
    randomness = max(noise.values(), default=0.0)
    said = f" ({describe_randomness(randomness)})" if randomness else ""
    shares = [share for _, _, share in found if share is not None]
    result = Verification(
        max_abs_diff=max(diff for diff, _, _ in found),
        max_rel_diff=max(diff / scale for diff, scale, _ in found),
        agreement=min(shares, default=None),
        samples=sum(len(next(iter(b.values()))) for b in expected),
        randomness=randomness,
    )
    for name, (diff, scale, _) in zip(sorted(expected[0]), found, strict=True):
        limit = FLOAT_TOLERANCE * max(1.0, scale) + 2 * noise.get(name, 0.0)
        if quantize is None and diff > limit:
            raise ExportError(
                f"The outputs of the file differ from the model's: output "
                f"{name!r} by {diff:.3g}, {limit:.3g} is allowed{said}. "
                "Without `calibration_data`, pass real inputs: on random "
                "numbers a model may amplify rounding. If the file differs on "
                "real inputs too, please report this with the model."
            )
    if quantize is not None and not randomness and _is_broken(result, quantize):
        raise ExportError(
            f"Quantisation quantize={quantize!r} breaks the model: relative "
            f"difference {result.max_rel_diff:.3g}, same class for "
            f"{result.agreement} of the samples. {_describe_wide_layers(path)}"
            "Pass real inputs as `calibration_data`, or a mode with more bits."
        )
    return result


def run_file(
    exportable: ExportableModel, path: str, samples: Samples
) -> list[Arrays]:
    """Runs the file on each batch of samples; one dict of outputs per batch."""
    try:
        lite = TfliteModel(path)
        if set(lite.inputs) != set(exportable.names):
            raise ExportError(
                f"The file has the inputs {sorted(lite.inputs)} instead of "
                f"{sorted(exportable.names)}."
            )
        return [
            lite.run(batch) for batch in iterate_batches(exportable, samples)
        ]
    except ExportError:
        raise
    except (RuntimeError, ValueError) as error:
        raise ExportError(
            f"The file was written but does not run: {error}"
        ) from error


def describe_randomness(randomness: float) -> str:
    """Says how random a model is."""
    return f"random: outputs differ from run to run by {randomness:.2g}"


def repeats_itself(
    exportable: ExportableModel, path: str, samples: Samples
) -> bool:
    """Returns whether a file gives the same outputs for the same inputs."""
    lite = TfliteModel(path)
    batch = next(iterate_batches(exportable, samples))
    one, two = lite.run(batch), lite.run(batch)
    return all(np.array_equal(one[name], two[name]) for name in one)


def _describe_wide_layers(path: str) -> str:
    """Names layers whose values span more than integers can hold."""
    wide = find_wide_tensors(path, above=WIDE)
    # A fused op has the names of all its parts.
    first = (name.partition(";")[0] for name in wide)
    layers = sorted({name.rpartition("/")[0] for name in first} - {""})
    if not layers:
        return ""
    return (
        f"The values in {', '.join(layers[:3])} span {max(wide.values()):.2g}, "
        "as with -1e9 for masked entries, which leaves no steps for the "
        "others: mask with a smaller number, such as -100. "
    )


def _is_broken(result: Verification, quantize: str) -> bool:
    if result.max_rel_diff > MAX_RELATIVE:
        return True
    drifts = result.max_rel_diff > MODES[quantize].warn_above
    share = 1.0 if result.agreement is None else result.agreement
    return drifts and share < MIN_AGREEMENT


def _compare(
    name: str, expected: list[Arrays], actual: list[Arrays]
) -> tuple[float, float, float | None]:
    """Returns the difference, the scale and the agreement of one output."""
    if set(actual[0]) != set(expected[0]):
        raise ExportError(
            f"The file has the outputs {sorted(actual[0])} instead of "
            f"{sorted(expected[0])}."
        )
    diff, scale, same, rows = 0.0, 0.0, 0, 0
    for model_batch, file_batch in zip(expected, actual, strict=True):
        a, b = model_batch[name], file_batch[name]
        if a.shape != b.shape:
            raise ExportError(
                f"The file returns shape {b.shape} for output {name!r} instead "
                f"of {a.shape}. Pass an `input_signature` with a fixed "
                "batch size."
            )
        diff = max(diff, _difference(name, a, b))
        finite = np.abs(a[np.isfinite(a)].astype("float64"))
        scale = max(scale, float(finite.max(initial=0.0)))
        if a.ndim == 2 and a.shape[-1] > 1 and a.dtype.kind == "f":
            same += int(np.sum(a.argmax(-1) == b.argmax(-1)))
            rows += len(a)
    return diff, scale or 1.0, same / rows if rows else None


def _difference(name: str, a: np.ndarray, b: np.ndarray) -> float:
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)):
        bad = int(np.sum(finite & ~np.isfinite(b)))
        raise ExportError(
            f"The file computes NaN or infinity where the model does not: "
            f"{bad} values of output {name!r}."
        )
    return measure_gap(a, b)
