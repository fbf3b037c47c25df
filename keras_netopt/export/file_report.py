"""What a LiteRT file holds, read without running it."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from keras_netopt.cost.tflite_model import TensorInfo, count_ops, load_schema
from keras_netopt.export.convert_model import measure_file
from keras_netopt.export.file_breakdown import FileBreakdown, measure_breakdown
from keras_netopt.export.litert_report import FileSize, list_tensors
from keras_netopt.export.micro.arena_plan import plan_activations
from keras_netopt.export.micro.read_graph import read_graph
from keras_netopt.report import Report
from keras_netopt.tables import render


@dataclass(frozen=True)
class StoredWeights(Report):
    """The constant tensors of one dtype in a LiteRT file.

    Example:

    >>> StoredWeights("int8", tensors=2, elements=100, bytes=100).bytes
    100

    Args:
        dtype: Their dtype, such as "int8".
        tensors: Their number.
        elements: Number of values.
        bytes: Bytes in the file; sparse tensors have fewer than values.
    """

    dtype: str
    tensors: int
    elements: int
    bytes: int


@dataclass(frozen=True)
class FileReport(Report):
    """Contents of a LiteRT file: sizes, inputs, outputs, weights and ops.

    Example:

    >>> size = FileSize(raw=10, gzip=5)
    >>> report = FileReport(
    ...     "m.tflite", size, FileBreakdown(other=10), {"ADD": 2}, (), (), ()
    ... )
    >>> report.ops
    {'ADD': 2}

    Args:
        path: The file.
        size: Its bytes, raw and compressed.
        breakdown: Its bytes by what they hold.
        ops: Number of occurrences of each operator.
        inputs: Name, shape, dtype, scale and zero point of each input.
        outputs: The same of each output.
        weights: The constant tensors, by dtype.
        signature: The signature that names the inputs and outputs; `None`
            for a file without one, where tensors name them.
        activation_bytes: Bytes of working memory for activations on a
            microcontroller with TFLite Micro, by a greedy plan, with free
            axes as 1; `None` where they cannot be planned.
    """

    path: str
    size: FileSize
    breakdown: FileBreakdown
    ops: dict[str, int]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    weights: tuple[StoredWeights, ...]
    signature: str | None = None
    activation_bytes: int | None = None

    def __str__(self) -> str:
        weights = [
            f"{one.dtype}: {one.elements:,} in {one.tensors} tensors, "
            f"{one.bytes:,} bytes"
            for one in self.weights
        ]
        ops = [f"{name} {count}" for name, count in self.ops.items()]
        rows = [
            ["raw bytes", f"{self.size.raw:,}"],
            ["gzip bytes", f"{self.size.gzip:,}"],
            ["bytes of", str(self.breakdown)],
            ["weights", "\n".join(weights)],
            ["inputs", list_tensors(self.inputs)],
            ["outputs", list_tensors(self.outputs)],
            ["ops", ", ".join(ops)],
        ]
        if self.activation_bytes is not None:
            text = f"{self.activation_bytes:,} on a microcontroller (plan)"
            rows.append(["RAM bytes", text])
        return render(["LiteRT file", self.path], rows)


def inspect_file(path: str | os.PathLike[str]) -> FileReport:
    """Reads sizes, inputs, outputs, weights and ops of a LiteRT file.

    The file is not run, so that files which require a delegate are read too.

    Example:

    >>> from keras_netopt import export
    >>> export.inspect_file("model.tflite")
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory: 'model.tflite'

    Args:
        path: A `.tflite` file of any origin.

    Returns:
        The report.

    Raises:
        ValueError: If it is no LiteRT file.
        TypeError: If `path` is no path.
        OSError: If the file cannot be read.
        ImportError: If no LiteRT package is installed.
    """
    content = read_file(path)
    schema = load_schema()
    try:
        model = schema.Model.GetRootAsModel(content, 0)
        signature, inputs, outputs = _find_io(model)
        return FileReport(
            os.fspath(path),
            measure_file(os.fspath(path)),
            measure_breakdown(content),
            count_ops(content),
            inputs,
            outputs,
            _list_weights(model),
            signature,
            plan_activations(read_graph(content)),
        )
    # What flatbuffers and numpy raise where offsets lead nowhere.
    except (
        *(ValueError, IndexError, KeyError, TypeError, AttributeError),
        *(struct.error, UnicodeDecodeError),
    ) as error:
        raise ValueError(
            f"Argument `path` must be a LiteRT file that is whole. "
            f"Received: path={os.fspath(path)!r}, which cannot be read"
        ) from error


def read_file(path: Any) -> bytes:
    """Returns the bytes of a LiteRT file.

    Raises TypeError, ValueError or OSError, as `inspect_file` does.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            "Argument `path` must be a string or a path. "
            f"Received: path={path!r}"
        )
    with open(path, "rb") as file:
        content = file.read()
    if content[4:8] != b"TFL3":
        raise ValueError(
            "Argument `path` must be a LiteRT (.tflite) file. "
            f"Received: path={os.fspath(path)!r}, which does not begin as one"
        )
    return content


