"""Checks 12 and 13: LiteRT files with early exits, on TensorFlow."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from depth.exits.nets import compiled, make_data

from keras_netopt.cost.tflite_model import TfliteModel, count_ops
from keras_netopt.depth import add_exits, calibrate
from keras_netopt.depth.exits import (
    check_decisions,
    conditional_stages,
    device_runner,
    exit_exporter,
    model_stages,
)
from keras_netopt.depth.exits.exit_calibration import score_to_threshold
from keras_netopt.depth.exits.exit_criteria import CRITERIA, exit_scores
from keras_netopt.depth.exits.stage_runner import ExitRule
from keras_netopt.export import ExportError, to_litert


@pytest.fixture(scope="module", autouse=True)
def compare_few_samples():
    """The model is called on each sample that a file is compared on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exit_exporter, "VERIFY_SAMPLES", 16)
        yield


@pytest.fixture(scope="module")
def folder(exits, tmp_path_factory):
    path = tmp_path_factory.mktemp("split") / "exits"
    return path, exits.export(path)


def logits_and_confidences(exits, x):
    found = exits.exit_model.predict(x, verbose=0)
    logits = np.stack([found[n] for n in exits.exit_names], axis=1)
    softmax = np.exp(logits - logits.max(-1, keepdims=True))
    return logits, (softmax / softmax.sum(-1, keepdims=True)).max(-1)


def test_stage_files_decide_as_keras_does(folder, exits):
    path, report = folder
    x = make_data(200, seed=5)[0]
    logits, scores = logits_and_confidences(exits, x)
    thresholds = np.array(exits.calibration.rule.thresholds)
    expected = (scores >= thresholds).argmax(1)
    is_clear = np.abs(scores - thresholds).min(axis=1) > 1e-5
    device = device_runner.DeviceRunner(path)
    indices = []
    for k in range(200):
        prediction, index = device.run(x[k : k + 1])
        indices.append(index)
        np.testing.assert_allclose(prediction[0], logits[k, index], atol=1e-5)
    assert np.array_equal(np.array(indices)[is_clear], expected[is_clear])
    assert len(set(indices)) == 3
    assert report.branches == exits.exit_names
    assert report.accuracy == exits.accuracy
    assert len(report.latency_ms) == 3 and report.full_ms > 0
    assert "times faster" in str(report)


def test_every_file_is_written_for_the_target(
    folder, exits, tmp_path, monkeypatch
):
    """Stages and the file without exits; conversions are slow tests."""
    path, report = folder
    reports = {Path(one.path).name: one for one in report.reports}
    written = {}

    def copy(model, file, *, target, **_):
        name = Path(file).name
        written[name] = target
        known = name if name in reports else "stage_0.tflite"
        shutil.copyfile(path / known, file)
        return replace(reports[known], path=str(file))

    monkeypatch.setattr(exit_exporter, "to_litert", copy)
    exits.export(tmp_path / "exits", target="web")
    assert written == dict.fromkeys([*reports, "full.tflite"], "web")
    with pytest.raises(ValueError, match="Argument `target` must be None"):
        exits.export(tmp_path / "other", target="phone")


def test_the_folder_describes_its_files(folder, exits):
    path, report = folder
    content = json.loads((path / "thresholds.json").read_text())
    assert content["format"] == 1 and content["criterion"] == "confidence"
    assert content["fingerprint"]["weights"] == exits.fingerprint["weights"]
    for row, one in zip(content["stages"], report.reports, strict=True):
        assert row["bytes"] == (path / row["file"]).stat().st_size
        assert one.size.raw == row["bytes"]
        assert len(row["sha256"]) == 64
        assert row["outputs"][-1] == "logits"
    assert content["stages"][-1]["threshold"] is None
    fractions = [row["expected_exit_fraction"] for row in content["stages"]]
    assert sum(fractions) == pytest.approx(1.0)
    assert content["stages"][1]["outputs"] != ["logits"]
    json.dumps(report.to_dict())


