"""Inputs for the calibration and verification of a file."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_netopt.export.calibration_forms import read_batches
from keras_netopt.export.exportable_model import ExportableModel
from keras_netopt.export.spread_samples import choose_rows, spread_samples
from keras_netopt.graph.layers import walk_layers

MAX_SAMPLES = 256
FREE_AXIS = 32
Arrays = dict[str, np.ndarray]
Samples = list[Arrays]


def make_samples(
    exportable: ExportableModel,
    data: Any = None,
    *,
    limit: int = MAX_SAMPLES,
    seed: int = 0,
) -> tuple[Samples, int | None]:
    """Returns input samples by name: the user's, or random ones.

    `data` is in a form of `calibration_forms`; of more than `limit` samples
    some are taken that are spread over all of them. Without it the samples are
    random numbers in [0, 1), and integers below the smallest vocabulary. The
    arrays have the dtypes of the inputs; samples of other shapes, such as
    longer sequences, are in another dict. The number is that of
    `spread_samples`: how many were read, where the data have more.
    """
    if data is None:
        return [_random(exportable, seed)], None
    rng = np.random.default_rng(seed)
    batches = read_batches(
        exportable.inputs, data, choose=lambda n: choose_rows(n, limit, rng)
    )
    rows, read = spread_samples(map(_check_lengths, batches), limit, rng)
    return [_convert_all(exportable, rows) for rows in _group(rows)], read


def _group(rows: list[list[np.ndarray]]) -> list[list[list[np.ndarray]]]:
    """Puts batches that follow each other and have equal shapes together."""
    groups: list[list[list[np.ndarray]]] = []
    for arrays in rows:
        shapes = [array.shape[1:] for array in arrays]
        if groups and shapes == [a.shape[1:] for a in groups[-1][-1]]:
            groups[-1].append(arrays)
        else:
            groups.append([arrays])
    return groups


def _convert_all(
    exportable: ExportableModel, rows: list[list[np.ndarray]]
) -> Arrays:
    return {
        name: _convert(name, np.concatenate(parts), spec.dtype)
        for parts, (name, spec) in zip(
            zip(*rows, strict=True), exportable.specs.items(), strict=True
        )
    }


def iterate_batches(
    exportable: ExportableModel, samples: Samples, *, single: bool = False
) -> Iterator[Arrays]:
    """Yields samples in batches of the sizes that the file accepts.

    With a free batch axis these are three batches of 1, eight of 4, then of
    32; with `single` every batch holds 1 sample.
    """
    fixed = exportable.batch
    for arrays in samples:
        total = len(next(iter(arrays.values())))
        start = 0
        while start < total:
            free = 1 if single or start < 3 else 4 if start < 35 else 32
            size = fixed or free
            # The last fixed batch is filled with samples from the beginning.
            stop = start + size if fixed else min(start + size, total)
            index = [k % total for k in range(start, stop)]
            yield {name: array[index] for name, array in arrays.items()}
            start += size


def pack_inputs(exportable: ExportableModel, arrays: Arrays) -> list[Any]:
    """Arranges arrays by name as the positional arguments of the model."""
    flat = [arrays[name] for name in exportable.names]
    packed: list[Any] = keras.tree.pack_sequence_as(exportable.signature, flat)
    return packed


def _check_lengths(batch: list[np.ndarray]) -> list[np.ndarray]:
    lengths = {len(array) for array in batch}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "Argument `calibration_data` must hold equally many samples for "
            "each input, at least one. Received: shapes "
            f"{[array.shape for array in batch]}"
        )
    return batch


def _convert(name: str, array: np.ndarray, dtype: str) -> np.ndarray:
    # An overflow is an infinity, which is told.
    with np.errstate(over="ignore", invalid="ignore"):
        converted: np.ndarray = array.astype(dtype)
    for values in (array, converted):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(
                "Argument `calibration_data` must be finite. Received: "
                f"{int(np.sum(~np.isfinite(values))):,} of {values.size:,} "
                f"values of input {name!r} are NaN or infinite as {dtype}. "
                "Pass inputs as the model gets them after preprocessing."
            )
    if array.dtype.kind == "f" and converted.dtype.kind in "biu":
        if not np.array_equal(converted, array):
            raise ValueError(
                f"Argument `calibration_data` must hold integers for input "
                f"{name!r} of dtype {dtype}. Received: fractions, such as "
                f"{array[converted != array].flat[0]:.4g}. A list gives the "
                "arrays in the order of the model's inputs."
            )
    return converted


def _random(exportable: ExportableModel, seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    count = 3 * (exportable.batch or 0) or 7
    limit = _smallest_vocabulary(exportable.model)
    arrays = {}
    for name, spec in exportable.specs.items():
        shape = (count, *(axis or FREE_AXIS for axis in spec.shape[1:]))
        if spec.dtype == "bool":
            arrays[name] = rng.random(shape) < 0.5
        elif "int" in spec.dtype:
            values = rng.integers(0, min(limit, 128), shape)
            arrays[name] = values.astype(spec.dtype)
        else:
            arrays[name] = rng.random(shape).astype(spec.dtype)
    return arrays


def _smallest_vocabulary(model: keras.Model) -> int:
    sizes = [
        getattr(layer, size)
        for layer in walk_layers(model)
        for size in ("input_dim", "num_tokens")
        if isinstance(getattr(layer, size, None), int)
    ]
    return min(sizes, default=10)
