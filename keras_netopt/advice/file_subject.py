"""What the rules look at: a LiteRT file and what was measured of it."""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_netopt.advice.measured_files import MeasuredFiles, host_target
from keras_netopt.cost.tflite_model import load_schema, read_operators
from keras_netopt.cost.tflite_weights import StoredWeight, read_weights

if TYPE_CHECKING:
    from keras_netopt.export.file_report import FileReport

# MACs of these are elements of the output x weights per output channel.
KERNEL_OPS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "CONV_3D")
LOW = ("INT4", "INT2")


@dataclass(frozen=True)
class FileOp:
    """One op with a kernel.

    Args:
        name: The name of its output in the file.
        op: The op.
        macs: Multiply-accumulates at a batch of 1.
    """

    name: str
    op: str
    macs: int


@dataclass
class FileSubject:
    """A LiteRT file on a target, looked at once per fact.

    Args:
        path: The file, which is whole.
        target: The target.
        files: What was measured. Defaults to `None`.
    """

    path: str
    target: str
    files: MeasuredFiles | None = None

    @functools.cached_property
    def content(self) -> bytes:
        """The bytes of the file."""
        with open(self.path, "rb") as file:
            return file.read()

    @functools.cached_property
    def report(self) -> "FileReport":
        """Sizes, inputs, outputs and ops. Raises ValueError for no file."""
        from keras_netopt.export.file_report import inspect_file

        return inspect_file(self.path)

    @functools.cached_property
    def weights(self) -> list[StoredWeight]:
        """The constants with two axes or more."""
        return read_weights(self.content)

    @functools.cached_property
    def float_share(self) -> float:
        """Share of the weights that are float32."""
        total = sum(one.size for one in self.weights)
        floats = sum(one.size for one in self.weights if one.bits == 32)
        return floats / total if total else 0.0

    @functools.cached_property
    def sparsity(self) -> float | None:
        """Share of zeros in the weights; `None` if some are stored sparsely."""
        if any(one.values is None for one in self.weights):
            return None
        total = sum(one.size for one in self.weights)
        zeros = sum(
            one.size - int(np.count_nonzero(one.values)) for one in self.weights
        )
        return zeros / total if total else 0.0

    @property
    def is_low_bit(self) -> bool:
        """Whether it holds weights of less than a byte."""
        return any(one.dtype in LOW for one in self.weights)

    @property
    def is_timed(self) -> bool:
        """Whether times measured here are those of the target."""
        return self.target == host_target() and bool(
            self.files and self.files.clock
        )

    @functools.cached_property
    def kernel_ops(self) -> list[FileOp]:
        """The ops with a kernel and their MACs."""
        model = load_schema().Model.GetRootAsModel(self.content, 0)
        graph = model.Subgraphs(0)
        found = []
        for op, inputs, outputs in read_operators(model, graph):
            if op in KERNEL_OPS and len(inputs) > 1:
                kernel, out = (
                    graph.Tensors(inputs[1]),
                    graph.Tensors(outputs[0]),
                )
                macs = _size(out) // max(1, _channels(out))
                found.append(
                    FileOp(out.Name().decode(), op, macs * _size(kernel))
                )
        return found

    def describe(self) -> tuple[str, ...]:
        """Returns the facts above the findings."""
        macs = sum(one.macs for one in self.kernel_ops)
        size = self.report.size
        zeros = (
            "stored sparsely"
            if self.sparsity is None
            else f"{self.sparsity:.1%} zeros"
        )
        line = f"{size.raw:,} bytes, gzip {size.gzip:,}; weights: {zeros}; "
        line += f"{macs:,} MACs in ops with a kernel"
        time = self.files.milliseconds("file") if self.files else None
        if self.is_timed and time is not None and self.files is not None:
            line += f"; {time:.3g} ms ({self.files.clock})"
        return (line,)


def _size(tensor: Any) -> int:
    shape = tensor.ShapeAsNumpy() if tensor.ShapeLength() else []
    return int(np.prod(shape, dtype="int64"))


def _channels(tensor: Any) -> int:
    return int(tensor.ShapeAsNumpy()[-1]) if tensor.ShapeLength() else 1
