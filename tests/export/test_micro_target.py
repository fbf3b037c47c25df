"""`to_litert(target="micro")`: files that TFLite Micro runs."""

import re

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt import export
from keras_netopt.export import ExportError, MicroRun, micro_target, to_litert
from keras_netopt.export.micro.micro_run import RunDifference
from keras_netopt.export.micro.micro_runtime import find_installed

tensorflow = pytest.mark.backend("tensorflow")
no_backend = pytest.mark.no_backend
needs_runtime = pytest.mark.skipif(
    find_installed() is None, reason="the extra micro is not installed"
)
X = np.random.default_rng(0).random((40, 6, 6, 1), "float32")


@pytest.fixture(scope="module")
def net():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1), name="x"),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


@needs_runtime
def test_a_float_file_is_run_on_every_backend(net, tmp_path):
    path = tmp_path / "m.tflite"
    report = to_litert(net, path, target="micro", calibration_data=X)
    assert report.inputs[0].shape == (1, 6, 6, 1)
    assert (report.target, report.micro_run.status) == ("micro", "ran")
    assert report.micro_run.samples == 16
    assert report.micro_run.max_abs_diff < 1e-5
    # 6 * 6 floats and 4 * 4 * 4 floats, each a multiple of 16 bytes.
    assert report.activation_bytes == report.micro_run.head == 144 + 256 + 112
    assert report.activation_bytes == export.inspect_file(path).activation_bytes
    assert any("`quantized_io=True`" in note for note in report.notes)
    found = report.to_dict()
    assert found["micro_run"]["max_abs_diff"] == report.micro_run.max_abs_diff
    assert "ran 16 given inputs" in str(report)


@tensorflow
@needs_runtime
@pytest.mark.filterwarnings("ignore:.*outputs differ by")
@pytest.mark.parametrize(
    "quantize, io, dtype",
    [("int8", True, "int8"), ("int8", "uint8", "uint8"), ("int16x8", True, "")],
)
def test_integer_files_run(net, tmp_path, quantize, io, dtype):
    report = to_litert(
        net,
        tmp_path / "m.tflite",
        target="micro",
        quantize=quantize,
        quantized_io=io,
        calibration_data=X,
        compact=True,
    )
    assert report.micro_run.status == "ran"
    assert report.micro_run.max_quanta <= 1
    assert report.activation_bytes == report.micro_run.head
    assert report.inputs[0].dtype == (dtype or "int16")


@no_backend
@pytest.mark.parametrize("mode", ["dynamic", "float16", "int4", "int2"])
def test_other_forms_are_refused_before_the_conversion(net, tmp_path, mode):
    with pytest.raises(ValueError) as error:
        to_litert(net, tmp_path / "m.tflite", target="micro", quantize=mode)
    assert str(error.value).startswith(
        "Argument `quantize` must be None, 'int8' or 'int16x8' for "
        "target='micro': it "
    )
    assert str(error.value).endswith(
        f"pass `quantize='int8'`. Received: quantize={mode!r}"
    )
    assert not list(tmp_path.iterdir())


@no_backend
def test_sparse_and_flex_files_are_refused_before_the_conversion(net, tmp_path):
    for options, reason in (
        ({"sparse": True}, "it lacks the op DENSIFY"),
        ({"allow_select_tf_ops": True}, "has no Flex delegate"),
    ):
        with pytest.raises(ValueError, match=reason):
            to_litert(net, tmp_path / "m.tflite", target="micro", **options)
    assert not list(tmp_path.iterdir())


@tensorflow
def test_an_op_that_is_missing_leaves_the_old_file(tmp_path):
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(3, activation="gelu")]
    )
    path = tmp_path / "m.tflite"
    path.write_text("old")
    with pytest.raises(ExportError, match="GELU is missing in TFLite Micro"):
        to_litert(model, path, target="micro", overwrite=True)
    assert [one.name for one in tmp_path.iterdir()] == ["m.tflite"]
    assert path.read_text() == "old"


@pytest.fixture
def run_as(monkeypatch):
    """Gives `to_litert` a run that no small file makes."""

    def run_as(run):
        report = export.MicroReport("m.tflite", "0.dev1", {}, run)
        monkeypatch.setattr(
            micro_target, "micro_report", lambda *_, **__: report
        )
        return report

    return run_as


def test_a_report_tells_what_no_run_has_proved():
    verdicts = {
        status: str(export.MicroReport("m.tflite", "1", {}, MicroRun(status)))
        for status in ("ran", "refused", "not made")
    }
    for status, answer in (
        ("ran", "yes"),
        ("refused", "no"),
        ("not made", "nothing found against it"),
    ):
        assert re.search(rf"runs\W+{answer} ", verdicts[status])


FAILED = {
    r"does not run the file \(target='micro'\): op PAD failed": MicroRun(
        "refused", "op PAD failed"
    ),
    "ended by signal SIGSEGV": MicroRun("ended", "ended by signal SIGSEGV"),
    "output 'y' differs by 0.2, 0.1 x its largest value; 0.001 x": MicroRun(
        "ran", outputs=(RunDifference("y", 0.2, 0.1),)
    ),
    "output 'y' differs by nan": MicroRun(
        "ran", outputs=(RunDifference("y", np.nan, np.nan, 0.1),)
    ),
}


@no_backend
@pytest.mark.parametrize("reason", FAILED)
def test_a_failed_run_is_an_error(run_as, reason):
    run_as(FAILED[reason])
    with pytest.raises(ExportError, match=reason):
        micro_target.run_for_target("m.tflite", [{}], "random")


@no_backend
def test_a_run_is_described(run_as):
    quanta = RunDifference("y", 0.2, 0.1, quantum=0.02)
    report = run_as(MicroRun("ran", outputs=(quanta,)))
    _, warnings = micro_target.describe_run(report)
    (warning,) = warnings
    assert "differs from LiteRT by y 10 quanta, 0.1 x the largest" in warning
    notes, warnings = micro_target.describe_run(
        run_as(MicroRun("not made", "no package"))
    )
    assert (notes, warnings) == (["not run in TFLite Micro: no package"], [])
    for source, told in (("random", "random"), ("held out", "given")):
        run_as(MicroRun("ran", source="given"))
        found = micro_target.run_for_target("m.tflite", [{}], source)
        assert found.run.source == told


@tensorflow
def test_a_failed_run_leaves_the_old_file(net, tmp_path, run_as):
    run_as(MicroRun("ended", "by signal SIGSEGV"))
    path = tmp_path / "m.tflite"
    path.write_text("old")
    with pytest.raises(ExportError, match="by signal SIGSEGV"):
        to_litert(net, path, target="micro", overwrite=True)
    assert [one.name for one in tmp_path.iterdir()] == ["m.tflite"]
    assert path.read_text() == "old"
