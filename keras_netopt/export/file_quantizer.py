"""Quantizes a float LiteRT file with ai-edge-quantizer."""

import importlib
from typing import Any

import numpy as np

from keras_netopt.export.input_samples import Arrays, Samples

SIGNATURE = "serving_default"
RECIPES = {
    # The other recipe for dynamic range quantizes the smallest weights too.
    "dynamic": "dynamic_legacy_wi8_afp32",
    "int8": "static_wi8_ai8",
    "int16x8": "static_wi8_ai16",
}
FLOAT16 = {
    "regex": ".*",
    "operation": "*",
    "algorithm_key": "float_casting",
    "op_config": {
        "weight_tensor_config": {
            "num_bits": 16,
            "symmetric": True,
            "granularity": "TENSORWISE",
            "dtype": "FLOAT",
        },
        "compute_precision": "FLOAT",
        "explicit_dequantize": True,
    },
}


def quantize_file(
    content: bytes, quantize: str, batches: Samples, quantized_io: bool
) -> bytes:
    """Quantizes as TensorFlow's converter does for a value of `quantize=`.

    Args:
        content: A float file.
        quantize: "dynamic", "float16", "int8" or "int16x8".
        batches: Inputs of the sizes that the file takes, for calibration.
        quantized_io: Whether inputs and outputs are integers, too.

    Returns:
        The quantized file.
    """
    quantizer: Any = importlib.import_module("ai_edge_quantizer.quantizer")
    job = quantizer.Quantizer(content)
    job.load_quantization_recipe(_find_recipe(quantize, quantized_io))
    ranges = _find_ranges(job, batches) if job.need_calibration else None
    return bytes(job.quantize(ranges).quantized_model)


def _find_recipe(quantize: str, quantized_io: bool) -> list[dict[str, Any]]:
    if quantize == "float16":
        return [FLOAT16]
    recipes: Any = importlib.import_module("ai_edge_quantizer.recipe")
    rules: list[dict[str, Any]] = getattr(recipes, RECIPES[quantize])()
    if quantized_io or quantize == "dynamic":
        return rules
    return [
        *rules,
        *(
            {
                "regex": ".*",
                "operation": side,
                "algorithm_key": "no_quantize",
                "op_config": {},
            }
            for side in ("INPUT", "OUTPUT")
        ),
    ]


def _find_ranges(job: Any, batches: Samples) -> dict[str, Any]:
    """Returns the smallest and largest value of each tensor in all batches.

    In one run over several batches the quantizer averages the ranges, which
    clips: on a small CNN the outputs differed by .39 of their range instead of
    .025.
    """
    found: dict[str, Any] = {}
    for batch in batches:
        measured = job.calibrate({SIGNATURE: [batch]}, num_threads=1)
        for name, values in measured.items():
            found[name] = _widen(found.get(name), values)
    return found


def _widen(one: Arrays | None, two: Arrays) -> Arrays:
    if not one or not two:
        return dict(one or two)
    low, high = (
        np.minimum(one["min"], two["min"]),
        np.maximum(one["max"], two["max"]),
    )
    return {**two, "min": low, "max": high}
