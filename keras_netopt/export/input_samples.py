"""Inputs for the calibration and verification of a file."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt.export.exportable_model import ExportableModel
from keras_netopt.graph.layers import walk_layers

MAX_SAMPLES = 256
FREE_AXIS = 32
Arrays = dict[str, np.ndarray]


def make_samples(
    exportable: ExportableModel, data: Any = None, *, seed: int = 0
) -> Arrays:
    """Returns input samples by name: the user's, or random ones.

    `data` holds arrays in the structure of the model's inputs, a dict by input
    name, or an iterable of batches such as a `tf.data.Dataset`. Without it the
    samples are random numbers in [0, 1), and integers below the smallest
    vocabulary. The arrays have equal length and the dtypes of the inputs.
    """
    if data is None:
        return _random(exportable, seed)
    flat = _flat(exportable, data)
    specs = exportable.specs
    if len(flat) != len(specs):
        raise ValueError(
            f"Argument `calibration_data` must hold {len(specs)} inputs: "
            f"{list(specs)}. Received: {len(flat)} arrays"
        )
    arrays = {
        name: np.asarray(value)[:MAX_SAMPLES].astype(spec.dtype)
        for (name, spec), value in zip(specs.items(), flat, strict=True)
    }
    _check(arrays, specs)
    return arrays


def iterate_batches(
    exportable: ExportableModel, samples: Arrays, *, single: bool = False
) -> Iterator[Arrays]:
    """Yields samples in batches of the sizes that the file accepts.

    With a free batch axis these are three batches of 1, then of 4; with
    `single` every batch holds 1 sample.
    """
    total = len(next(iter(samples.values())))
    fixed = exportable.batch
    start = 0
    while start < total:
        size = fixed or (1 if single or start < 3 else 4)
        # The last fixed batch is filled with samples from the beginning.
        stop = start + size if fixed else min(start + size, total)
        index = [k % total for k in range(start, stop)]
        yield {name: array[index] for name, array in samples.items()}
        start += size


def pack_inputs(exportable: ExportableModel, arrays: Arrays) -> list[Any]:
    """Arranges arrays by name as the positional arguments of the model."""
    flat = [arrays[name] for name in exportable.names]
    packed: list[Any] = keras.tree.pack_sequence_as(exportable.signature, flat)
    return packed


def _flat(exportable: ExportableModel, data: Any) -> list[Any]:
    if _is_stream(data):
        rows = []
        count = 0
        for batch in data:
            inputs = batch[0] if isinstance(batch, tuple) else batch
            rows.append(_ordered(exportable, inputs))
            count += len(rows[-1][0])
            if count >= MAX_SAMPLES:
                break
        if not rows:
            raise ValueError(
                "Argument `calibration_data` must hold samples. "
                f"Received: calibration_data={data!r}, which is empty"
            )
        return [np.concatenate(column) for column in zip(*rows, strict=True)]
    return _ordered(exportable, data)


def _is_stream(data: Any) -> bool:
    arrays = hasattr(data, "shape") or isinstance(data, (list, tuple, Mapping))
    return not arrays and hasattr(data, "__iter__")


def _ordered(exportable: ExportableModel, data: Any) -> list[np.ndarray]:
    if isinstance(data, Mapping):
        for names in (exportable.input_names, exportable.names):
            if set(data) == set(names):
                return [np.asarray(data[name]) for name in names]
        structure = exportable.signature[0]
        if not isinstance(structure, Mapping) or set(data) != set(structure):
            raise ValueError(
                "Argument `calibration_data` must hold one array for each of "
                f"the inputs {list(exportable.input_names)}. "
                f"Received: keys {list(data)}"
            )
    if len(exportable.names) == 1 and isinstance(data, list):
        # A list of one array is that array; a list of samples is stacked.
        axes = len(next(iter(exportable.specs.values())).shape)
        if not (len(data) == 1 and np.ndim(data[0]) == axes):
            return [np.asarray(data)]
    return [np.asarray(leaf) for leaf in keras.tree.flatten(data)]


def _check(arrays: Arrays, specs: Mapping[str, keras.InputSpec]) -> None:
    lengths = {len(array) if array.ndim else 0 for array in arrays.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "Argument `calibration_data` must hold equally many samples for "
            "each input, at least one. Received: shapes "
            f"{[array.shape for array in arrays.values()]}"
        )
    for name, array in arrays.items():
        wanted = specs[name].shape[1:]
        fits = len(wanted) == array.ndim - 1 and all(
            axis in (None, size)
            for axis, size in zip(wanted, array.shape[1:], strict=True)
        )
        if not fits:
            raise ValueError(
                "Argument `calibration_data` must have shape "
                f"{(None, *wanted)} for input {name!r}. "
                f"Received: shape {array.shape}"
            )


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
