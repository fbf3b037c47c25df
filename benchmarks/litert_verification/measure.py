"""Exports a model and compares the report with the file on other samples."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.export import ExportError, to_litert, verification

MODES = ("dynamic", "float16", "int8")
# The converter ends its process when it calibrates the loop of an LSTM.
IMPOSSIBLE = ("lstm", "int8")
HELD_OUT = 10_000
HELD_OUT_SINGLY = 4_000  # For a file with a fixed batch of 1.
FIRST = 256


def measure(
    model: keras.Model, x: np.ndarray, x_test: np.ndarray, mode: str
) -> dict[str, Any]:
    """Returns what the report says and what held-out samples say."""
    refused = ""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder, "m.tflite")
        options = {"quantize": mode, "calibration_data": x, "overwrite": True}
        try:
            report = to_litert(model, path, **options)
        except ExportError as error:
            refused = str(error)
            report = _export_anyway(model, path, options)
        held_out = _outputs(model, path, x_test)
        options["calibration_data"] = x[:FIRST]
        narrow = _export_anyway(model, path, options).verification
        held_out_narrow = _outputs(model, path, x_test)
    found = report.verification
    return {
        "reported": found.agreement,
        "samples": found.samples,
        "held_out": _agreement(held_out),
        "held_out_samples": len(held_out[0]),
        "first_reported": narrow.agreement,
        "first_held_out": _agreement(held_out_narrow),
        "median": found.median_rel_diff,
        "p95": found.p95_rel_diff,
        "max_rel": found.max_rel_diff,
        "warnings": list(report.warnings),
        "refused": refused,
    }


def _agreement(outputs: tuple[np.ndarray, np.ndarray]) -> float:
    return float(np.mean(np.equal(*(a.argmax(-1) for a in outputs))))


def _export_anyway(
    model: keras.Model, path: Path, options: dict[str, Any]
) -> Any:
    """Writes a file that is refused, to see whether that was right."""
    limits = verification.MAX_RELATIVE, verification.MIN_AGREEMENT
    verification.MAX_RELATIVE, verification.MIN_AGREEMENT = np.inf, 0.0
    try:
        return to_litert(model, path, **options)
    finally:
        verification.MAX_RELATIVE, verification.MIN_AGREEMENT = limits


def _outputs(
    model: keras.Model, path: Path, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    lite = TfliteModel(path)
    batch = next(iter(lite.inputs.values())).shape[0] or 50
    x = x[: HELD_OUT if batch > 1 else HELD_OUT_SINGLY]
    whole = len(x) // batch * batch
    rows = range(0, whole, batch)
    (name,) = lite.outputs
    actual = [lite.run(x[k : k + batch])[name] for k in rows]
    expected = model.predict(x[:whole], batch_size=256, verbose=0)
    return expected, np.concatenate(actual)