def test_the_device_runner_needs_no_keras(folder, tmp_path):
    path, _ = folder
    np.save(tmp_path / "sample.npy", make_data(1, seed=5)[0])
    code = (
        "import runpy, sys; sys.argv = ['runner.py', 'sample.npy'];"
        f"runpy.run_path({str(path / 'runner.py')!r}, run_name='__main__');"
        "print([m for m in ('keras', 'keras_netopt') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "class " in found.stdout and "[]" in found.stdout


def test_outputs_are_read_by_name_not_by_position(tmp_path):
    """Features and logits have the same width, which hides a swap."""
    inputs = keras.Input((4,), name="x")
    x = keras.layers.Dense(3, activation="relu", name="first")(inputs)
    x = keras.layers.Dense(3, activation="relu")(x)
    model = add_exits(
        keras.Model(inputs, keras.layers.Dense(3)(x)), layers=["first"]
    )
    first = model_stages.split_into_stages(model).stages[0]
    path = tmp_path / "stage.tflite"
    to_litert(first.model, path)
    lite = TfliteModel(path)
    shapes = {name: info.shape for name, info in lite.outputs.items()}
    assert shapes == {"features_0": (None, 3), "logits": (None, 3)}

    row = {"file": path.name, "inputs": ["x"], "threshold": None}
    sample = np.linspace(-1.0, 1.0, 4, dtype="float32")[None]
    outputs = device_runner.DeviceStage(tmp_path, row).run({"x": sample})
    expected = first.model.predict_on_batch({"x": sample})
    for name in shapes:
        np.testing.assert_allclose(outputs[name], expected[name], atol=1e-5)
    # Reading them by position would mix them up.
    gap = np.abs(outputs["logits"] - outputs["features_0"]).max()
    assert gap > 1e-3


def test_swapped_outputs_are_refused(folder, exits, held_out, monkeypatch):
    run = device_runner.DeviceStage.run

    def swapped(self, tensors):
        outputs = run(self, tensors)
        return {**outputs, "logits": outputs["logits"][:, ::-1]}

    monkeypatch.setattr(device_runner.DeviceStage, "run", swapped)
    with pytest.raises(ExportError, match="files differ from the model"):
        check_decisions.check_decisions(
            exits,
            exits.calibration,
            folder[0],
            {"image": held_out[0]},
            exact=True,
        )


def test_a_failed_export_leaves_no_files(exits, tmp_path, monkeypatch):
    def fail(exporter, folder):
        (tmp_path / folder / "stage_0.tflite").write_bytes(b"half")
        raise ExportError("broken")

    monkeypatch.setattr(exit_exporter.ExitExporter, "export_stages", fail)
    with pytest.raises(ExportError, match="broken"):
        exits.export(tmp_path / "exits")
    assert list(tmp_path.iterdir()) == []


def test_exports_that_exist_are_not_overwritten_unasked(exits, tmp_path):
    (tmp_path / "thresholds.json").write_text("before")
    (tmp_path / "exits.tflite").write_text("before")
    for path, single in ((tmp_path, False), (tmp_path / "exits.tflite", True)):
        with pytest.raises(FileExistsError, match="unless `overwrite=True`"):
            exits.export(path, single_file=single)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"before"}


def test_a_single_file_has_a_branch_per_exit(exits, tmp_path):
    path = tmp_path / "exits.tflite"
    report = exits.export(path, single_file=True, target="web")
    flag = next(t for t in report.reports[0].outputs if t.name == "exit")
    assert flag.dtype == "int32" and report.reports[0].target == "web"
    ops = count_ops(path.read_bytes())
    assert ops["IF"] == 2
    assert not [name for name in ops if name.startswith("Flex")]
    assert report.branches == exits.exit_names
    assert report.flags == ("IF",)
    x = make_data(60, seed=5)[0]
    logits, scores = logits_and_confidences(exits, x)
    thresholds = np.array(exits.calibration.rule.thresholds)
    expected = (scores >= thresholds).argmax(1)
    lite = TfliteModel(path)
    indices = []
    for k in np.flatnonzero(np.abs(scores - thresholds).min(axis=1) > 1e-5):
        found = lite.run(x[k : k + 1])
        indices.append(int(found["exit"][0]))
        assert indices[-1] == expected[k]
        np.testing.assert_allclose(
            found["logits"][0], logits[k, indices[-1]], atol=1e-5
        )
    assert set(indices) == {0, 1, 2}


def test_full_integers_in_a_single_file_are_refused(exits, tmp_path):
    with pytest.raises(ValueError, match=r"9\.49 MB.*single_file=False"):
        exits.export(
            tmp_path / "exits.tflite", single_file=True, quantize="int8"
        )


def test_quantized_files_of_loaded_thresholds_need_samples(
    exits, tmp_path, held_out
):
    exits.save(tmp_path / "thresholds.json")
    again = type(exits).load(exits.exit_model, tmp_path / "thresholds.json")
    with pytest.raises(ValueError, match="`validation_data` must be given"):
        again.export(tmp_path / "exits", quantize="dynamic")
    with pytest.raises(ValueError, match="`quantize` must be None or one of"):
        again.export(tmp_path / "exits", quantize="int3")