def _find_io(
    model: Any,
) -> tuple[str | None, tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    """Returns the signature that is run, with its inputs and outputs."""
    found = [model.SignatureDefs(k) for k in range(model.SignatureDefsLength())]
    # Keras writes one of this name, which comes first then.
    found.sort(key=lambda one: one.SignatureKey() != b"serving_default")
    if found:
        one = found[0]
        graph = model.Subgraphs(one.SubgraphIndex())
        maps = (
            map(one.Inputs, range(one.InputsLength())),
            map(one.Outputs, range(one.OutputsLength())),
        )
        sides = [
            tuple(
                _describe(graph.Tensors(m.TensorIndex()), m.Name())
                for m in side
            )
            for side in maps
        ]
        return one.SignatureKey().decode(), sides[0], sides[1]
    graph = model.Subgraphs(0)
    places = (graph.InputsAsNumpy(), graph.OutputsAsNumpy())
    sides = [
        tuple(
            _describe(tensor, tensor.Name() or b"")
            for tensor in map(graph.Tensors, map(int, side))
        )
        for side in places
    ]
    return None, sides[0], sides[1]


def _describe(tensor: Any, name: bytes) -> TensorInfo:
    shape = _axes(tensor.ShapeLength(), tensor.Shape)
    if tensor.ShapeSignatureLength():
        shape = _axes(tensor.ShapeSignatureLength(), tensor.ShapeSignature)
    scales = tensor.Quantization()
    is_quantized = scales is not None and scales.ScaleLength() == 1
    return TensorInfo(
        name.decode(),
        shape,
        _dtype(tensor),
        float(scales.Scale(0)) if is_quantized else 0.0,
        int(scales.ZeroPoint(0)) if is_quantized else 0,
    )


def _axes(count: int, read: Any) -> tuple[int | None, ...]:
    return tuple(None if read(k) < 0 else int(read(k)) for k in range(count))


def _dtype(tensor: Any) -> str:
    types = {n: name for name, n in vars(load_schema().TensorType).items()}
    return str(types[tensor.Type()]).lower()


def _list_weights(model: Any) -> tuple[StoredWeights, ...]:
    rows: dict[str, list[int]] = {}
    seen: set[int] = set()
    for tensor in _constant_tensors(model):
        row = rows.setdefault(_dtype(tensor), [0, 0, 0])
        elements = 1
        for k in range(tensor.ShapeLength()):
            elements *= tensor.Shape(k)
        row[0] += 1
        row[1] += elements
        if tensor.Buffer() not in seen:
            seen.add(tensor.Buffer())
            # Raises an error if the file ends before them.
            row[2] += model.Buffers(tensor.Buffer()).DataAsNumpy().nbytes
    found = [StoredWeights(dtype, *row) for dtype, row in rows.items()]
    return tuple(sorted(found, key=lambda one: -one.bytes))


def _constant_tensors(model: Any) -> Iterator[Any]:
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            if model.Buffers(tensor.Buffer()).DataLength():
                yield tensor
