"""The graphs of a LiteRT file: tensors, operators, inputs and outputs."""

import math
from dataclasses import dataclass

from keras_netopt.cost.tflite_model import TensorInfo

# Bytes of one element. The runtime unpacks 4 bits to a byte each, and has no
# size for types that are missing.
BYTES = {
    **{name: 1 for name in ("BOOL", "INT4", "INT8", "UINT8")},
    **{name: 2 for name in ("BFLOAT16", "FLOAT16", "INT16", "UINT16")},
    **{name: 4 for name in ("FLOAT32", "INT32", "RESOURCE", "UINT32")},
    **{name: 8 for name in ("COMPLEX64", "FLOAT64", "INT64", "UINT64")},
    "COMPLEX128": 16,
}


@dataclass(frozen=True)
class GraphTensor:
    """A tensor of a LiteRT file.

    Args:
        name: Its name in the file.
        shape: Its shape; 1 for a free axis.
        free: Whether each axis is free.
        dtype: The name of its type in the schema, such as "INT8".
        nbytes: Bytes of its values in the file; 0 unless it is constant.
        is_variable: Whether it keeps its values from call to call.
        scales: Its scales: none, one, or one per channel.
        zero_point: The integer of 0.0, for a tensor with one scale.
        is_sparse: Whether its values are in a sparse format.
    """

    name: str
    shape: tuple[int, ...]
    free: tuple[bool, ...]
    dtype: str
    nbytes: int
    is_variable: bool
    scales: tuple[float, ...]
    zero_point: int
    is_sparse: bool

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def is_constant(self) -> bool:
        """Whether the file holds its values."""
        return self.nbytes > 0

    def info(self, name: str) -> TensorInfo:
        """Describes it as an input or output of the file."""
        shape = zip(self.shape, self.free, strict=True)
        one = len(self.scales) == 1
        return TensorInfo(
            name,
            tuple(None if free else size for size, free in shape),
            self.dtype.lower(),
            self.scales[0] if one else 0.0,
            self.zero_point if one else 0,
        )


@dataclass(frozen=True)
class GraphOperator:
    """An operator of a LiteRT file.

    Args:
        name: Its name; that of a custom operator is its own.
        inputs: Indices of tensors; -1 for an input that is left out.
        outputs: Indices of tensors.
        branches: Indices of the graphs that it runs.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    branches: tuple[int, ...] = ()


@dataclass(frozen=True)
class Graph:
    """One graph of a LiteRT file.

    Args:
        tensors: Its tensors.
        operators: Its operators, in the order in which they run.
        inputs: Indices of the tensors that a caller sets.
        outputs: Indices of the tensors that a caller reads.
    """

    tensors: tuple[GraphTensor, ...]
    operators: tuple[GraphOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def read(self, operator: GraphOperator, place: int) -> GraphTensor | None:
        """Returns an input of an operator, if it has it."""
        if place >= len(operator.inputs) or operator.inputs[place] < 0:
            return None
        return self.tensors[operator.inputs[place]]


@dataclass(frozen=True)
class FileGraph:
    """The graphs of a LiteRT file; TFLite Micro runs the first one.

    Args:
        graphs: All graphs.
        inputs: The tensor of the first graph for each input, by its name in
            the signature, in the order of the graph.
        outputs: The same for each output.
        constant_bytes: Bytes of all constants; shared ones count once.
        has_offline_plan: Whether the file says where its tensors lie.
    """

    graphs: tuple[Graph, ...]
    inputs: dict[str, int]
    outputs: dict[str, int]
    constant_bytes: int = 0
    has_offline_plan: bool = False
