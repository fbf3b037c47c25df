"""Runs an exported file and compares it with the Keras model."""

import itertools
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
from keras_netopt.export.output_gap import (
    OutputGap,
    compare_output,
)
from keras_netopt.export.quantization_mode import MODES
from keras_netopt.export.sample_split import GIVEN, HELD_OUT, RANDOM, SAME
from keras_netopt.report import Report

FLOAT_TOLERANCE = 1e-4
MAX_RELATIVE = 0.5
MIN_AGREEMENT = 0.7
NAMES = {
    RANDOM: "random inputs",
    GIVEN: "samples",
    HELD_OUT: "samples held out from the calibration",
    SAME: "samples of the calibration itself",
}
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
        median_rel_diff: Median over the samples of the largest difference of
            a sample, relative to its distance from the median output (at
            least the usual distance). The highest of all outputs.
        p95_rel_diff: The same for 95 % of the samples instead of the median.
        source: The samples compared: `"random"` numbers, those `"given"` and
            used for nothing else, those `"held out"` from the calibration, or
            those of the `"calibration"` itself.
    """

    max_abs_diff: float
    max_rel_diff: float
    agreement: float | None
    samples: int
    randomness: float = 0.0
    median_rel_diff: float = 0.0
    p95_rel_diff: float = 0.0
    source: str = GIVEN


def verify_file(
    exportable: ExportableModel,
    path: str,
    samples: Samples,
    expected: list[Arrays],
    quantize: str | None = None,
    noise: Mapping[str, float] | None = None,
    source: str = GIVEN,
) -> Verification:
    """Runs the file on each batch and compares output by output.

    `expected` are the outputs of the model, `noise` the largest difference of
    each from run to run; `quantize` sets the tolerance, `source` says where
    the samples come from. Two draws of random numbers may differ by twice the
    noise.
    Raises ExportError if the file does not run, its outputs have other names
    or shapes or are NaN, or differ more than `quantize` allows.
    """
    actual = run_file(exportable, path, samples, batches=len(expected))
    names = sorted(expected[0])
    found = {name: _compare(name, expected, actual) for name in names}
    noise = noise or {}
    randomness = max(noise.values(), default=0.0)
    said = f" ({describe_randomness(randomness)})" if randomness else ""
    shares = [one.agreement for one in found.values()]
    result = Verification(
        max_abs_diff=max(one.max_abs for one in found.values()),
        max_rel_diff=max(one.max_abs / one.scale for one in found.values()),
        agreement=min((s for s in shares if s is not None), default=None),
        samples=sum(len(next(iter(b.values()))) for b in expected),
        randomness=randomness,
        median_rel_diff=max(one.quantile(0.5) for one in found.values()),
        p95_rel_diff=max(one.quantile(0.95) for one in found.values()),
        source=source,
    )
    for name, one in found.items():
        limit = FLOAT_TOLERANCE * max(1.0, one.scale) + 2 * noise.get(name, 0.0)
        if quantize is None and one.max_abs > limit:
            raise ExportError(
                f"The outputs of the file differ from the model's: output "
                f"{name!r} by {one.max_abs:.3g}, {limit:.3g} is allowed{said}. "
                "Without `calibration_data`, pass real inputs: on random "
                "numbers a model may amplify rounding. If the file differs on "
                "real inputs too, please report this with the model."
            )
    if quantize is not None and not randomness and _is_broken(result):
        raise ExportError(
            f"Quantization quantize={quantize!r} breaks the model: "
            f"{describe_differences(result)}. {_describe_wide_layers(path)}"
            "Pass real inputs as `calibration_data`, or a mode with more bits."
        )
    return result


def run_file(
    exportable: ExportableModel,
    path: str,
    samples: Samples,
    *,
    batches: int | None = None,
) -> list[Arrays]:
    """Runs the file on each batch of samples; one dict of outputs per batch.

    `batches` is the number of batches to run. Defaults to `None`: all.
    """
    try:
        lite = TfliteModel(path)
        if set(lite.inputs) != set(exportable.names):
            raise ExportError(
                f"The file has the inputs {sorted(lite.inputs)} instead of "
                f"{sorted(exportable.names)}."
            )
        rows = iterate_batches(exportable, samples)
        return [lite.run(batch) for batch in itertools.islice(rows, batches)]
    except ExportError:
        raise
    except (RuntimeError, ValueError) as error:
        raise ExportError(
            f"The file was written but does not run: {error}"
        ) from error


def describe_differences(result: Verification) -> str:
    """Says how much a file differs, in figures that do not hide samples."""
    text = (
        f"outputs differ by {result.median_rel_diff:.2g} of their spread "
        f"(median), {result.p95_rel_diff:.2g} (95 % of the samples)"
    )
    if result.source == RANDOM:
        text = f"outputs differ by {result.max_rel_diff:.2g} of their range"
    if result.agreement is not None:
        text += f", same class for {result.agreement:.1%} of the samples"
    source = NAMES.get(result.source, result.source)
    return f"{text} ({result.samples} {source})"


def find_differences(result: Verification, quantize: str) -> str:
    """Returns a warning if a file differs more than is usual, or ""."""
    mode = MODES[quantize]
    drift, share = result.p95_rel_diff, _tested_agreement(result)
    if result.source == RANDOM:
        drift, share = result.max_rel_diff, 1.0
    if drift <= mode.warn_above and share >= mode.warn_below:
        return ""
    return (
        f"{describe_differences(result)}; at most {mode.warn_above:g} and "
        f"{mode.warn_below:.0%} of the classes are usual for {quantize!r}. "
        "Measure the accuracy of the file before you ship it."
    )


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


def _is_broken(result: Verification) -> bool:
    if result.source == RANDOM:
        return result.max_rel_diff > MAX_RELATIVE
    return (
        result.median_rel_diff > MAX_RELATIVE
        or _tested_agreement(result) < MIN_AGREEMENT
    )


def _tested_agreement(result: Verification) -> float:
    """The agreement, or 1 if it is unknown; one sample proves nothing."""
    share = 1.0 if result.agreement is None else result.agreement
    return share if round((1 - share) * result.samples) > 1 else 1.0


def _compare(
    name: str, expected: list[Arrays], actual: list[Arrays]
) -> OutputGap:
    if set(actual[0]) != set(expected[0]):
        raise ExportError(
            f"The file has the outputs {sorted(actual[0])} instead of "
            f"{sorted(expected[0])}."
        )
    sides = ([batch[name] for batch in side] for side in (expected, actual))
    return compare_output(name, *sides)
