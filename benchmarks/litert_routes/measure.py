"""Measures one file: difference, agreement, bytes, types of weights."""

import collections
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.litert_routes.routes import Route
from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.cost.tflite_weights import read_weights
from keras_netopt.export.convert_model import measure_file
from keras_netopt.export.stored_kernel import describe_kernels

BATCH = 100


def measure(
    route: Route,
    model: keras.Model,
    data: np.ndarray,
    held_out: np.ndarray,
    path: Path,
) -> dict[str, Any]:
    """Writes a file by a route and compares it with its model.

    Returns the numbers, or what failed under "failed".
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reference = route.write(model, data, path)
    # Each engine raises errors of its own.
    except Exception as error:
        return {"failed": "refused", "message": _shorten(error)}
    content = path.read_bytes()
    row = {**vars(measure_file(str(path))), **_describe(model, content)}
    try:
        outputs = _run(path, held_out)
    except Exception as error:
        return {**row, "failed": "does not run", "message": _shorten(error)}
    expected = _predict(reference, held_out)
    if not np.isfinite(outputs).all():
        return {**row, "failed": "computes NaN", "message": ""}
    gap = np.abs(outputs - expected).max() / np.abs(expected).max()
    plain = _predict(model, held_out)
    return {
        **row,
        "difference": float(gap),
        "same_class": _share(outputs, expected),
        "same_class_as_float": _share(outputs, plain),
    }


def _describe(model: keras.Model, content: bytes) -> dict[str, Any]:
    """Returns the weights by type, those in float, and equal integers."""
    weights = read_weights(content)
    kinds = collections.Counter(weight.dtype.lower() for weight in weights)
    floats: collections.Counter[str] = collections.Counter()
    for weight in weights:
        if weight.is_float:
            floats[weight.op] += weight.size
    results = [k.integers_equal for k in describe_kernels(model, content, None)]
    return {
        "types": dict(kinds),
        "float_weights": dict(floats),
        "equal": results.count(True),
        "compared": results.count(True) + results.count(False),
    }


def _run(path: Path, x: np.ndarray) -> np.ndarray:
    lite = TfliteModel(path)
    name = next(iter(lite.inputs))
    batch = lite.inputs[name].shape[0] or BATCH
    parts = [
        next(iter(lite.run({name: x[i : i + batch]}).values()))
        for i in range(0, len(x), batch)
    ]
    return np.concatenate(parts)


def _predict(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return model.predict(x, batch_size=BATCH, verbose=0)


def _share(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.mean(one.argmax(-1) == two.argmax(-1)))


def _shorten(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:200]
