"""Reads the weights in a LiteRT file, packed integers included."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_netopt.cost.tflite_model import load_schema, read_operators

BITS = {
    "FLOAT32": 32,
    "FLOAT16": 16,
    "INT8": 8,
    "UINT8": 8,
    "INT4": 4,
    "INT2": 2,
}
DTYPES = {"FLOAT32": "float32", "FLOAT16": "float16", "UINT8": "uint8"}
# Ops whose output stands for the constant that they decode.
DECODERS = ("DEQUANTIZE", "DENSIFY")
# The axis of the output channels, where it is not the first.
CHANNEL_AXES = {
    "DEPTHWISE_CONV_2D": 3,
    "CONV_3D": 4,
    "CONV_3D_TRANSPOSE": 3,
}


@dataclass(frozen=True, eq=False)
class StoredWeight:
    """A constant of a LiteRT file with two axes or more.

    Args:
        name: Its name in the file.
        dtype: The name of its type in the file's schema, such as "INT4".
        shape: Its shape.
        nbytes: Bytes of its values in the file, without scales.
        values: Its values; integers are not multiplied by scales. `None` for
            values in a sparse format.
        scales: The scale of each channel, or one for all; empty for floats.
        axis: The axis of the output channels.
        readers: Name of the op and names of its outputs, joined by ";", for
            each op that reads the weight.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    values: np.ndarray | None = field(repr=False)
    scales: np.ndarray = field(repr=False)
    axis: int
    readers: tuple[tuple[str, str], ...]

    @property
    def op(self) -> str:
        """The op that reads the weight first."""
        return self.readers[0][0]

    @property
    def bits(self) -> int:
        """Bits of one value."""
        return BITS[self.dtype]

    @property
    def is_float(self) -> bool:
        """Whether the values are floats."""
        return self.dtype.startswith("FLOAT")

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    def by_channel(self) -> np.ndarray:
        """Returns the values as a matrix with one row per output channel."""
        if self.values is None:
            raise ValueError(f"{self.name} is stored in a sparse format.")
        moved = np.moveaxis(self.values, self.axis, 0)
        return moved.reshape(len(moved), -1)


def read_weights(content: bytes) -> list[StoredWeight]:
    """Reads the weights of all subgraphs of a LiteRT file.

    Args:
        content: The bytes of the file.

    Returns:
        One entry per constant of two axes or more that holds numbers of a
        type in `BITS`, in the order in which ops read them.
    """
    model = load_schema().Model.GetRootAsModel(content, 0)
    found: list[StoredWeight] = []
    for subgraph in map(model.Subgraphs, range(model.SubgraphsLength())):
        found += _read_subgraph(content, model, subgraph)
    return found


def unpack(raw: np.ndarray, bits: int, count: int) -> np.ndarray:
    """Unpacks signed integers of less than a byte, lowest bits first.

    Example:

    >>> unpack(np.array([0x2F], "uint8"), 4, 2)
    array([-1,  2], dtype=int8)
    >>> unpack(np.array([0b10010011], "uint8"), 2, 3)
    array([-1,  0,  1], dtype=int8)

    Args:
        raw: Bytes, uint8.
        bits: Bits of one integer: 4 or 2.
        count: Number of integers; the last byte may hold fewer.

    Returns:
        Integers as int8, of shape `(count,)`.
    """
    shifts: np.ndarray = np.arange(0, 8, bits, dtype="uint8")
    parts = (raw[:, None] >> shifts) & (2**bits - 1)
    values = parts.ravel()[:count].astype("int8")
    return np.where(values >= 2 ** (bits - 1), values - 2**bits, values).astype(
        "int8"
    )


def _read_subgraph(
    content: bytes, model: Any, subgraph: Any
) -> Iterator[StoredWeight]:
    types = {
        code: name for name, code in vars(load_schema().TensorType).items()
    }
    decoded: dict[int, int] = {}
    readers: dict[int, list[tuple[str, str]]] = {}
    for op, inputs, outputs in read_operators(model, subgraph):
        constants = [decoded.get(i, i) for i in inputs]
        constants = [i for i in constants if _is_weight(model, subgraph, i)]
        if op in DECODERS and constants:
            decoded[outputs[0]] = constants[0]
            continue
        names = (subgraph.Tensors(i).Name().decode() for i in outputs)
        reader = (op, ";".join(names))
        for i in constants:
            readers.setdefault(i, []).append(reader)
    for i, ops in readers.items():
        tensor = subgraph.Tensors(i)
        raw = _read_buffer(content, model.Buffers(tensor.Buffer()))
        yield _read_tensor(raw, tensor, types[tensor.Type()], tuple(ops))


def _is_weight(model: Any, subgraph: Any, index: int) -> bool:
    tensor = subgraph.Tensors(index)
    kinds = {getattr(load_schema().TensorType, name) for name in BITS}
    return (
        tensor.ShapeLength() > 1
        and tensor.Type() in kinds
        and _is_filled(model.Buffers(tensor.Buffer()))
    )


def _is_filled(buffer: Any) -> bool:
    return buffer.DataLength() > 0 or buffer.Offset() > 1


def _read_buffer(content: bytes, buffer: Any) -> np.ndarray:
    """Reads the data of a buffer, which may lie behind the flatbuffer."""
    if buffer.DataLength():
        found: np.ndarray = buffer.DataAsNumpy()
        return found
    return np.frombuffer(content, "uint8", buffer.Size(), buffer.Offset())


def _read_tensor(
    raw: np.ndarray,
    tensor: Any,
    dtype: str,
    readers: tuple[tuple[str, str], ...],
) -> StoredWeight:
    shape = tuple(int(size) for size in tensor.ShapeAsNumpy())
    quantization = tensor.Quantization()
    scales: np.ndarray = np.zeros(0, "float32")
    axis = CHANNEL_AXES.get(readers[0][0], 0)
    if quantization is not None and quantization.ScaleLength():
        scales = quantization.ScaleAsNumpy()
        if len(scales) > 1:
            axis = quantization.QuantizedDimension()
    values = None
    if tensor.Sparsity() is None:
        if BITS[dtype] < 8:
            values = unpack(raw, BITS[dtype], math.prod(shape))
        else:
            values = raw.view(DTYPES.get(dtype, "int8"))
        values = values.reshape(shape)
    return StoredWeight(
        tensor.Name().decode(),
        dtype,
        shape,
        len(raw),
        values,
        scales,
        axis,
        readers,
    )
