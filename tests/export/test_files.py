"""Sizes, reports and failures of exported files."""

import json
import os

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.export import ExportError, litert_export, to_litert
from keras_netopt.export.convert_model import measure_file
from keras_netopt.export.exportable_model import prepare_model
from keras_netopt.export.input_samples import make_samples


def prune(model, share):
    """Zeros the smallest weights of every kernel."""
    for variable in model.weights:
        if len(variable.shape) > 1:
            kernel = variable.numpy()
            cut = np.quantile(abs(kernel), share) if share else -1.0
            variable.assign(np.where(abs(kernel) <= cut, 0, kernel))
    return model


def kernels_in(path):
    """The int8 kernels of the dense layers in a LiteRT file."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    details = interpreter.get_tensor_details()
    wide = [d for d in details if len(d["shape"]) == 2 and min(d["shape"]) > 1]
    return [
        interpreter.get_tensor(d["index"])
        for d in wide
        if d["dtype"] == np.int8
    ]


def unfrozen(exportable, path, **settings):
    """A conversion that leaves the variables unset."""
    import tensorflow as tf

    model = exportable.model
    spec = tf.TensorSpec((None, 4), tf.float32, name="x")
    function = tf.function(lambda x: {"output_0": model(x)}, [spec])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], model
    )
    with open(path, "wb") as file:
        file.write(converter.convert())


def perturbed(exportable, path, change=1e-2, **settings):
    kernel = exportable.model.weights[0]
    before = kernel.numpy()
    kernel.assign(before + change)
    real_convert(exportable, path, **settings)
    kernel.assign(before)


def with_nan(exportable, path, **settings):
    perturbed(exportable, path, change=np.nan, **settings)


real_convert = litert_export.convert_model


# Unset variables hold whatever lay in memory: NaN or just wrong numbers.
@pytest.mark.parametrize(
    "broken, message",
    [
        (unfrozen, "NaN or infinity|The outputs of the file differ"),
        (perturbed, "The outputs of the file differ from the model's: output"),
        (with_nan, "The file computes NaN or infinity where the model does n"),
    ],
)
def test_wrong_file_is_refused_and_removed(
    broken, message, tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(litert_export, "convert_model", broken)
    with pytest.raises(ExportError, match=message):
        to_litert(tiny, tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []


def test_failed_export_keeps_the_file_that_was_there(
    tiny, tmp_path, monkeypatch
):
    path = tmp_path / "m.tflite"
    to_litert(tiny, path)
    before = path.read_bytes()
    monkeypatch.setattr(litert_export, "convert_model", perturbed)
    with pytest.raises(ExportError, match="outputs of the file differ"):
        to_litert(tiny, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_export_leaves_nothing(tiny, tmp_path, monkeypatch):
    def interrupt(exportable, path, **settings):
        real_convert(exportable, path, **settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(litert_export, "convert_model", interrupt)
    with pytest.raises(KeyboardInterrupt):
        to_litert(tiny, tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []


def test_nan_weights_are_named(tiny, tmp_path):
    tiny.layers[0].kernel.assign(np.full((4, 3), np.nan))
    with pytest.raises(ExportError) as error:
        to_litert(tiny, tmp_path / "m.tflite")
    assert str(error.value) == (
        "The model itself computes NaN in output 'output_0'; its weights "
        "hold NaN: tiny/fc/kernel. Nothing was exported."
    )
    assert list(tmp_path.iterdir()) == []


def test_infinite_outputs_that_agree_are_no_error(tmp_path):
    model = keras.Sequential(
        [keras.Input((4,)), layers.Lambda(lambda x: x / (x * 0.0))]
    )
    report = to_litert(
        model, tmp_path / "m.tflite", calibration_data=np.ones((4, 4))
    )
    assert report.max_abs_diff == 0.0


def test_missing_folder_is_an_os_error(tiny, tmp_path):
    with pytest.raises(FileNotFoundError):
        to_litert(tiny, tmp_path / "none" / "m.tflite")


def test_folder_in_place_of_the_file_is_an_os_error(tiny, tmp_path):
    (tmp_path / "m.tflite").mkdir()
    with pytest.raises(IsADirectoryError):
        to_litert(tiny, tmp_path / "m.tflite")


def test_unbuilt_model_raises(tmp_path):
    model = keras.Sequential([layers.Dense(3)], name="unbuilt")
    with pytest.raises(ValueError, match="Argument `model` must be built."):
        to_litert(model, tmp_path / "m.tflite")
    with pytest.raises(TypeError, match="Argument `model` must be a `keras.M"):
        to_litert(layers.Dense(3), tmp_path / "m.tflite")


@pytest.mark.parametrize(
    "data, message",
    [
        (
            np.ones((5, 3), "float32"),
            "Argument `calibration_data` must have shape (None, 4) for "
            "input 'x'. Received: shape (5, 3)",
        ),
        (
            np.ones((0, 4), "float32"),
            "Argument `calibration_data` must hold equally many samples for "
            "each input, at least one. Received: shapes [(0, 4)]",
        ),
        (
            {"a": np.ones((5, 4)), "b": np.ones((5, 4))},
            "Argument `calibration_data` must hold one array for each of the "
            "inputs ['x']. Received: keys ['a', 'b']",
        ),
        (
            [np.ones((5, 4), "float32")] * 2,
            "Argument `calibration_data` must have shape (None, 4) for "
            "input 'x'. Received: shape (2, 5, 4)",
        ),
    ],
)
def test_data_that_does_not_fit_raises(tiny, tmp_path, data, message):
    with pytest.raises(ValueError) as error:
        to_litert(tiny, tmp_path / "m.tflite", calibration_data=data)
    assert str(error.value) == message


def test_calibration_data_forms_agree(tiny):
    import tensorflow as tf

    x = np.random.default_rng(0).random((8, 4), dtype="float32")
    forms = [
        x,
        x.tolist(),
        [x],
        {"x": x},
        tf.data.Dataset.from_tensor_slices(x).batch(3),
        tf.data.Dataset.from_tensor_slices((x, x[:, 0])).batch(8),
    ]
    for data in forms:
        samples = make_samples(prepare_model(tiny), data)
        assert list(samples) == ["x"]
        np.testing.assert_array_equal(samples["x"], x)


@pytest.mark.parametrize("form", [list, dict])
@pytest.mark.parametrize(
    ("names", "stored"),
    [
        (("zeta", "alpha"), ("zeta", "alpha")),
        (("z-wide", "a-narrow"), ("z_wide", "a_narrow")),
    ],
)
def test_calibration_of_two_inputs_goes_by_name(form, names, stored, tmp_path):
    a, b = keras.Input((4,), name=names[0]), keras.Input((4,), name=names[1])
    model = keras.Model([a, b], layers.Dense(3)(a) + 100 * layers.Dense(3)(b))
    rng = np.random.default_rng(0)
    data = [rng.random((50, 4)) * 1000, rng.random((50, 4))]
    if form is dict:
        data = dict(zip(names, data, strict=True))
    report = to_litert(
        model,
        tmp_path / "m.tflite",
        quantize="int8",
        calibration_data=data,
        quantized_io=True,
    )
    scales = {tensor.name: tensor.scale for tensor in report.inputs}
    assert scales[stored[0]] > 100 * scales[stored[1]]


@pytest.mark.parametrize(
    "mode, ratio", [("dynamic", 0.30), ("float16", 0.55), ("int8", 0.30)]
)
def test_quantised_file_is_small(dense_net, real_data, mode, ratio, tmp_path):
    report = to_litert(
        dense_net,
        tmp_path / "m.tflite",
        quantize=mode,
        calibration_data=real_data,
    )
    assert report.float_size.raw > 1_000_000
    assert report.raw_ratio <= ratio
    assert report.inputs[0].dtype == "float32"
    assert report.verification.max_rel_diff > 0


def test_integer_io(dense_net, real_data, tmp_path):
    report = to_litert(
        dense_net,
        tmp_path / "m.tflite",
        quantize="int8",
        calibration_data=real_data,
        quantized_io=True,
    )
    assert report.inputs[0].dtype == report.outputs[0].dtype == "int8"
    assert report.raw_ratio <= 0.30
    wide = to_litert(
        dense_net,
        tmp_path / "w.tflite",
        quantize="int16x8",
        calibration_data=real_data,
        quantized_io=True,
    )
    assert wide.inputs[0].dtype == "int16"
    assert wide.notes == (
        "int16x8 runs on reference kernels: often many times slower than float",
    )


def test_quantisation_that_destroys_the_model_is_an_error(tmp_path):
    model = keras.Sequential([keras.Input((64,)), layers.Dense(64)])
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((64, 64)).astype("float32")
    model.layers[0].set_weights([kernel, np.zeros(64)])
    # Quantisation steps of 100 / 255 lose the differences of the inputs.
    data = 100 + rng.random((50, 64))
    model.layers[0].kernel.assign(kernel - kernel.mean(axis=0))
    with pytest.raises(ExportError) as error:
        to_litert(
            model,
            tmp_path / "m.tflite",
            quantize="int8",
            calibration_data=data,
        )
    assert str(error.value).startswith(
        "Quantisation quantize='int8' breaks the model: relative difference "
    )
    assert list(tmp_path.iterdir()) == []


def test_a_large_difference_is_a_warning(tmp_path):
    model = keras.Sequential([keras.Input((64,)), layers.Dense(1)])
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((64, 1)).astype("float32")
    model.layers[0].set_weights([kernel - kernel.mean(), np.zeros(1)])
    path = str(tmp_path / "m.tflite")
    with pytest.warns(UserWarning, match="outputs differ by .* of their range"):
        report = to_litert(
            model,
            path,
            quantize="int8",
            calibration_data=20 + rng.random((50, 64)),
        )
    assert len(report.warnings) == 1
    assert 0.2 < report.verification.max_rel_diff <= 0.5


def test_dynamic_int8_keeps_the_zeros_of_a_pruned_model(dense_net, tmp_path):
    prune(dense_net, 0.8)
    report = to_litert(dense_net, tmp_path / "m.tflite", quantize="dynamic")
    floats = [v.numpy() for v in dense_net.weights if v.name == "kernel"]
    stored = {kernel.shape: kernel for kernel in kernels_in(report.path)}
    for kernel in floats:
        share = np.mean(kernel == 0)
        assert np.mean(stored[kernel.shape[::-1]] == 0) >= share > 0.79
    assert report.gzip_ratio < 0.7


def test_sparse_file_of_a_pruned_model_is_small_and_exact(dense_net, tmp_path):
    prune(dense_net, 0.9)
    plain = to_litert(dense_net, tmp_path / "p.tflite")
    report = to_litert(dense_net, tmp_path / "s.tflite", sparse=True)
    assert report.sparse and report.raw_ratio <= 0.2
    assert report.float_size == plain.size
    assert report.flags == ("DENSIFY",)
    x = np.random.default_rng(1).random((1, 256))
    outputs = [TfliteModel(r.path).run(x)["output_0"] for r in (plain, report)]
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize(
    "share, sparse, message",
    [
        (
            0.0,
            False,
            "`sparse=True` does not make this file smaller (0% of its kernels"
            " are zeros); the plain file was written. Prune the model first.",
        ),
        (
            0.4,
            True,
            "`sparse=True` saves little below 50 % zeros (40% here). Prune "
            "further, or quantise.",
        ),
    ],
)
def test_sparse_file_of_a_dense_model_warns(
    dense_net, tmp_path, share, sparse, message
):
    prune(dense_net, share)
    path = str(tmp_path / "s.tflite")
    with pytest.warns(UserWarning) as caught:
        report = to_litert(dense_net, path, sparse=True)
    assert [str(w.message) for w in caught] == [f"{path}: {message}"]
    assert report.sparse is sparse
    assert report.raw_ratio <= 1.0


def test_report_matches_the_file(tiny, tmp_path):
    report = to_litert(tiny, tmp_path / "m.tflite")
    assert report.size.raw == os.path.getsize(report.path)
    assert report.size == measure_file(report.path) == measure_file(report.path)
    assert report.ops == {"FULLY_CONNECTED": 1}
    assert report.verification.samples == 7
    assert report.latency.rounds >= 30
    content = json.loads(json.dumps(report.to_dict()))
    assert content["size"] == {"raw": report.size.raw, "gzip": report.size.gzip}
    assert content["inputs"][0]["shape"] == [None, 4]
    assert content["verification"]["max_abs_diff"] == report.max_abs_diff
    assert len(str(report).splitlines()) <= 15


def test_files_are_readable_by_others(tiny, tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    report = to_litert(tiny, tmp_path / "m.tflite")
    assert os.stat(report.path).st_mode == os.stat(plain).st_mode


def test_tensorflow_runs_the_file_where_ai_edge_is_missing(
    tiny, tmp_path, monkeypatch
):
    import sys

    for name in ("interpreter", "schema_py_generated"):
        monkeypatch.setitem(sys.modules, f"ai_edge_litert.{name}", None)
    report = to_litert(tiny, tmp_path / "m.tflite")
    assert report.max_abs_diff <= 1e-5


def test_no_interpreter_names_the_extra(tiny, tmp_path, monkeypatch):
    import sys

    import tensorflow as tf

    path = to_litert(tiny, tmp_path / "m.tflite").path
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.delattr(tf.lite, "Interpreter")
    with pytest.raises(ImportError) as error:
        TfliteModel(path)
    assert str(error.value) == (
        "Running the file requires a LiteRT interpreter: pip install "
        '"keras-netopt[litert]"'
    )