@pytest.mark.slow
def test_full_integer_stage_files(exits, tmp_path, held_out):
    report = exits.export(tmp_path / "exits", quantize="int8", target="web")
    tensors = [t for one in report.reports for t in (*one.inputs, *one.outputs)]
    assert {t.shape[0] for t in tensors} == {1}
    assert {t.dtype for t in tensors} == {"float32"}
    assert "predictions of the files" in " ".join(report.calibration.notes)
    assert (
        report.calibration.rule.thresholds != exits.calibration.rule.thresholds
    )
    assert report.accuracy >= exits.accuracy - 0.05
    device = device_runner.DeviceRunner(tmp_path / "exits")
    found = [device.run(x[None]) for x in held_out[0]]
    shares = np.bincount([k for _, k in found], minlength=3) / 200
    np.testing.assert_allclose(
        shares, report.calibration.point.fractions, atol=0.03
    )
    hits = [
        prediction[0].argmax() == y
        for (prediction, _), y in zip(found, held_out[1], strict=True)
    ]
    assert np.mean(hits) == pytest.approx(report.accuracy, abs=0.03)


@pytest.fixture(scope="module")
def wide():
    """Over 1 MB, in layers large enough to quantize."""
    inputs = keras.Input((64,), name="x")
    x = keras.layers.Dense(384, activation="relu", name="first")(inputs)
    x = keras.layers.Dense(384, activation="relu", name="second")(x)
    x = keras.layers.Dense(384, activation="relu")(x)
    model = add_exits(
        keras.Model(inputs, keras.layers.Dense(3)(x)),
        layers=["first", "second"],
    )
    x, y = make_data(300)
    x = x.reshape(300, 64)
    compiled(model).fit(x[:100], y[:100], verbose=0)
    return calibrate(model, x[100:], y[100:], max_accuracy_drop=0.1)


@pytest.mark.slow
# A sample near a threshold may take another exit in the file.
@pytest.mark.filterwarnings("ignore:.*outputs differ by:UserWarning")
def test_a_dynamic_range_file_is_a_quarter(wide, tmp_path):
    plain = wide.export(tmp_path / "float.tflite", single_file=True)
    small = wide.export(
        tmp_path / "small.tflite", single_file=True, quantize="dynamic"
    )
    assert plain.bytes > 1_000_000
    assert small.bytes <= 0.3 * plain.bytes
    assert count_ops((tmp_path / "small.tflite").read_bytes())["IF"] == 2


def random_outputs(units, is_probability):
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(20, units)).astype("float32")
    if is_probability:
        outputs = 1 / (1 + np.exp(-outputs))
        if units > 1:
            outputs = outputs / outputs.sum(-1, keepdims=True)
    return outputs


class Unchanged:
    """A stage that returns its inputs."""

    def __init__(self, folder, row):
        self.threshold = row["threshold"]

    def run(self, tensors):
        return {"logits": tensors["x"]}


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("units", [1, 4])
@pytest.mark.parametrize("is_probability", [True, False])
def test_the_device_runner_stops_at_scores_above_the_threshold(
    criterion, units, is_probability, tmp_path, monkeypatch
):
    outputs = random_outputs(units, is_probability)
    logits = outputs if is_probability else outputs / 2
    scores = exit_scores(logits, criterion, is_probability)
    middle = float(np.median(scores))
    threshold = score_to_threshold(middle, criterion)
    settings = {
        "criterion": criterion,
        "output_type": "probabilities" if is_probability else "logits",
        "temperature": 2.0,
        "inputs": ["x"],
        "stages": [{"threshold": threshold}, {"threshold": None}],
    }
    (tmp_path / "thresholds.json").write_text(json.dumps(settings))
    monkeypatch.setattr(device_runner, "DeviceStage", Unchanged)
    device = device_runner.DeviceRunner(tmp_path)
    taken = [device.run(one[None])[1] for one in outputs]
    assert taken == [int(score < middle) for score in scores]
    assert sum(taken) == 10


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("units", [1, 4])
@pytest.mark.parametrize("is_probability", [True, False])
def test_symbolic_scores_equal_numpy_scores(criterion, units, is_probability):
    outputs = random_outputs(units, is_probability)
    rule = ExitRule(criterion, (), is_probability)
    found = keras.ops.convert_to_numpy(
        conditional_stages.symbolic_exit_score(
            keras.ops.convert_to_tensor(outputs), rule
        )
    )
    np.testing.assert_allclose(
        found, exit_scores(outputs, criterion, is_probability), atol=1e-5
    )
