"""Inputs for the run of a file in TFLite Micro."""

from typing import Any

import numpy as np

from keras_netopt.cost.tflite_model import TensorInfo
from keras_netopt.export.file_feeds import encode_input, match_names
from keras_netopt.export.micro.file_graph import FileGraph
from keras_netopt.export.spread_samples import choose_rows

SAMPLES = 16
VOCABULARY = 10  # Random integers are below it, unless a table is smaller.
MAX_BYTES = 2**30  # Of activations and of inputs.
TYPES = (
    *("BOOL", "FLOAT32", "FLOAT64"),
    *("INT8", "INT16", "INT32", "INT64", "UINT8"),
)
TABLES = {"GATHER": 0, "EMBEDDING_LOOKUP": 1}  # The place of their table.


def explain_no_feeds(file: FileGraph, planned: int | None) -> str:
    """Returns why a file cannot be run, or an empty string."""
    graph = file.graphs[0]
    for index in (*graph.inputs, *graph.outputs):
        if (dtype := graph.tensors[index].dtype) not in TYPES:
            return f"an input or output has the type {dtype.lower()}"
    sizes = [SAMPLES * graph.tensors[k].elements * 8 for k in graph.inputs]
    if max([planned or 0, *sizes]) > MAX_BYTES:
        return f"it needs more than {MAX_BYTES:,} bytes of memory"
    return ""


def make_feeds(file: FileGraph, data: Any, seed: int) -> dict[str, np.ndarray]:
    """Returns inputs of shape `(calls, *shape of the tensor)` by name."""
    graph = file.graphs[0]
    rng = np.random.default_rng(seed)
    infos = {n: graph.tensors[t].info(n) for n, t in file.inputs.items()}
    shapes = {n: graph.tensors[t].shape for n, t in file.inputs.items()}
    if data is None:
        limit = _smallest_table(file)
        return {
            name: _random(info, (SAMPLES, *shapes[name]), limit, rng)
            for name, info in infos.items()
        }
    given = match_names(data, list(infos), "data")
    given = {name: np.asarray(array) for name, array in given.items()}
    counts = {len(array) if array.ndim else 0 for array in given.values()}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(
            "Argument `data` must hold equally many samples for each input, "
            "at least one. Received: shapes "
            f"{[array.shape for array in given.values()]}"
        )
    rows = choose_rows(counts.pop(), SAMPLES, rng)
    return {
        name: _split(
            encode_input(infos[name], array[rows], "data"),
            shapes[name],
            rows.size,
        )
        for name, array in given.items()
    }


def _split(array: np.ndarray, shape: tuple[int, ...], count: int) -> np.ndarray:
    """Puts samples into batches of the file; the last one is filled up."""
    batch = shape[0] if shape else 1
    rows: np.ndarray = np.arange(-(-count // batch) * batch) % count
    return array[rows].reshape(-1, *shape)


def _random(
    info: TensorInfo,
    shape: tuple[int, ...],
    limit: int,
    rng: np.random.Generator,
) -> np.ndarray:
    if info.dtype == "bool":
        return rng.random(shape) < 0.5
    if not info.scale and np.dtype(info.dtype).kind in "iu":
        return rng.integers(0, limit, shape).astype(info.dtype)
    return info.encode(rng.random(shape, "float32"))


def _smallest_table(file: FileGraph) -> int:
    """Rows of the smallest table that an index of the inputs may read."""
    sizes = [VOCABULARY]
    for graph in file.graphs:
        for operator in graph.operators:
            place = TABLES.get(operator.name)
            table = None if place is None else graph.read(operator, place)
            if table is not None and table.shape:
                sizes.append(table.shape[0])
    return max(1, min(sizes))
