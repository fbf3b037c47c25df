"""Reports and failures of exported files."""

import errno
import json
import os
import sys

import keras
import numpy as np
import pytest
from export.conftest import build_tiny
from keras import layers

from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.export import (
    ExportError,
    convert_model,
    litert_writer,
    to_litert,
)
from keras_netopt.export.convert_model import measure_file


@pytest.fixture
def write(tiny, tiny_report, monkeypatch):
    """A function that makes the converter write the tiny model's file.

    `change` is added to the kernel in the file, `error` is raised then.
    """
    with open(tiny_report.path, "rb") as file:
        content = file.read()
    kernel = tiny.layers[0].kernel.numpy().T
    assert content.count(kernel.tobytes()) == 1

    def write(change=0.0, error=None):
        changed = (kernel + np.float32(change)).tobytes()

        def convert(exportable, path, **settings):
            with open(path, "wb") as file:
                file.write(content.replace(kernel.tobytes(), changed))
            if error is not None:
                raise error

        monkeypatch.setattr(litert_writer, "convert_model", convert)

    return write


def leave_unset(exportable, path, **settings):
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


# Unset variables hold whatever lay in memory: NaN or just wrong numbers.
@pytest.mark.parametrize(
    "change, message",
    [
        (None, "NaN or infinity|The outputs of the file differ"),
        (1e-2, "The outputs of the file differ from the model's: output"),
        (np.nan, "The file computes NaN or infinity where the model does n"),
    ],
)
def test_wrong_file_is_refused_and_removed(
    change, message, tiny, tmp_path, monkeypatch, write
):
    if change is None:
        monkeypatch.setattr(litert_writer, "convert_model", leave_unset)
    else:
        write(change)
    with pytest.raises(ExportError, match=message):
        to_litert(tiny, tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []


def test_failed_export_keeps_the_file_that_was_there(tiny, tmp_path, write):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"before")
    write(change=1e-2)
    with pytest.raises(ExportError, match="outputs of the file differ"):
        to_litert(tiny, path, overwrite=True)
    assert path.read_bytes() == b"before"
    write()
    to_litert(tiny, path, overwrite=True)
    assert path.read_bytes() != b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_file_that_exists_is_not_overwritten_unasked(tiny, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"before")
    with pytest.raises(FileExistsError) as error:
        to_litert(tiny, path)
    assert str(error.value) == (
        "Argument `path` must be a new file unless `overwrite=True` "
        "(on the command line: --overwrite). "
        f"Received: path={str(path)!r}, which exists"
    )
    with pytest.raises(TypeError, match="Argument `overwrite` must be True"):
        to_litert(tiny, path, overwrite=1)
    assert path.read_bytes() == b"before"


class TensorflowError(Exception):
    """Has no `errno`, as the errors of TensorFlow's file system."""


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError("[Errno 28] No space left on device"),
    TensorflowError("RESOURCE_EXHAUSTED: v; No space left on device"),
]


@pytest.mark.parametrize("cause", FULL)
def test_full_disk_is_an_os_error_and_changes_nothing(
    cause, tmp_path, monkeypatch
):
    model = build_tiny()
    before = [weight.numpy() for weight in model.weights]
    path = tmp_path / "m.tflite"
    path.write_bytes(b"before")

    def fill_disk(saved_model, target, settings):
        with open(target, "wb") as file:
            file.write(b"half")
        raise cause

    monkeypatch.setattr(convert_model, "run_job", fill_disk)
    with pytest.raises(OSError, match="No space left on device, in the") as e:
        to_litert(model, path, overwrite=True)
    assert e.value.errno == errno.ENOSPC and e.value.filename == str(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_interrupted_export_leaves_nothing(tiny, tmp_path, write):
    write(error=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        to_litert(tiny, tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []


def test_nan_weights_are_named(tmp_path):
    model = build_tiny()
    model.layers[0].kernel.assign(np.full((4, 3), np.nan))
    with pytest.raises(ExportError) as error:
        to_litert(model, tmp_path / "m.tflite")
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
        model, tmp_path / "m.tflite", calibration_data=np.eye(4) + 1
    )
    assert report.max_abs_diff == 0.0


def test_missing_folder_is_an_os_error(tiny, tmp_path):
    with pytest.raises(FileNotFoundError, match="Create '"):
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


def test_report_matches_the_file(tiny_report):
    report = tiny_report
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


def test_files_are_readable_by_others(tiny_report, tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert os.stat(tiny_report.path).st_mode == os.stat(plain).st_mode


def test_tensorflow_runs_the_file_where_ai_edge_is_missing(
    tiny, tmp_path, monkeypatch, write
):
    write()
    for name in ("interpreter", "schema_py_generated"):
        monkeypatch.setitem(sys.modules, f"ai_edge_litert.{name}", None)
    report = to_litert(tiny, tmp_path / "m.tflite")
    assert report.max_abs_diff <= 1e-5


def test_no_interpreter_names_the_extra(tiny_report, monkeypatch):
    import tensorflow as tf

    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.delattr(tf.lite, "Interpreter")
    with pytest.raises(ImportError) as error:
        TfliteModel(tiny_report.path)
    assert str(error.value) == (
        "Running the file requires a LiteRT interpreter: pip install "
        '"keras-netopt[litert]"'
    )


def test_the_converter_prints_nothing(tiny, tmp_path, capfd):
    to_litert(tiny, tmp_path / "m.tflite", quantize="float16")
    assert capfd.readouterr() == ("", "")


def test_a_refusal_holds_what_the_converter_printed(
    tiny, tmp_path, monkeypatch
):
    def refuse(*arguments):
        os.write(2, b"error: op 7 is the reason\n")
        raise RuntimeError("no legalization")

    monkeypatch.setattr(convert_model, "run_job", refuse)
    with pytest.raises(ExportError, match="no legalization") as caught:
        to_litert(tiny, tmp_path / "m.tflite")
    assert "op 7 is the reason" in caught.value.__cause__.__notes__[0]
