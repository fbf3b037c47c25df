"""Files that hold the integers of a grid of 8, 4, 3 or 2 bits."""

import json
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.export import (
    ExportError,
    litert_writer,
    to_litert,
    verification,
)
from keras_netopt.export.model_kernels import list_kernels
from keras_netopt.export.stored_kernel import describe_kernels
from keras_netopt.quantization import grids

INPUT = (5, 5, 16)


def put_on_grid(model, bits, only=""):
    """Rounds the kernels whose names contain `only`."""
    for layer in model._flatten_layers():
        for variable in layer._trainable_variables:
            kernel = variable.numpy()
            if kernel.ndim < 2 or only not in layer.name:
                continue
            axes = grids.channel_axes(variable, layer)
            scale = grids.find_scale(
                kernel, axes, bits, grids.find_method(bits)
            )
            variable.assign(grids.round_to_grid(kernel, scale, bits))


def build_net():
    """All kinds of kernels, of 1,024 weights or more."""
    x = inputs = keras.Input(INPUT)
    for layer in (
        layers.Conv2D(16, 3, padding="same", name="conv_bn"),
        layers.Conv2D(64, 1, name="conv"),
        layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise_bn"),
        layers.Conv2DTranspose(8, 3, name="transpose_bn"),
        layers.Conv2DTranspose(16, 3, padding="same", name="transpose"),
        layers.DepthwiseConv2D(3, depth_multiplier=8, name="depthwise"),
        layers.Reshape((9, 128)),
        layers.EinsumDense("abc,cde->abde", (9, 4, 8), name="heads"),
        layers.EinsumDense("abde,def->abf", (9, 32), name="joined_bn"),
        layers.EinsumDense("abc,dc->abd", (9, 32), name="turned"),
        layers.Flatten(),
        layers.Dense(16, name="dense_bn"),
        layers.Dense(64, name="dense"),
    ):
        x = layer(x)
        if layer.name.endswith("_bn"):
            x = layers.ReLU()(layers.BatchNormalization()(x))
    model = keras.Model(inputs, x)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.gamma.shape
            gamma = rng.choice([-1.0, 1.0], size) * rng.uniform(0.5, 2, size)
            gamma[1] = 0.0
            layer.gamma.assign(gamma)
            layer.beta.assign(rng.normal(size=size))
            layer.moving_mean.assign(rng.normal(size=size) / 9)
            layer.moving_variance.assign(rng.uniform(0.5, 2, size))
    for kernel in list_kernels(model):
        channel = np.moveaxis(kernel.values.copy(), kernel.axes[-1], 0)
        channel[-1] = 0.0
        kernel.layer.kernel.assign(np.moveaxis(channel, 0, kernel.axes[-1]))
    return model


CASES = {"int4": 4, "int8": 8, "dynamic": 8}


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """A report for each number format, with kernels on its grid."""
    folder = tmp_path_factory.mktemp("low_bits")
    data = np.random.default_rng(0).random((8, *INPUT), "float32")
    keras.utils.set_random_seed(0)
    net = build_net()
    kernels = [kernel.values for kernel in list_kernels(net)]
    convert = litert_writer.convert_model

    def skip_float(exportable, path, **settings):
        """The float file of 8 bits is only measured."""
        if "quantize" in settings:
            convert(exportable, path, **settings)
        else:
            with open(path, "wb") as file:
                file.write(bytes(100_000))

    found = {}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        # Activations in 8 bits lose most of what random weights compute.
        patch.setattr(verification, "MAX_RELATIVE", np.inf)
        patch.setattr(verification, "MIN_AGREEMENT", 0.0)
        warnings.filterwarnings("ignore", message=".*outputs differ by")
        for name, bits in CASES.items():
            for kernel, values in zip(list_kernels(net), kernels, strict=True):
                kernel.layer.kernel.assign(values)
            put_on_grid(net, bits)
            if bits == 8:
                patch.setattr(litert_writer, "convert_model", skip_float)
            path = folder / f"{name}.tflite"
            found[name] = to_litert(
                net, path, quantize=name, calibration_data=data
            )
    return found


@pytest.mark.parametrize("quantize", CASES)
def test_file_holds_the_integers_of_every_kernel(reports, quantize):
    report = reports[quantize]
    bits = CASES[quantize]
    assert len(report.kernels) == 11
    # None or False: a kernel that was not found, is float or was rounded.
    wrong = [k for k in report.kernels if k.integers_equal is not True]
    assert wrong == []
    assert {(k.grid, k.bits) for k in report.kernels} == {(bits, bits)}
    assert all(k.zeros > 0 for k in report.kernels)
    assert "equal in 11 of 11 kernels on a grid" in str(report)
    if quantize == "int4":
        assert report.max_abs_diff <= 1e-4
        assert report.warnings == ()
    size = sum(np.prod(k.shape) for k in report.kernels)
    assert sum(k.nbytes for k in report.kernels) == size * bits // 8


