"""One call that meets a budget; what it keeps, and what it refuses."""

import json
import os
from pathlib import Path

import keras
import numpy as np
import pytest
from compression_tools import compress, make_data

import keras_netopt as netopt
from keras_netopt import export
from keras_netopt.warnings import TargetMissedWarning

pytestmark = pytest.mark.backend("tensorflow")


def test_the_file_meets_the_target(run):
    result = run.result
    assert result.met and result.in_the_way == []
    assert os.path.getsize(result.path) / 1000 == result.file.kilobytes <= 4
    x, y = make_data(128)
    assert export.evaluate(result.path, x, y).accuracy == result.file.score
    lite = export.inspect_file(result.path)
    assert [one.dtype for one in (*lite.inputs, *lite.outputs)] == ["int8"] * 2
    assert result.file.drop == result.original.score - result.file.score
    assert result.file.macs < result.original.macs
    assert result.model.count_params() < run.model.count_params()


def test_the_model_is_that_of_the_file(run):
    x, _ = make_data(128)
    outputs = np.asarray(run.result.model(x))
    found = next(
        iter(
            netopt.cost.tflite_model.TfliteModel(run.result.path)
            .run(x)
            .values()
        )
    )
    step = np.abs(outputs).max() / 64
    np.testing.assert_allclose(found, outputs, atol=step)


def test_the_original_is_not_changed(run):
    for before, now in zip(run.before, run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, now)
    assert run.model.compiled and int(run.model.optimizer.iterations) == 8
    assert run.model.get_layer("one").units == 64


def test_everything_is_told(run):
    result = run.result
    trained = result.file.epochs
    assert result.history["epoch"] == list(range(trained))
    assert len(result.history["val_accuracy"]) == trained
    assert set(result.seconds) == {"planning", "training", "files", "total"}
    assert 0 < result.overhead < 1
    values = json.loads(json.dumps(result.to_dict()))
    assert values["met"] and values["candidates"][0]["kilobytes"] <= 4
    text = str(result)
    assert "target met" in text and "original" in text
    assert "int8" in run.shown and f"{trained}/4 epochs" in run.shown
    assert result.front == [result.file]


def test_a_picture_shows_all_files(run, tmp_path):
    figure = run.result.plot(tmp_path / "files.png")
    names = [text.get_text() for text in figure.axes[0].get_legend().texts]
    assert [n for n in names if n.startswith("0: original, 1.00 x latency")]
    assert [n for n in names if n.startswith("1:") and "delivered" in n]
    assert (tmp_path / "files.png").exists()


def test_a_finished_run_is_read_again(run, monkeypatch):
    """And the model is rebuilt from its folder, without a fit."""

    def fail(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(keras.Model, "fit", fail)
    path = run.folder / "again.tflite"
    again = compress(run.model, path, folder=run.folder / "run")
    assert path.read_bytes() == Path(run.result.path).read_bytes()
    assert again.history == run.result.history
    x, _ = make_data(32)
    np.testing.assert_allclose(again.model(x), run.result.model(x), atol=1e-5)


def test_a_folder_of_another_run_is_refused(run):
    with pytest.raises(ValueError, match="these differ: target, epochs"):
        compress(
            run.model,
            run.folder / "other.tflite",
            folder=run.folder / "run",
            target=netopt.Target(kilobytes=5),
            epochs=9,
        )


class Stop(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch
        self.seen = []

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(epoch)
        if epoch == self.epoch:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on(run, tmp_path):
    """From the last whole epoch, with the cut that was made."""
    path, stop = tmp_path / "model.tflite", Stop(2)
    arguments = {"folder": tmp_path / "run"}
    with pytest.raises(KeyboardInterrupt):
        compress(run.model, path, callbacks=[stop], **arguments)
    assert not path.exists() and stop.seen == [0, 1, 2]
    more = Stop(None)
    result = compress(run.model, path, callbacks=[more], **arguments)
    assert more.seen[0] == 2 and path.exists()
    assert result.history["epoch"] == list(range(result.file.epochs))
    shapes = [w.shape for w in result.model.get_weights()]
    assert shapes == [w.shape for w in run.result.model.get_weights()]


def test_without_a_folder_trained_weights_survive_an_error(run, tmp_path):
    with pytest.raises(KeyboardInterrupt) as caught:
        compress(run.model, tmp_path / "m.tflite", callbacks=[Stop(1)])
    note = caught.value.__notes__[0]
    folder = note.partition("folder='")[2].partition("'")[0]
    assert os.path.exists(os.path.join(folder, "run.json"))
    assert list(tmp_path.iterdir()) == []


def test_a_budget_out_of_reach_is_refused_before_training(run, tmp_path):
    stop = Stop(0)
    with pytest.raises(ValueError, match="nearest file .* of at most 0.5 kB"):
        compress(
            run.model,
            tmp_path / "m.tflite",
            target=netopt.Target(kilobytes=0.5, io="int8"),
            callbacks=[stop],
        )
    assert stop.seen == [] and list(tmp_path.iterdir()) == []


def test_the_nearest_file_is_written_with_what_stood_in_the_way(run, tmp_path):
    """Fresh noise: no training keeps the accuracy of these labels."""
    x, y = make_data(128)
    path = tmp_path / "m.tflite"
    with pytest.warns(TargetMissedWarning, match="accuracy is worse"):
        result = compress(
            run.model,
            path,
            validation_data=(x, np.asarray(run.model(x)).argmax(1)),
            target=netopt.Target(kilobytes=2.6, io="int8"),
            max_drop=0.0,
            epochs=2,
            learning_rate=1e-6,
        )
    assert not result.met and "allowed" in result.in_the_way[0]
    assert result.file.fits and path.exists()
    assert [one.epochs for one in result.candidates] == [1, 2]
    assert "target missed" in str(result)


def test_rounding_alone_trains_nothing(run, tmp_path):
    result = compress(
        run.model, tmp_path / "m.tflite", target=netopt.Target(kilobytes=12)
    )
    assert result.met and result.file.epochs == 0
    assert result.history == {} and result.seconds["training"] == 0


def test_arguments_are_checked_before_anything_is_written(run, tmp_path):
    uncompiled = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
    cases = (
        (uncompiled, {}, "compiled"),
        (run.model, {"target": 60}, "netopt.Target"),
        (run.model, {"epochs": 0}, "epochs"),
        (run.model, {"max_drop": -1}, "max_drop"),
        (run.model, {"distillation": 3}, "distillation"),
        (run.model, {"distillation": {"temp": 2}}, "['temp']"),
        (run.model, {"distillation": {"weight": 2}}, "weight"),
        (run.model, {"callbacks": [3]}, "callbacks"),
        (run.model, {"mode": "up"}, "mode"),
        (run.model, {"learning_rate": 0}, "learning_rate"),
        (run.model, {"verbose": 2}, "verbose"),
        (run.model, {"validation_data": None}, "validation_data"),
        (run.model, {"path": tmp_path / "model.pb"}, ".tflite"),
        (run.model, {"path": tmp_path / "no" / "m.tflite"}, "Create"),
        ("model", {}, "model"),
    )
    failures = []
    for model, changed, text in cases:
        try:
            compress(model, **{"path": tmp_path / "m.tflite", **changed})
        except (TypeError, ValueError, OSError) as error:
            if text not in str(error):
                failures.append((text, str(error)))
        else:
            failures.append((text, "accepted"))
    assert not failures and list(tmp_path.iterdir()) == []
