"""Stores weights that lie on a grid of 4 or 2 bits in that many bits."""

import contextlib
import io
import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.cost.tflite_model import load_schema
from keras_netopt.cost.tflite_weights import StoredWeight, read_weights
from keras_netopt.export.compact_file import IDENTIFIER, make_builder
from keras_netopt.export.model_kernels import ModelKernel, list_kernels
from keras_netopt.quantization.grids import BITS, find_limit

LOW_BITS = {"int4": 4, "int2": 2}
INSTALL = 'pip install "keras-netopt[int4]"'
# Ops whose weights the quantizer decodes, by their names in the quantizer.
OPS = {
    "FULLY_CONNECTED": "FULLY_CONNECTED",
    "CONV_2D": "CONV_2D",
    "DEPTHWISE_CONV_2D": "DEPTHWISE_CONV_2D",
    "TRANSPOSE_CONV": "CONV_2D_TRANSPOSE",
}
MIN_MAX = "min_max_uniform_quantize"
SMALLEST_STEP = "dequantized_weight_recovery"
STEP_OPS = ("FULLY_CONNECTED", "CONV_2D")
TOLERANCE = 1e-4  # Of a step; folding rounds the weights.
LARGEST = 2_000_000_000  # Bytes of a flatbuffer.
OVERHEAD = 200  # Bytes of an op and a tensor that decode a weight.


def check_quantizer() -> None:
    """Raises ImportError if ai-edge-quantizer is not installed."""
    _import_quantizer()


def check_grids(model: keras.Model, bits: int) -> None:
    """Refuses a model with kernels that a low-bit file would round.

    Args:
        model: A built model.
        bits: 4 or 2.

    Raises:
        ValueError: If a kernel is on no grid, or none on that of `bits`.
    """
    needed = [k for k in list_kernels(model) if _is_needed(k)]
    off = [kernel for kernel in needed if kernel.bits is None]
    fitting = [k for k in needed if k.bits is not None and k.bits <= bits]
    if fitting and not off:
        return
    named = [
        kernel.key + ("" if kernel.bits is None else f" ({kernel.bits} bits)")
        for kernel in off or needed
    ]
    listed = ", ".join(named[:10]) + (", ..." if len(named) > 10 else "")
    raise ValueError(
        f"Argument `model` must have its kernels on the {bits}-bit grid for "
        f"quantize='int{bits}', which rounds no weight. Received: kernels off "
        f"the grid: {listed or 'the model has no kernels'}. Train with "
        f"`callbacks.Quantization(bits={bits})`, or round the kernels with "
        f"`quantization.quantize(model, bits={bits})`. Kernels that need more "
        "bits may lie on the 8-bit grid; the file stores them in 8 bits."
    )


def write_low_bits(source: str, target: str, bits: int) -> None:
    """Writes a float file with its weights in few bits to another path."""
    with open(source, "rb") as file:
        content = file.read()
    with open(target, "wb") as file:
        file.write(quantize_weights(content, bits))


def quantize_weights(content: bytes, bits: int) -> bytes:
    """Stores the weights of a float file that lie on a grid in few bits.

    Activations stay float: each weight is decoded once, when the file is
    loaded, and the outputs change by rounding errors of float32 alone.

    Args:
        content: A float LiteRT file.
        bits: 4 or 2. Weights on finer grids get 4 or 8 bits.

    Returns:
        The quantized file; the same file if no weight is stored in fewer bits.
    """
    groups: dict[tuple[int, str], list[str]] = {}
    for weight in read_weights(content):
        storage = choose_storage(weight, bits)
        if not isinstance(storage, str):
            scopes = [f"{outputs};" for _, outputs in weight.readers]
            groups.setdefault(storage, []).extend(scopes)
    recipe = [
        _describe_group(stored_bits, algorithm, op, scopes)
        for (stored_bits, algorithm), scopes in groups.items()
        for op in (STEP_OPS if algorithm == SMALLEST_STEP else OPS.values())
    ]
    if not recipe:
        return content
    quantizer = _import_quantizer()
    # It prints sizes and progress.
    printed = io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        job = quantizer.Quantizer(content)
        job.load_quantization_recipe(recipe)
        return _move_inside(bytes(job.quantize().quantized_model))


