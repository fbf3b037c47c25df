"""Writes a LiteRT file again without what the runtime does not read."""

import hashlib
import importlib
from typing import Any

import numpy as np

from keras_netopt.cost.tflite_model import load_schema
from keras_netopt.export.export_error import ExportError
from keras_netopt.export.exportable_model import ExportableModel
from keras_netopt.export.input_samples import Samples
from keras_netopt.export.verification import run_file

ALIGNMENT = 16  # Of weights, in bytes: what the runtime's kernels expect.
IDENTIFIER = b"TFL3"
# The converter's options and version.
UNREAD_METADATA = (b"CONVERSION_METADATA",)


def compact_file(
    path: str, exportable: ExportableModel, samples: Samples, *, run: bool
) -> str:
    """Replaces a file of `to_litert` by a compact one; returns a note.

    With `run`, both are run on the samples: their outputs must be equal bit
    for bit. Raises ExportError if they are not, or the file is too large.
    """
    with open(path, "rb") as file:
        content = file.read()
    compacted = compact_content(content)
    before = run_file(exportable, path, samples) if run else []
    with open(path, "wb") as file:
        file.write(compacted)
    after = run_file(exportable, path, samples) if run else []
    for one, two in zip(before, after, strict=True):
        for name in one:
            if one[name].tobytes() != two[name].tobytes():
                raise ExportError(
                    f"The compact file computes another output {name!r} than "
                    "the file of the converter. Pass `compact=False`, and "
                    "please report this with the model."
                )
    return (
        f"compact: {len(compacted):,} of {len(content):,} bytes, without "
        "tensor names and with equal arrays stored once"
    )


def compact_content(content: bytes) -> bytes:
    """Returns a LiteRT file with the same computation in fewer bytes.

    Dropped are the names of inner tensors, the recorded ranges, the
    converter's description and empty tables; equal scales, zero points,
    shapes and weights are stored once. Signatures, the names of inputs and
    outputs, and the metadata of others are kept.

    Raises:
        ExportError: If weights lie outside the flatbuffer, as in files of
            2 GB and more.
    """
    schema = load_schema()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    _check_buffers(model)
    _share_buffers(model)
    for graph in model.subgraphs:
        named = {*graph.inputs, *graph.outputs}
        for place, tensor in enumerate(graph.tensors):
            if place not in named:
                tensor.name = b""
            _shorten_quantization(tensor)
    model.description = None
    model.metadata = [
        one for one in model.metadata or [] if one.name not in UNREAD_METADATA
    ] or None
    _drop_unused_buffers(model)
    builder = make_builder()
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _check_buffers(model: Any) -> None:
    outside = any(buffer.offset > 1 for buffer in model.buffers) or any(
        op.largeCustomOptionsOffset > 1
        for graph in model.subgraphs
        for op in graph.operators or []
    )
    if outside:
        raise ExportError(
            "Argument `compact` must be False for a file of 2 GB or more, "
            "whose weights lie outside the flatbuffer. Received: compact=True"
        )


def _share_buffers(model: Any) -> None:
    """Lets tensors with equal data use one buffer; without data buffer 0."""
    first = {_digest(b""): 0}
    use = [
        first.setdefault(_digest(b"" if one.data is None else one.data), place)
        for place, one in enumerate(model.buffers)
    ]
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = use[tensor.buffer]


def _drop_unused_buffers(model: Any) -> None:
    users = [t for graph in model.subgraphs for t in graph.tensors]
    users += model.metadata or []
    kept = sorted({0, *(user.buffer for user in users)})
    new = {old: place for place, old in enumerate(kept)}
    for user in users:
        user.buffer = new[user.buffer]
    model.buffers = [model.buffers[old] for old in kept]
    model.metadataBuffer = None  # Of files from before `metadata`.


def _shorten_quantization(tensor: Any) -> None:
    found = tensor.quantization
    if found is None:
        return
    found.min = found.max = None
    if found.scale is None and found.details is None:
        tensor.quantization = None


def _digest(data: Any, kind: str = "") -> bytes:
    """Returns a key of some data, without a copy of them."""
    found = hashlib.sha256(kind.encode(), usedforsecurity=False)
    found.update(data)
    return found.digest()


def make_builder() -> Any:
    """Returns a builder of flatbuffers that writes equal data once."""
    flatbuffers: Any = importlib.import_module("flatbuffers")
    base: Any = flatbuffers.Builder

    class SharingBuilder(base):
        """Writes equal vectors once, and bytes at multiples of 16."""

        def __init__(self) -> None:
            super().__init__(1 << 16)
            self._written: dict[bytes, int] = {}

        def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802
            """Writes an array, or returns where an equal one is."""
            key = _digest(x, x.dtype.str)
            if key not in self._written:
                if x.dtype == np.uint8:
                    self.Prep(ALIGNMENT, x.nbytes)
                self._written[key] = super().CreateNumpyVector(x)
            return self._written[key]

        def CreateString(self, s: Any, *options: Any) -> int:  # noqa: N802
            """Writes a string, or returns where an equal one is."""
            key = _digest(s if isinstance(s, bytes) else s.encode(), "string")
            if key not in self._written:
                self._written[key] = super().CreateString(s, *options)
            return self._written[key]

    return SharingBuilder()
