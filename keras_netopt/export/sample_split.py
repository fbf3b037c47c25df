"""Splits samples into those that calibrate a file and those that judge it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.export.exportable_model import ExportableModel
from keras_netopt.export.input_samples import Arrays, Samples, make_samples

CALIBRATED = 256  # At most this many samples set the ranges of activations.
JUDGED, JUDGED_SINGLY = 1024, 256  # With a free batch axis, or a fixed one.
FEW = 20  # With fewer samples, all of them calibrate and all of them judge.

RANDOM, GIVEN, HELD_OUT, SAME = "random", "given", "held out", "calibration"


@dataclass(frozen=True)
class SampleSplit:
    """The samples of an export.

    Args:
        calibration: The samples that set the ranges of activations.
        verification: The samples on which the file is compared with the
            model, in random order.
        source: Where the latter come from: `"random"` numbers, samples
            `"given"` by the user and used for nothing else, those `"held out"`
            from the calibration, or those of the `"calibration"` itself.
        notes: What was left out, or that there are few samples.
        warnings: Why the samples say nothing.
    """

    calibration: Samples
    verification: Samples
    source: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def split_samples(
    exportable: ExportableModel,
    data: Any = None,
    *,
    calibrate: bool = False,
    seed: int = 0,
) -> SampleSplit:
    """Reads `calibration_data` and splits it.

    `calibrate` says whether the file needs ranges of activations. One sample
    of each equal part of the data calibrates, at most half of them.
    """
    judged = JUDGED if exportable.batch is None else JUDGED_SINGLY
    limit = judged + CALIBRATED if calibrate else judged
    samples, read = make_samples(exportable, data, limit=limit, seed=seed)
    if data is None:
        return SampleSplit(samples, samples, RANDOM)
    rng = np.random.default_rng(seed)
    count = _count(samples)
    notes = (
        [f"`calibration_data`: the first {read:,} samples were read"]
        if read is not None
        else []
    )
    warnings = list(_describe_constants(samples, count))
    if not calibrate:
        return SampleSplit(
            samples,
            [_shuffle(arrays, rng) for arrays in samples],
            GIVEN,
            tuple(notes),
            tuple(warnings),
        )
    if count < FEW:
        notes.append(
            f"`calibration_data` holds {count} samples: the file was "
            "calibrated and verified on the same ones. Pass 200 or more, at "
            f"least {FEW}"
        )
        return SampleSplit(
            samples, samples, SAME, tuple(notes), tuple(warnings)
        )
    chosen: np.ndarray = np.zeros(count, "bool")
    number = min(CALIBRATED, count // 2)
    edges: np.ndarray = np.arange(number + 1) * count // number
    chosen[rng.integers(edges[:-1], edges[1:])] = True
    return SampleSplit(
        list(_take(samples, chosen)),
        [_shuffle(arrays, rng) for arrays in _take(samples, ~chosen)],
        HELD_OUT,
        tuple(notes),
        tuple(warnings),
    )


def _count(samples: Samples) -> int:
    return sum(len(next(iter(arrays.values()))) for arrays in samples)


def _take(samples: Samples, chosen: np.ndarray) -> Iterator[Arrays]:
    """Yields the chosen samples of each group, if there are some."""
    start = 0
    for arrays in samples:
        stop = start + len(next(iter(arrays.values())))
        rows = np.flatnonzero(chosen[start:stop])
        if len(rows):
            yield {name: array[rows] for name, array in arrays.items()}
        start = stop


def _shuffle(arrays: Arrays, rng: np.random.Generator) -> Arrays:
    rows = rng.permutation(len(next(iter(arrays.values()))))
    return {name: array[rows] for name, array in arrays.items()}


def _describe_constants(samples: Samples, count: int) -> Iterator[str]:
    """Warns if all samples are equal, so that they are one input only."""
    first = {name: array[:1] for name, array in samples[0].items()}
    if count > 1 and all(
        array.shape[1:] == first[name].shape[1:]
        and np.array_equal(array, np.broadcast_to(first[name], array.shape))
        for arrays in samples
        for name, array in arrays.items()
    ):
        yield (
            f"all {count} samples of `calibration_data` are equal: the file "
            "was judged on one input. Pass real inputs."
        )
