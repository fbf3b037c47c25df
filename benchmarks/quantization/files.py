"""Bytes and accuracy of LiteRT files."""

import gzip
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 1000
CALIBRATION = 200

Row = dict[str, Any]
Test = tuple[np.ndarray, np.ndarray]


def write_file(
    model: Any, test: Test, form: str, calibration: np.ndarray | None = None
) -> Row:
    """Writes a Keras 3 model in one form; returns bytes and accuracy.

    Args:
        model: The model.
        test: Images and labels.
        form: `quantize` of `to_litert`.
        calibration: `calibration_data` of `to_litert`. Defaults to `None`.
    """
    from keras_netopt.export import to_litert

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        to_litert(model, str(path), quantize=form, calibration_data=calibration)
        expected = model.predict(test[0], batch_size=BATCH, verbose=0)
        return measure(path.read_bytes(), test, expected)


def convert_tf_keras(model: Any, test: Test) -> Row:
    """Converts a tf_keras model with the converter's default optimization."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    expected = model.predict(test[0], batch_size=BATCH, verbose=0)
    return measure(converter.convert(), test, expected)


def measure(content: bytes, test: Test, expected: np.ndarray) -> Row:
    """Returns bytes and accuracy of a file, and how it differs from its model.

    Args:
        content: The file.
        test: Images and labels.
        expected: Logits of the model, shape `(images, classes)`.
    """
    logits = _run(content, test[0])
    right = logits.argmax(1) == test[1]
    same = logits.argmax(1) == expected.argmax(1)
    return {
        "raw": len(content),
        "gzip": len(gzip.compress(content, compresslevel=9, mtime=0)),
        "accuracy": round(float(right.mean()), 4),
        "same_class": round(float(same.mean()), 4),
        "difference": float(f"{np.abs(logits - expected).max():.3g}"),
    }


def _run(content: bytes, x: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    (source,) = interpreter.get_input_details()
    (target,) = interpreter.get_output_details()
    shape = [BATCH, *source["shape"][1:]]
    interpreter.resize_tensor_input(source["index"], shape)
    interpreter.allocate_tensors()
    found = []
    for i in range(0, len(x), BATCH):
        interpreter.set_tensor(source["index"], x[i : i + BATCH])
        interpreter.invoke()
        found.append(interpreter.get_tensor(target["index"]))
    return np.concatenate(found)
