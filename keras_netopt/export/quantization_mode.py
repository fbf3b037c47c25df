"""The values of `quantize=` and their settings of the LiteRT converter."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class QuantizationMode:
    """One number format and the output difference that it may cause.

    Args:
        name: The value of `quantize=`.
        needs_data: Whether activations are quantized, which requires
            `calibration_data`.
        warn_above: Largest relative output difference without a warning.
        note: A note for the report, or "".
        is_exact: Whether no weight is rounded and activations stay float, so
            that the file is verified as strictly as a float file.
        warn_below: Lowest share of samples with the same class without one.
    """

    name: str
    needs_data: bool
    warn_above: float
    note: str = ""
    is_exact: bool = False
    warn_below: float = 0.97


DECODED = "weights are decoded to float32: a smaller file, often a slower one"
MODES: dict[str, QuantizationMode] = {
    mode.name: mode
    for mode in (
        QuantizationMode("dynamic", False, 0.05),
        QuantizationMode("float16", False, 0.01),
        QuantizationMode("int8", True, 0.2),
        QuantizationMode(
            "int16x8",
            True,
            0.05,
            "int16x8 runs on reference kernels: often many times slower than "
            "float",
        ),
        QuantizationMode("int4", False, 0.0, DECODED, is_exact=True),
        QuantizationMode("int2", False, 0.0, DECODED, is_exact=True),
    )
}


def check_mode(quantize: str | None) -> None:
    """Refuses a value of `quantize=` that is neither `None` nor in `MODES`."""
    if quantize is not None and quantize not in MODES:
        known = ", ".join(repr(name) for name in MODES)
        raise ValueError(
            f"Argument `quantize` must be None or one of {known}. "
            f"Received: quantize={quantize!r}"
        )


def check_quantization(
    quantize: str | None,
    *,
    sparse: bool,
    calibration_data: Any,
    quantized_io: bool | str,
    has_ranges: bool = False,
) -> None:
    """Refuses unknown and contradictory settings.

    `has_ranges` tells whether the model has trained activation ranges, which
    stand for calibration data.
    """
    check_mode(quantize)
    if sparse and quantize is not None:
        raise ValueError(
            "Argument `sparse` must be False where the file is quantized: "
            "such a file does not run with the default delegate, and dynamic "
            "int8 with gzip is smaller (192 kB against 222 kB at 80 % zeros). "
            f"Received: sparse=True, quantize={quantize!r}"
        )
    needs_data = quantize is not None and MODES[quantize].needs_data
    is_ranged = quantize == "int8" and has_ranges
    if needs_data and calibration_data is None and not is_ranged:
        ranges = (
            ", or train ranges with `callbacks.Quantization(activations=True)` "
            "(of a saved model: `quantization.load_ranges`)"
            if quantize == "int8"
            else ""
        )
        raise ValueError(
            "Argument `calibration_data` must be given for "
            f"quantize={quantize!r}. Received: calibration_data=None. "
            f"Pass 200 samples of real input or more{ranges}."
        )
    if quantized_io not in (False, True, "int8", "uint8"):
        raise ValueError(
            "Argument `quantized_io` must be False, True, 'int8' or 'uint8'. "
            f"Received: quantized_io={quantized_io!r}"
        )
    if quantized_io and not needs_data:
        raise ValueError(
            "Argument `quantized_io` must be False unless quantize is 'int8' "
            f"or 'int16x8'. Received: quantized_io={quantized_io!r}, "
            f"quantize={quantize!r}"
        )
    if isinstance(quantized_io, str) and quantize != "int8":
        raise ValueError(
            "Argument `quantized_io` must be False or True, which is int16, "
            f"for quantize={quantize!r}. "
            f"Received: quantized_io={quantized_io!r}"
        )


def find_io_dtype(quantize: str | None, quantized_io: bool | str) -> str | None:
    """Returns the dtype of quantized inputs and outputs; `None`: float32.

    The arguments are those of `to_litert`, and checked.

    Example:

    >>> find_io_dtype("int16x8", True), find_io_dtype("int8", "uint8")
    ('int16', 'uint8')
    """
    if not quantized_io:
        return None
    if isinstance(quantized_io, str):
        return quantized_io
    return "int16" if quantize == "int16x8" else "int8"


def converter_settings(
    quantize: str | None,
    *,
    sparse: bool = False,
    quantized_io: bool | str = False,
    allow_select_tf_ops: bool = False,
    is_calibrated: bool = True,
) -> dict[str, Any]:
    """Returns the settings of the converter for one mode, by their names.

    `is_calibrated` tells whether the converter gets samples.

    Example:

    >>> converter_settings("dynamic")["optimizations"]
    ['DEFAULT']
    """
    ops = ["TFLITE_BUILTINS"]
    if quantize == "int8" and quantized_io and is_calibrated:
        ops = ["TFLITE_BUILTINS_INT8"]
    if quantize == "int16x8":
        ops = ["EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"]
    if allow_select_tf_ops:
        ops.append("SELECT_TF_OPS")
    optimizations = ["EXPERIMENTAL_SPARSITY"] if sparse else []
    if quantize is not None:
        optimizations = ["DEFAULT"]
    return {
        "ops": ops,
        "optimizations": optimizations,
        "types": ["float16"] if quantize == "float16" else [],
        "io": find_io_dtype(quantize, quantized_io),
    }
