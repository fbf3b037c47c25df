"""What the bytes of a LiteRT file hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.cost.tflite_model import load_schema
from keras_netopt.report import Report

LABELS = {
    "weights": "weights",
    "sparse_indices": "indices of sparse weights",
    "scales": "scales and zero points",
    "tensor_names": "tensor names",
    "other": "other",
}


@dataclass(frozen=True)
class FileBreakdown(Report):
    """The bytes of a LiteRT file by what they hold.

    Example:

    >>> print(FileBreakdown(weights=800, scales=120, other=80))
    weights 800 (80 %), scales and zero points 120 (12 %), other 80 (8 %)

    Args:
        weights: The values of all constant tensors: kernels, biases and the
            constants of ops.
        sparse_indices: The places of the weights that are stored sparsely.
        scales: Scales, zero points and ranges of quantized tensors; a zero
            point has 8 bytes.
        tensor_names: The names of the tensors, which no signature shows.
        other: Operators, shapes, signatures, metadata and padding.
    """

    weights: int = 0
    sparse_indices: int = 0
    scales: int = 0
    tensor_names: int = 0
    other: int = 0

    @property
    def total(self) -> int:
        """The bytes of the file."""
        return sum(getattr(self, name) for name in LABELS)

    def __str__(self) -> str:
        return ", ".join(
            f"{label} {count:,} ({count / self.total:.0%})".replace("%", " %")
            for name, label in LABELS.items()
            if (count := getattr(self, name))
        )


def measure_breakdown(content: bytes) -> FileBreakdown:
    """Counts the bytes of a LiteRT file by what they hold.

    Data that several tensors share count once.
    """
    model = load_schema().Model.GetRootAsModel(content, 0)
    found: dict[str, dict[int, int]] = {name: {} for name in LABELS}
    weights: dict[int, int] = {}
    names = 0
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            names += len(tensor.Name() or b"")
            buffer = model.Buffers(tensor.Buffer())
            # Data behind the 2 GB of a flatbuffer have a size of their own.
            size = max(buffer.DataLength(), buffer.Size())
            weights[tensor.Buffer()] = size
            for part, array in _vectors(tensor):
                place = array.__array_interface__["data"][0]
                found[part][place] = array.nbytes
    counts = {
        "weights": sum(weights.values()),
        "sparse_indices": sum(found["sparse_indices"].values()),
        "scales": sum(found["scales"].values()),
        "tensor_names": names,
    }
    return FileBreakdown(**counts, other=len(content) - sum(counts.values()))


def _vectors(tensor: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the arrays of a tensor that have a row of their own."""
    if (scales := tensor.Quantization()) is not None:
        for name in ("Scale", "ZeroPoint", "Min", "Max"):
            if getattr(scales, f"{name}Length")():
                yield "scales", getattr(scales, f"{name}AsNumpy")()
    if (sparsity := tensor.Sparsity()) is not None:
        for k in range(sparsity.DimMetadataLength()):
            axis = sparsity.DimMetadata(k)
            for table, kind in (
                (axis.ArraySegments(), axis.ArraySegmentsType()),
                (axis.ArrayIndices(), axis.ArrayIndicesType()),
            ):
                if table is not None:
                    yield "sparse_indices", _read_indices(table, kind)


def _read_indices(table: Any, kind: int) -> np.ndarray:
    """Reads a vector of indices, whose integers have one of three types."""
    schema = load_schema()
    kinds = schema.SparseIndexVector
    vector = {
        kinds.Int32Vector: schema.Int32Vector,
        kinds.Uint16Vector: schema.Uint16Vector,
        kinds.Uint8Vector: schema.Uint8Vector,
    }[kind]()
    vector.Init(table.Bytes, table.Pos)
    found: np.ndarray = vector.ValuesAsNumpy()
    return found
