"""Finds embeddings whose one scale in the file is set by a few rows."""

import keras
import numpy as np

from keras_netopt.cost.tflite_model import iterate_operators
from keras_netopt.graph.layers import walk_layers

STEPS = 8  # Rows whose largest value spans fewer steps lose their values.
SHARE = 0.1


def explain_wide_tables(model: keras.Model, content: bytes) -> list[str]:
    """Returns a warning for each embedding that 8 bits do not hold.

    The converter quantizes kernels per channel, but a table with one scale: a
    single large row leaves few steps for all others.

    Args:
        model: The exported model.
        content: The file.
    """
    sizes = {
        inputs[0].elements
        for name, inputs in iterate_operators(content)
        if name == "GATHER"
        and inputs[0].is_constant
        and inputs[0].dtype == "INT8"
    }
    found = []
    for layer in walk_layers(model):
        if not isinstance(layer, keras.layers.Embedding):
            continue
        if layer.quantization_mode is not None:
            continue
        table = np.abs(keras.ops.convert_to_numpy(layer.embeddings))
        if table.size in sizes and (text := _describe(layer.name, table)):
            found.append(text)
    return found


def _describe(name: str, table: np.ndarray) -> str:
    rows = table.max(axis=1)
    scale = float(rows.max()) / 127
    lost = rows[rows > 0] < STEPS * scale
    if not lost.size or lost.mean() < SHARE:
        return ""
    return (
        f"embedding {name!r} has one scale for its {len(rows):,} rows, "
        f"{scale:.2g}, set by row {int(rows.argmax()):,} (largest value "
        f"{rows.max():.3g}, median of the rows {np.median(rows):.2g}): "
        f"{lost.mean():.0%} of the rows have fewer than {STEPS} steps. Clip "
        "the large rows if few inputs use them, or use quantize='float16'; "
        "'int8' takes the scale from the rows that `calibration_data` uses."
    )
