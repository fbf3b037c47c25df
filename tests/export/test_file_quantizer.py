"""Quantization of a float file, against that of TensorFlow's converter."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.export import to_litert
from keras_netopt.export.file_quantizer import quantize_file

pytest.importorskip("ai_edge_quantizer")
pytestmark = [
    pytest.mark.backend("tensorflow"),
    # Of the interpreter that keeps all tensors, for a calibration.
    pytest.mark.filterwarnings("ignore:Warning. Enabling"),
]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((16,), name="x"),
            layers.Dense(80, activation="relu"),
            layers.Dense(40, activation="relu"),
            layers.Dense(5),
        ]
    )


def test_modes_lose_no_more_than_those_of_tensorflow(model, tmp_path):
    """Averaged instead of widest ranges clip the rare large samples."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 16)).astype("float32")
    x *= np.where(np.arange(64) % 16 == 0, 4.0, 1.0)[:, None].astype("float32")
    wanted = keras.ops.convert_to_numpy(model(x, training=False))
    to_litert(model, tmp_path / "float.tflite")
    content = (tmp_path / "float.tflite").read_bytes()
    batches = [{"x": x[k : k + 1]} for k in range(len(x))]
    wrong = []
    for mode in ("dynamic", "float16", "int8", "int16x8"):
        theirs = to_litert(
            model,
            tmp_path / f"{mode}.tflite",
            quantize=mode,
            calibration_data=x,
        )
        path = tmp_path / f"our_{mode}.tflite"
        path.write_bytes(quantize_file(content, mode, batches, False))
        found = TfliteModel(path).run(x)["output_0"]
        diff = np.abs(found - wanted).max()
        if diff > 1.5 * theirs.max_abs_diff:
            wrong.append((mode, diff, theirs.max_abs_diff))
        if not path.stat().st_size <= 1.1 * theirs.size.raw:
            wrong.append((mode, path.stat().st_size, theirs.size.raw))
    assert wrong == []


def test_integer_inputs_on_request(model, tmp_path):
    to_litert(model, tmp_path / "float.tflite")
    content = (tmp_path / "float.tflite").read_bytes()
    batches = [{"x": np.ones((1, 16), "float32")}]
    for quantized_io, dtype in ((True, "int8"), (False, "float32")):
        path = tmp_path / f"{dtype}.tflite"
        path.write_bytes(quantize_file(content, "int8", batches, quantized_io))
        lite = TfliteModel(path)
        assert lite.inputs["x"].dtype == dtype
        assert lite.outputs["output_0"].dtype == dtype
