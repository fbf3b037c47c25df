"""The default meter of latency."""

import os
import tempfile

import keras

from keras_netopt import cost
from keras_netopt.graph.symbolic import input_specs


def measure_milliseconds(model: keras.Model) -> float:
    """Measures the latency of one sample, the default meter.

    Under TensorFlow, a LiteRT file runs on one thread and its CPU time is
    measured, which a busy machine does not disturb. Other backends cannot
    write such a file; they time `predict_on_batch`.

    Args:
        model: A built model.

    Returns:
        The median, in milliseconds.
    """
    inputs = keras.tree.flatten(input_specs(model))
    is_free = any(None in tensor.shape[1:] for tensor in inputs)
    if is_free or keras.backend.backend() != "tensorflow":
        return cost.measure_latency({"model": model})["model"].median
    from keras_netopt import export

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.tflite")
        export.to_litert(model, path)
        return cost.measure_latency({"model": path})["model"].median
