"""Calibration in a child process, and what becomes of its end."""

import subprocess
import sys
import tempfile

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.export import (
    ExportError,
    converter_program,
    litert_writer,
    to_litert,
)
from keras_netopt.export.converter_process import ConverterProcess

OPTIONS = {
    "quantize": "int8",
    "calibration_data": np.arange(40.0).reshape(2, 5, 4),
}
REMEDY = (
    " This process and the model are not affected. `quantize='dynamic'` and "
    "`quantize='float16'` need no calibration."
)
# What a child does instead, after it has read a job.
ENDS = {
    "os._exit(3)": "ended with exit code 3 while it loaded TensorFlow.",
    "print('too bad', file=sys.stderr, flush=True); sys.exit(3)": (
        "ended with exit code 3 while it loaded TensorFlow. Its last "
        "message: too bad"
    ),
    "os.kill(os.getpid(), 9)": (
        "ended by signal SIGKILL (usual if memory runs out) while it loaded "
        "TensorFlow."
    ),
    "tell('stage.json', 'calibrated and converted the model'); "
    "os.kill(os.getpid(), 6)": (
        "ended by signal SIGABRT while it calibrated and converted the model."
    ),
}
PROGRAM = """
import json, os, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.stdin.readline()
folder = json.loads(sys.stdin.readline())["folder"]
def tell(name, content):
    with open(os.path.join(folder, name), "w") as file:
        json.dump(content, file)
"""


@pytest.fixture(autouse=True)
def in_a_child(monkeypatch):
    """Not in this process, as in the other tests."""
    monkeypatch.setattr(litert_writer, "ConverterProcess", ConverterProcess)


@pytest.fixture
def run_instead(monkeypatch, tmp_path_factory):
    """A function that sets the code that the child runs."""
    program = tmp_path_factory.mktemp("program") / "program.py"

    def change(code):
        program.write_text(PROGRAM + code)
        monkeypatch.setattr(converter_program, "__file__", str(program))

    return change


@pytest.fixture
def no_float_file(monkeypatch):
    """The float file is not what these tests are about."""
    convert = litert_writer.convert_model

    def convert_quantized(exportable, path, **settings):
        if settings.get("quantize"):
            convert(exportable, path, **settings)
        else:
            open(path, "wb").close()

    monkeypatch.setattr(litert_writer, "convert_model", convert_quantized)


@pytest.fixture(scope="module")
def model():
    return keras.Sequential(
        [keras.Input((5, 4)), layers.LSTM(2, name="memory")], name="net"
    )


def test_child_that_dies_is_an_error_with_the_remedy(
    model, tmp_path, monkeypatch, run_instead, no_float_file
):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    target = tmp_path / "m.tflite"
    target.write_bytes(b"before")
    wrong = []
    for code, reason in ENDS.items():
        run_instead(code)
        with pytest.raises(ExportError) as error:
            to_litert(model, target, overwrite=True, **OPTIONS)
        if str(error.value) != (
            "The process of the converter, quantize='int8', "
            f"{reason}{REMEDY} Or build the recurrent layers ['memory'] with "
            "`unroll=True`."
        ):
            wrong.append(str(error.value))
    assert wrong == []
    assert target.read_bytes() == b"before"
    assert {*tmp_path.iterdir()} == {target, folder}
    assert [path for path in folder.iterdir() if path.is_dir()] == []


def test_child_that_cannot_start_is_an_error(model, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(ExportError, match="none could be started") as error:
        to_litert(model, tmp_path / "m.tflite", **OPTIONS)
    assert REMEDY.rsplit(". ")[-1] in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_child_tells_what_the_converter_says(
    model, tmp_path, run_instead, no_float_file
):
    run_instead("tell('error.json', ['Odd', \"'tf.Inv' op is neither\"])")
    with pytest.raises(ExportError, match="LiteRT has no kernel for: Inv"):
        to_litert(model, tmp_path / "m.tflite", **OPTIONS)
    run_instead("tell('error.json', ['OSError', 'disk full'])")
    with pytest.raises(OSError, match="disk full"):
        to_litert(model, tmp_path / "m.tflite", **OPTIONS)


def test_child_ends_when_its_parent_fails(run_instead, monkeypatch):
    children = []

    class Recorded(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            children.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    run_instead("")
    with pytest.raises(KeyboardInterrupt), ConverterProcess():
        assert children[0].poll() is None
        raise KeyboardInterrupt
    assert children[0].poll() is not None


def test_child_calibrates(tmp_path):
    """The one test that runs the real program."""
    model = keras.Sequential([keras.Input((4,), name="x"), layers.Dense(3)])
    data = np.random.default_rng(0).uniform(-8, 8, (200, 4)).astype("float32")
    report = to_litert(
        model,
        tmp_path / "m.tflite",
        quantize="int8",
        calibration_data=data,
        quantized_io=True,
    )
    assert report.inputs[0].dtype == "int8"
    assert report.inputs[0].scale == pytest.approx(16 / 255, rel=0.05)
    answer = TfliteModel(report.path).run(data)["output_0"]
    # Outputs beyond the range of the samples that calibrated are clipped.
    assert np.quantile(np.abs(answer - model(data)), 0.95) < 0.2
    assert list(tmp_path.iterdir()) == [tmp_path / "m.tflite"]