@pytest.fixture(scope="module")
def mixed():
    """Kernels on several grids, and kernels that no format holds."""
    keras.utils.set_random_seed(0)
    tokens = keras.Input((8,), dtype="int32", name="tokens")
    x = layers.Embedding(32, 16, name="table")(tokens)
    x = layers.EinsumDense("abc,bcd->abd", (8, 32), name="batched")(x)
    x = layers.Dense(32, name="four")(x)
    x = layers.Dense(32, name="three")(x)
    x = layers.Dense(32, name="eight")(x)
    x = layers.Conv1D(32, 3, name="two")(x)
    x = layers.Dense(1, name="small")(x)
    model = keras.Model(tokens, x)
    for bits, name in enumerate(("two", "three", "four"), 2):
        put_on_grid(model, bits, name)
    put_on_grid(model, 8, "eight")
    put_on_grid(model, 4, "small")
    return model


@pytest.fixture(scope="module")
def mixed_report(mixed, tmp_path_factory):
    """The report with "int4"; the file with "int2" lies beside it."""
    folder = tmp_path_factory.mktemp("mixed")
    write = litert_writer.write_low_bits

    def write_both(source, target, bits):
        write(source, target, bits)
        write(source, folder / "int2.tflite", 2)

    data = np.random.default_rng(0).integers(0, 32, (4, 8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(litert_writer, "write_low_bits", write_both)
        return to_litert(
            mixed,
            folder / "int4.tflite",
            quantize="int4",
            calibration_data=data,
        )


def test_every_kernel_is_stored_without_another_rounding(mixed_report):
    stored = {
        kernel.key.partition("/")[0]: (kernel.dtype, kernel.note)
        for kernel in mixed_report.kernels
    }
    assert stored == {
        "table": ("float32", "no few-bit format for GATHER"),
        "batched": ("float32", "no few-bit format for BATCH_MATMUL"),
        "four": ("int4", ""),
        "three": ("int4", ""),
        "eight": ("int8", ""),
        "two": ("int4", ""),
        "small": ("float32", "too small to save bytes"),
    }
    assert mixed_report.max_abs_diff <= 1e-4
    assert "equal in 4 of 4 kernels on a grid" in str(mixed_report)
    content = json.loads(json.dumps(mixed_report.to_dict()))["kernels"]
    assert content[2]["integers_equal"] is True
    assert content[2]["nbytes"] == 16 * 32


def test_two_bits(mixed, mixed_report):
    path = Path(mixed_report.path).with_name("int2.tflite")
    kernels = describe_kernels(mixed, path.read_bytes(), "int2")
    stored = {k.key.partition("/")[0]: k for k in kernels}
    assert stored["two"].dtype == "int2" and stored["two"].integers_equal
    assert stored["two"].nbytes == 3 * 32 * 32 // 4
    assert stored["four"].dtype == "int4" and stored["four"].integers_equal
    data = np.random.default_rng(1).integers(0, 32, (4, 8), "int32")
    outputs = TfliteModel(path).run(data)["output_0"]
    np.testing.assert_allclose(outputs, mixed(data), atol=1e-4)


def test_kernels_off_the_grid_are_named(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(8, name="first"),
            layers.Dense(8, name="last"),
        ]
    )
    put_on_grid(model, 4, "first")
    with pytest.raises(ValueError) as error:
        to_litert(model, tmp_path / "m.tflite", quantize="int4")
    assert "kernels off the grid: last/kernel. Train with" in str(error.value)
    assert "`quantization.quantize(model, bits=4)`" in str(error.value)
    put_on_grid(model, 8)
    with pytest.raises(ValueError, match=r"last/kernel \(8 bits\)"):
        to_litert(model, tmp_path / "m.tflite", quantize="int4")
    assert list(tmp_path.iterdir()) == []


def test_missing_quantizer_is_named(mixed, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    with pytest.raises(ImportError, match=r'pip install "keras-netopt\[int4]"'):
        to_litert(mixed, tmp_path / "m.tflite", quantize="int4")


def test_wrong_integer_is_an_error(mixed, mixed_report, tmp_path, monkeypatch):
    """The file is compared as strictly as a float file."""
    with open(mixed_report.path, "rb") as file:
        good = file.read()

    def write(exportable, path, **settings):
        with open(path, "wb") as file:
            file.write(good)

    def write_wrong(source, target, bits):
        start = good.index(pack_kernel(mixed, "four"))
        with open(target, "wb") as file:
            file.write(good[:start] + b"\x77" + good[start + 1 :])

    monkeypatch.setattr(litert_writer, "convert_model", write)
    monkeypatch.setattr(litert_writer, "write_low_bits", write_wrong)
    with pytest.raises(ExportError, match="outputs of the file differ"):
        to_litert(mixed, tmp_path / "m.tflite", quantize="int4")
    assert list(tmp_path.iterdir()) == []


def pack_kernel(model, name):
    """The packed integers of a dense kernel."""
    kernel = next(k for k in list_kernels(model) if k.key.startswith(name))
    rows = kernel.find_integers().T.astype("int8").ravel().view("uint8") & 15
    return (rows[::2] | rows[1::2] << 4).tobytes()
