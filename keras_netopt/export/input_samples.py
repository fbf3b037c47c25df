"""Inputs for the calibration and verification of a file."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_netopt.export.calibration_forms import read_batches
from keras_netopt.export.exportable_model import ExportableModel
from keras_netopt.graph.layers import walk_layers

MAX_SAMPLES = 256
FREE_AXIS = 32
Arrays = dict[str, np.ndarray]
Samples = list[Arrays]


def make_samples(
    exportable: ExportableModel, data: Any = None, *, seed: int = 0
) -> Samples:
    """Returns input samples by name: the user's, or random ones.

    `data` is in a form of `calibration_forms`. Without it the samples are
    random numbers in [0, 1), and integers below the smallest vocabulary. The
    arrays have the dtypes of the inputs; samples of other shapes, such as
    longer sequences, are in another dict.
    """
    if data is None:
        return [_random(exportable, seed)]
    specs = exportable.specs
    groups: list[list[Arrays]] = []
    left = MAX_SAMPLES
    for batch in read_batches(exportable.inputs, data, limit=MAX_SAMPLES):
        _check_lengths(batch)
        arrays = {
            name: _convert(name, array[:left], spec.dtype)
            for array, (name, spec) in zip(batch, specs.items(), strict=True)
        }
        shapes = [array.shape[1:] for array in arrays.values()]
        if groups and shapes == [a.shape[1:] for a in groups[-1][-1].values()]:
            groups[-1].append(arrays)
        else:
            groups.append([arrays])
        left -= len(batch[0])
        if left <= 0:
            break
    return [
        {name: np.concatenate([a[name] for a in group]) for name in specs}
        for group in groups
    ]


def iterate_batches(
    exportable: ExportableModel, samples: Samples, *, single: bool = False
) -> Iterator[Arrays]:
    """Yields samples in batches of the sizes that the file accepts.

    With a free batch axis these are three batches of 1, then of 4; with
    `single` every batch holds 1 sample.
    """
    fixed = exportable.batch
    for arrays in samples:
        total = len(next(iter(arrays.values())))
        start = 0
        while start < total:
            size = fixed or (1 if single or start < 3 else 4)
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


def _check_lengths(batch: list[np.ndarray]) -> None:
    lengths = {len(array) for array in batch}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "Argument `calibration_data` must hold equally many samples for "
            "each input, at least one. Received: shapes "
            f"{[array.shape for array in batch]}"
        )


def _convert(name: str, array: np.ndarray, dtype: str) -> np.ndarray:
    converted: np.ndarray = array.astype(dtype)
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
