"""Sizes and numbers of quantised and sparse files."""

import shutil

import keras
import numpy as np
import pytest
from export.test_calibration_forms import two_inputs
from keras import layers

from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.export import (
    ExportError,
    evaluate,
    inspect_file,
    litert_writer,
    to_litert,
)
from keras_netopt.export.uint8_io import use_uint8_io

MODES = {
    "float32": {},
    "sparse": {"sparse": True},
    "dynamic": {"quantize": "dynamic"},
    "float16": {"quantize": "float16"},
    "int8": {"quantize": "int8"},
    "int8-io": {"quantize": "int8", "quantized_io": True},
    "int8-uint8": {"quantize": "int8", "quantized_io": "uint8"},
    "int16x8-io": {"quantize": "int16x8", "quantized_io": True},
}


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


@pytest.fixture(scope="module")
def net():
    """330 kB of weights, 90 % zeros, in layers big enough to quantise."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((256,), name="x"),
            layers.Dense(256, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    return prune(model, 0.9)


@pytest.fixture(scope="module")
def reports(net, tmp_path_factory):
    """The report of each mode; the float file is converted once."""
    folder = tmp_path_factory.mktemp("modes")
    known = folder / "known"
    convert = litert_writer.convert_model

    def convert_once(exportable, path, **settings):
        options = {k: v for k, v in settings.items() if k != "folder"}
        is_float = not any(options.values())
        if is_float and known.exists():
            shutil.copyfile(known, path)
            return
        convert(exportable, path, **settings)
        if is_float:
            shutil.copyfile(path, known)

    data = np.random.default_rng(0).standard_normal((200, 256))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(litert_writer, "convert_model", convert_once)
        return {
            name: to_litert(
                net, folder / f"{name}.tflite", calibration_data=data, **options
            )
            for name, options in MODES.items()
        }


def test_unsigned_inputs_and_outputs_shift_the_integers(reports, tmp_path):
    """Those that the converter writes, and those added to an int8 file."""
    other = tmp_path / "m.tflite"
    with open(reports["int8-io"].path, "rb") as file:
        other.write_bytes(use_uint8_io(file.read()))
    paths = [reports[n].path for n in ("int8-io", "int8-uint8")] + [other]
    signed, unsigned, edited = map(TfliteModel, paths)
    assert edited.inputs == unsigned.inputs
    assert edited.outputs == unsigned.outputs
    x = np.random.default_rng(1).standard_normal((20, 256))
    wanted = signed.run(x)["output_0"]
    assert np.ptp(wanted) > 0.1
    for lite in (unsigned, edited):
        np.testing.assert_array_equal(lite.run(x)["output_0"], wanted)
    labels = wanted.argmax(-1)
    assert evaluate(other, x, labels).accuracy == 1.0
    assert inspect_file(other).inputs == reports["int8-uint8"].inputs


@pytest.mark.parametrize(
    "mode, ratio",
    [("dynamic", 0.3), ("float16", 0.55), ("int8", 0.3), ("int8-io", 0.3)],
)
def test_quantised_file_is_small(reports, mode, ratio):
    report = reports[mode]
    assert report.quantize == mode.removesuffix("-io") and not report.sparse
    assert report.float_size == reports["float32"].size
    assert report.float_size.raw > 320_000
    assert ratio / 1.3 <= report.raw_ratio <= ratio
    assert report.verification.max_rel_diff > 0


def test_files_that_are_small_enough_have_no_warning(reports):
    assert [n for n, report in reports.items() if report.warnings] == []


def test_inputs_and_outputs_are_integers_on_request(reports):
    kinds = {
        name: {report.inputs[0].dtype, report.outputs[0].dtype}
        for name, report in reports.items()
    }
    assert kinds.pop("int8-io") == {"int8"}
    assert kinds.pop("int8-uint8") == {"uint8"}
    assert kinds.pop("int16x8-io") == {"int16"}
    assert set(map(tuple, kinds.values())) == {("float32",)}
    assert reports["int16x8-io"].notes == (
        "int16x8 runs on reference kernels: often many times slower than float",
    )
    assert reports["int8-io"].notes == ()


def test_dynamic_int8_keeps_the_zeros_of_a_pruned_model(net, reports):
    report = reports["dynamic"]
    stored = {kernel.shape: kernel for kernel in kernels_in(report.path)}
    # The last kernel is too small to quantise.
    for kernel in [v.numpy() for v in net.weights if v.name == "kernel"][:2]:
        share = np.mean(kernel == 0)
        assert np.mean(stored[kernel.shape[::-1]] == 0) >= share > 0.89
    assert report.gzip_ratio < 0.7


def test_sparse_file_of_a_pruned_model_is_small_and_exact(reports):
    plain, report = reports["float32"], reports["sparse"]
    assert report.sparse and not plain.sparse
    assert report.raw_ratio <= 0.25
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
            "further, or quantize.",
        ),
    ],
)
def test_sparse_file_of_a_dense_model_warns(share, sparse, message, tmp_path):
    model = keras.Sequential([keras.Input((64,)), layers.Dense(64)])
    path = str(tmp_path / "s.tflite")
    with pytest.warns(UserWarning) as caught:
        report = to_litert(prune(model, share), path, sparse=True)
    assert [str(w.message) for w in caught] == [f"{path}: {message}"]
    assert report.sparse is sparse
    assert report.raw_ratio <= 1.0


def blind(units):
    """A layer whose outputs do not depend on the mean of its inputs.

    Quantisation steps of 100 / 255 lose the differences of inputs near 100.
    """
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((64,)), layers.Dense(units)])
    kernel = rng.standard_normal((64, units)).astype("float32")
    model.layers[0].kernel.assign(kernel - kernel.mean(axis=0))
    return model, rng.random((50, 64))


def test_quantisation_that_destroys_the_model_is_an_error(tmp_path):
    model, data = blind(units=64)
    options = {"quantize": "int8", "calibration_data": 100 + data}
    with pytest.raises(ExportError) as error:
        to_litert(model, tmp_path / "m.tflite", **options)
    assert str(error.value).startswith(
        "Quantization quantize='int8' breaks the model: outputs differ by "
    )
    assert "(25 samples held out from the calibration)" in str(error.value)
    assert list(tmp_path.iterdir()) == []


class Masked(layers.Layer):
    def call(self, x):
        return keras.ops.softmax(keras.ops.where(x > 0, x, -1e9))


def test_layer_whose_values_integers_cannot_hold_is_named(tmp_path):
    model = keras.Sequential([keras.Input((64,)), Masked(name="masked")])
    data = np.random.default_rng(0).standard_normal((30, 64))
    with pytest.raises(ExportError) as error:
        to_litert(
            model,
            tmp_path / "m.tflite",
            quantize="int8",
            calibration_data=4 * data,
        )
    assert "/masked" in str(error.value)
    assert " span 1e+09, as with -1e9 for masked entries" in str(error.value)


def test_a_large_difference_is_a_warning(tmp_path):
    model, data = blind(units=1)
    options = {"quantize": "int8", "calibration_data": 10 + data}
    text = "outputs differ by .* of their spread .* at most 0.2 and 97% of the"
    with pytest.warns(UserWarning, match=text):
        report = to_litert(model, tmp_path / "m.tflite", **options)
    assert len(report.warnings) == 1
    found = report.verification
    assert found.median_rel_diff < found.p95_rel_diff
    assert 0.2 < found.p95_rel_diff and found.median_rel_diff <= 0.5
    assert found.source == "held out"


def test_each_of_two_inputs_has_the_range_of_its_data(tmp_path):
    data = np.random.default_rng(0).random((8, 4), "float32")
    model = two_inputs(("z-wide", "a-narrow"))
    report = to_litert(
        model,
        tmp_path / "m.tflite",
        quantize="int8",
        calibration_data={"z-wide": 1000 * data, "a-narrow": data},
        quantized_io=True,
    )
    scales = {tensor.name: tensor.scale for tensor in report.inputs}
    assert scales["z_wide"] > 100 * scales["a_narrow"]


def test_calibration_covers_sequences_of_several_lengths(tmp_path):
    """The longest one, which comes last, has the largest numbers."""
    model = keras.Sequential(
        [keras.Input((None, 4), name="x"), layers.Conv1D(2, 1)]
    )
    data = [np.full((2, n, 4), 10.0**n, "float32") for n in (1, 1, 2)]
    report = to_litert(
        model,
        tmp_path / "m.tflite",
        quantize="int8",
        calibration_data=lambda: data,
        quantized_io=True,
    )
    assert report.inputs[0].scale == pytest.approx(100 / 255, rel=0.01)
    assert report.verification.samples == 6


class Shift(layers.Layer):
    def build(self, shape):
        self.shift = self.add_weight(shape=shape[1:], initializer="ones")

    def call(self, x):
        return x + self.shift


@pytest.mark.parametrize(
    "shape, layer, reason",
    [
        (
            (32,),
            layers.Dense(31),
            "the largest weights have 992 elements, and the converter "
            "quantizes weights of 1,024 elements or more.",
        ),
        (
            (64, 64),
            Shift(),
            "these ops keep their weights in float: ADD (4,096).",
        ),
        ((8,), layers.ReLU(), "the file holds no weights."),
    ],
)
def test_dynamic_that_saves_nothing_says_why(shape, layer, reason, tmp_path):
    model = keras.Sequential([keras.Input(shape), layer])
    path = str(tmp_path / "m.tflite")
    with pytest.warns(UserWarning) as caught:
        report = to_litert(model, path, quantize="dynamic")
    assert report.warnings == (
        f"'dynamic' saves nothing, 1.00 x the float file: {reason}",
    )
    assert [str(w.message) for w in caught] == [f"{path}: {report.warnings[0]}"]
    assert report.warnings[0].split(":")[0] in str(report)
