"""How a LiteRT file stores each kernel of a model."""

import collections
import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from keras_netopt.cost.tflite_weights import StoredWeight, read_weights
from keras_netopt.export.low_bit_quantizer import LOW_BITS, choose_storage
from keras_netopt.export.match_kernels import compare_integers, match_kernels
from keras_netopt.export.model_kernels import ModelKernel, list_kernels
from keras_netopt.export.unquantized_weights import SAVES_NOTHING, SMALLEST
from keras_netopt.report import Report
from keras_netopt.tables import render

MAX_ROWS = 12


@dataclass(frozen=True)
class StoredKernel(Report):
    """How a LiteRT file stores one kernel.

    Example:

    >>> kernel = StoredKernel("fc/kernel", (4, 3), "int8", 12, 0.25, 8, True)
    >>> kernel.bits, kernel.note
    (8, '')

    Args:
        key: Unique name of the kernel in the model.
        shape: Its shape in the model.
        dtype: The type of its values in the file, such as "int4"; `None` if
            the file does not hold it.
        nbytes: Bytes of its values in the file, without scales.
        zeros: Share of zeros, in [0, 1].
        grid: Bits of the smallest grid that holds the kernel in the model;
            `None` off the grids.
        integers_equal: Whether the file holds the integers of the grid,
            compared one by one; `None` if there are none to compare.
        note: Why it is stored in float, or rounded again, or "".
    """

    key: str
    shape: tuple[int, ...]
    dtype: str | None
    nbytes: int
    zeros: float
    grid: int | None = None
    integers_equal: bool | None = None
    note: str = ""

    @property
    def bits(self) -> int | None:
        """Bits of one value in the file."""
        digits = (self.dtype or "").strip("abcdefghijklmnopqrstuvwxyz")
        return int(digits) if digits else None


def describe_kernels(
    model: keras.Model, content: bytes, quantize: str | None
) -> tuple[StoredKernel, ...]:
    """Describes how a file stores each kernel of a model.

    Args:
        model: The model.
        content: The bytes of its file.
        quantize: The number format of the file, as in `to_litert`.

    Returns:
        One entry per kernel, embedding table and other matrix.
    """
    kernels = list_kernels(model)
    found = match_kernels(kernels, read_weights(content))
    return tuple(
        _describe(kernel, weight, quantize)
        for kernel, weight in zip(kernels, found, strict=True)
    )


def explain_float_kernels(
    kernels: Sequence[StoredKernel], quantize: str, ratio: float
) -> list[str]:
    """Returns a warning if a file is about as large as the float file.

    Args:
        kernels: The kernels of the file.
        quantize: `"int4"` or `"int2"`.
        ratio: Bytes of the file over the bytes of the float file.
    """
    if ratio < SAVES_NOTHING:
        return []
    reasons = dict.fromkeys(kernel.note for kernel in kernels if kernel.note)
    return [
        f"{quantize!r} saves nothing, {ratio:.2f} x the float file: "
        f"{', '.join(reasons)}."
    ]


def summarize_kernels(kernels: Sequence[StoredKernel]) -> str:
    """Returns one line: kernels by type, bytes and zeros."""
    counts = collections.Counter(k.dtype or "not found" for k in kernels)
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    total = sum(math.prod(kernel.shape) for kernel in kernels)
    zeros = sum(k.zeros * math.prod(k.shape) for k in kernels)
    size = sum(kernel.nbytes for kernel in kernels)
    return f"{kinds}; {size:,} bytes, {zeros / max(total, 1):.0%} zeros"


def summarize_integers(kernels: Sequence[StoredKernel]) -> str:
    """Returns one line about the comparison; "" if there was none."""
    compared = [
        k.integers_equal for k in kernels if k.integers_equal is not None
    ]
    if not compared:
        return ""
    text = f"equal in {sum(compared)} of {len(compared)} kernels on a grid"
    again = len(compared) - sum(compared)
    return f"{text}; {again} rounded again" if again else text


def render_kernels(kernels: Sequence[StoredKernel]) -> str:
    """Returns a table with a row per kernel, or per kind if there are many."""
    headers = ["kernel", "stored as", "weights", "zeros", "bytes", "note"]
    groups: dict[tuple[str, ...], list[StoredKernel]] = {}
    for kernel in kernels:
        kind = (kernel.dtype or "-", _note(kernel))
        key = kind if len(kernels) > MAX_ROWS else (*kind, kernel.key)
        groups.setdefault(key, []).append(kernel)
    rows = []
    for (dtype, note, *_), group in groups.items():
        size = sum(math.prod(kernel.shape) for kernel in group)
        zeros = sum(k.zeros * math.prod(k.shape) for k in group) / max(size, 1)
        name = group[0].key
        if len(kernels) > MAX_ROWS:
            name = f"{len(group)} x, first: {name}"
        nbytes = sum(kernel.nbytes for kernel in group)
        rows.append([name, dtype, size, f"{zeros:.0%}", nbytes, note])
    return render(headers, rows, align="llrrrl")


def _note(kernel: StoredKernel) -> str:
    return "integers equal" if kernel.integers_equal else kernel.note


def _describe(
    kernel: ModelKernel, weight: StoredWeight | None, quantize: str | None
) -> StoredKernel:
    values = kernel.values
    if weight is not None and weight.values is not None:
        values = weight.values
    equal = None if weight is None else compare_integers(kernel, weight)
    return StoredKernel(
        kernel.key,
        kernel.values.shape,
        None if weight is None else weight.dtype.lower(),
        0 if weight is None else weight.nbytes,
        float(np.mean(values == 0)),
        kernel.bits,
        equal,
        _explain(kernel, weight, quantize, equal),
    )


def _explain(
    kernel: ModelKernel,
    weight: StoredWeight | None,
    quantize: str | None,
    equal: bool | None,
) -> str:
    if weight is None:
        return "not found in the file"
    if equal is False:
        if (
            len(weight.scales)
            == 1
            < math.prod(kernel.values.shape[axis] for axis in kernel.axes)
        ):
            return "rounded again: one scale for the whole kernel"
        return f"rounded again: {kernel.bits}-bit grid in {weight.bits} bits"
    if not weight.is_float or quantize in (None, "float16"):
        return ""
    if bits := LOW_BITS.get(quantize):
        storage = choose_storage(weight, bits)
        return storage if isinstance(storage, str) else ""
    if quantize == "dynamic" and weight.size < SMALLEST:
        return f"fewer than {SMALLEST:,} weights"
    return f"the converter keeps {weight.op} in float"
