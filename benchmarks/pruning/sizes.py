"""Bytes of LiteRT files, raw and compressed."""

import gzip
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FORMS: dict[str, dict[str, Any]] = {
    "float": {},
    "sparse": {"sparse": True},
    "dynamic": {"quantize": "dynamic"},
}
DENSE_FORMS = ("float", "dynamic")


def measure(model: Any, forms: Iterable[str] = FORMS) -> dict[str, int]:
    """Returns raw and gzip bytes of a Keras 3 model in some forms."""
    from keras_netopt.export import to_litert

    files = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in forms:
            options = FORMS[name]
            path = Path(folder, f"{name}.tflite")
            to_litert(model, str(path), **options)
            files[name] = path.read_bytes()
    return _bytes(files)


def measure_tf_keras(model: Any) -> dict[str, int]:
    """Returns the same of a tf_keras model, by TensorFlow's converter."""
    import tensorflow as tf

    settings = {
        "float": [],
        "sparse": [tf.lite.Optimize.EXPERIMENTAL_SPARSITY],
        "dynamic": [tf.lite.Optimize.DEFAULT],
    }
    files = {}
    for name, optimizations in settings.items():
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = optimizations
        files[name] = converter.convert()
    return _bytes(files)


def _bytes(files: dict[str, bytes]) -> dict[str, int]:
    sizes = {}
    for name, content in files.items():
        sizes[name] = len(content)
        packed = gzip.compress(content, compresslevel=9, mtime=0)
        sizes[f"{name}_gzip"] = len(packed)
    return sizes
