"""Export under every Keras backend."""

import numpy as np
import pytest

from keras_netopt.export import ExportError, to_litert, verification
from keras_netopt.export.quantization_mode import check_quantization


@pytest.mark.no_backend
def test_the_largest_difference_of_all_batches_counts(monkeypatch):
    expected = [{"y": np.full((2, 1), value)} for value in (1.0, 2.0, 4.0)]
    errors = zip(expected, (1e-5, 3e-5, 0.0), strict=True)
    actual = [{"y": batch["y"] + error} for batch, error in errors]
    monkeypatch.setattr(verification, "run_file", lambda *_, **__: actual)

    found = verification.verify_file(None, "m.tflite", None, expected)
    assert found.max_abs_diff == pytest.approx(3e-5)
    assert found.max_rel_diff == pytest.approx(3e-5 / 4)
    assert found.samples == 6
    actual[1]["y"][0] = 3.0
    with pytest.raises(ExportError, match="output 'y' by 1, 0.0004 is allowed"):
        verification.verify_file(None, "m.tflite", None, expected)


def test_export_error_is_a_value_error():
    assert issubclass(ExportError, ValueError)


def test_path_must_be_a_tflite_path(tiny):
    with pytest.raises(ValueError) as error:
        to_litert(tiny, "model.lite")
    assert str(error.value) == (
        "Argument `path` must end in '.tflite'. Received: path='model.lite'"
    )
    with pytest.raises(TypeError) as error:
        to_litert(tiny, 3)
    assert str(error.value) == (
        "Argument `path` must be a string or a path. Received: path=3"
    )


def test_unknown_mode_raises(tiny):
    with pytest.raises(ValueError) as error:
        to_litert(tiny, "m.tflite", quantize="int3")
    assert str(error.value) == (
        "Argument `quantize` must be None or one of 'dynamic', 'float16', "
        "'int8', 'int16x8', 'int4', 'int2'. Received: quantize='int3'"
    )


@pytest.mark.parametrize("mode", ["int8", "int16x8"])
def test_calibrated_modes_need_data(tiny, mode):
    with pytest.raises(ValueError) as error:
        to_litert(tiny, "m.tflite", quantize=mode)
    ranges = {
        "int8": ", or train ranges with `callbacks.Quantization("
        "activations=True)` (of a saved model: `quantization.load_ranges`)",
        "int16x8": "",
    }
    assert str(error.value) == (
        "Argument `calibration_data` must be given for "
        f"quantize='{mode}'. Received: calibration_data=None. Pass 200 "
        f"samples of real input or more{ranges[mode]}."
    )


def test_sparse_and_quantised_raises(tiny):
    with pytest.raises(ValueError) as error:
        to_litert(tiny, "m.tflite", sparse=True, quantize="dynamic")
    assert str(error.value) == (
        "Argument `sparse` must be False where the file is quantized: such a "
        "file does not run with the default delegate, and dynamic int8 with "
        "gzip is smaller (192 kB against 222 kB at 80 % zeros). Received: "
        "sparse=True, quantize='dynamic'"
    )


@pytest.mark.parametrize("mode", [None, "dynamic", "float16"])
def test_integer_io_needs_integer_activations(mode):
    with pytest.raises(ValueError) as error:
        check_quantization(
            mode, sparse=False, calibration_data=None, quantized_io=True
        )
    assert str(error.value) == (
        "Argument `quantized_io` must be False unless quantize is 'int8' or "
        f"'int16x8'. Received: quantized_io=True, quantize={mode!r}"
    )