def _move_inside(content: bytes) -> bytes:
    """Moves the data that follow a flatbuffer into it, below 2 GB.

    The quantizer writes them outside in all but small files; other runtimes,
    such as that of microcontrollers, do not read them there.
    """
    model = load_schema().ModelT.InitFromPackedBuf(content, 0)
    outside = [buffer for buffer in model.buffers if buffer.offset > 1]
    if not outside or len(content) >= LARGEST:
        return content
    for buffer in outside:
        buffer.data = np.frombuffer(
            content, "uint8", buffer.size, buffer.offset
        )
        buffer.offset = buffer.size = 0
    builder = make_builder()
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def choose_storage(weight: StoredWeight, bits: int) -> tuple[int, str] | str:
    """Chooses the bits of a float weight.

    Args:
        weight: A weight of a float file.
        bits: The fewest bits that are allowed, 4 or 2.

    Returns:
        Bits and the quantizer's algorithm, or the reason to keep it in float.
    """
    others = sorted({op for op, _ in weight.readers} - set(OPS))
    if others:
        return f"no few-bit format for {', '.join(others)}"
    if weight.values is None or not weight.is_float:
        return "not stored in plain float"
    grid = _find_grid(weight)
    if grid is None:
        return "on no grid in the file"
    algorithm = MIN_MAX
    if grid == 3:
        # The step of 4 bits, max / 7, is another one.
        algorithm = SMALLEST_STEP
        if not {op for op, _ in weight.readers} <= set(STEP_OPS):
            return f"no 3-bit format for {weight.op}"
    stored = max(grid, bits) if grid != 3 else 4
    channels = weight.shape[weight.axis]
    saved = weight.nbytes - weight.size * stored // 8 - 12 * channels
    if saved <= OVERHEAD:
        return "too small to save bytes"
    return stored, algorithm


def _find_grid(weight: StoredWeight) -> int | None:
    """Finds the bits of the coarsest grid of the weight's channels.

    The scales are free: folding has multiplied those of the kernel.
    """
    rows: np.ndarray = weight.by_channel().astype("float32")
    top = np.abs(rows).max(axis=1, keepdims=True)
    if not np.isfinite(top).all():
        return None
    for bits in BITS:
        steps = rows * (find_limit(bits) / np.where(top > 0, top, 1.0))
        if np.abs(steps - np.round(steps)).max(initial=0.0) <= TOLERANCE:
            return bits
    return None


def _is_needed(kernel: ModelKernel) -> bool:
    """Whether ops of `OPS` multiply with the kernel."""
    if not kernel.is_default or kernel.is_table or kernel.view.stack > 1:
        return False
    return kernel.values.ndim < 5


def _describe_group(
    bits: int, algorithm: str, op: str, scopes: Sequence[str]
) -> dict[str, Any]:
    return {
        "regex": f"^(?:{'|'.join(map(re.escape, sorted(set(scopes))))})$",
        "operation": op,
        "algorithm_key": algorithm,
        "op_config": {
            "weight_tensor_config": {
                "num_bits": bits,
                "symmetric": True,
                "granularity": "CHANNELWISE",
                "dtype": "INT",
            },
            "compute_precision": "FLOAT",
            "explicit_dequantize": True,
            # Its list of ops is that of integer arithmetic; here an op
            # decodes the weight, and the result is verified.
            "skip_checks": True,
        },
    }


def _import_quantizer() -> Any:
    try:
        from ai_edge_quantizer import quantizer
    except ImportError as error:
        raise ImportError(
            "quantize='int4' and 'int2' require ai-edge-quantizer, which "
            f"needs immutabledict: {INSTALL}"
        ) from error
    return quantizer
