"""Limits on the measured latency, without converter and interpreter."""

import json
import math
import shutil

import keras
import keras_tuner
import pytest
from search import toys

from keras_netopt import cost, export, search
from keras_netopt.cost.measure_latency import Latency, LatencyReport
from keras_netopt.export.litert_report import FileSize, LitertReport
from keras_netopt.search import measured_costs

MS = Latency("file", median=1.0, minimum=1.0, spread=0.0, rounds=3)


def dense(units):
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(units)])


@pytest.fixture
def converted(monkeypatch):
    """Models that were converted; a file holds the units, its latency."""
    done = []

    def convert(model, path, quantize=None):
        with open(path, "w") as file:
            file.write(str(model.output_shape[-1]))
        done.append((model.output_shape[-1], quantize))
        size = FileSize(raw=1, gzip=1)
        return LitertReport(path, quantize, False, size, size, latency=MS)

    def measure(files, rounds, warmup):
        found = []
        for name, path in files.items():
            with open(path) as file:
                median = float(file.read())
            found.append(Latency(name, median, median, 0.0, rounds))
        return LatencyReport(tuple(found))

    monkeypatch.setattr(export, "to_litert", convert)
    monkeypatch.setattr(cost, "measure_latency", measure)
    return done


def test_equal_models_are_measured_once(converted):
    limit = search.MaxLatency(5.0, quantize="float16")
    costs = [limit.measure(dense(units)) for units in (3, 4, 3, 4)]
    assert costs == [3.0, 4.0, 3.0, 4.0]
    assert converted == [(3, "float16"), (4, "float16")]
    assert (limit.name, limit.at_most) == ("latency_ms", 5.0)


def test_a_model_without_a_whole_config_is_measured_each_time(converted):
    class Own(keras.Model):
        output_shape = (None, 7)

    limit = search.MaxLatency(5.0)
    assert [limit.measure(Own()), limit.measure(Own())] == [7.0, 7.0]
    assert len(converted) == 2


def test_a_ratio_is_to_the_reference_in_the_same_loop(converted):
    limit = search.MaxLatency(ratio=0.5, reference=dense(8))
    assert [limit.measure(dense(units)) for units in (2, 4, 2)] == [
        0.25,
        0.5,
        0.25,
    ]
    assert [units for units, _ in converted] == [2, 8, 4]
    assert (limit.name, limit.at_most) == ("latency_ratio", 0.5)


def test_a_reference_may_be_a_file(converted, tmp_path):
    path = tmp_path / "base.tflite"
    path.write_text("10")
    limit = search.MaxLatency(ratio=math.inf, reference=path)
    assert limit.measure(dense(2)) == 0.2
    assert [units for units, _ in converted] == [2]


def test_a_file_keeps_costs_for_one_machine(converted, tmp_path, monkeypatch):
    path = tmp_path / "costs.json"

    def measure(**options):
        options = {"ratio": 0.5, "reference": dense(8), **options}
        return search.MaxLatency(cache=path, **options).measure(dense(2))

    assert measure() == measure() == 0.25
    assert len(converted) == 2
    # Another reference, another unit, another format, another machine.
    assert measure(reference=dense(4)) == 0.5
    assert measure(ratio=None, reference=None, at_most=3.0) == 2.0
    assert measure(quantize="dynamic") == 0.25
    assert len(converted) == 7
    monkeypatch.setattr(measured_costs, "describe_machine", lambda: "other")
    measure()
    assert len(converted) == 9
    assert json.loads(path.read_text())["machine"] == "other"


def test_a_limit_is_saved_with_its_reference(converted):
    limit = search.MaxLatency(ratio=0.5, reference=dense(8), rounds=7)
    loaded = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(limit)
    )
    assert (loaded.at_most, loaded.rounds) == (0.5, 7)
    assert loaded.measure(dense(2)) == 0.25
    config = search.MaxLatency(3.0).get_config()
    assert search.MaxLatency.from_config(config).at_most == 3.0


def test_costs_stay_known_when_the_folder_is_deleted(converted, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    limit = search.MaxLatency(5.0)
    limit.keep_costs(str(folder / "costs.json"))
    limit.measure(dense(2))
    shutil.rmtree(folder)
    assert limit.measure(dense(3)) == limit.measure(dense(3)) == 3.0
    assert limit.measure(dense(2)) == 2.0
    assert len(converted) == 2


class Shared(keras_tuner.HyperModel):
    def build(self, hp):
        units, _ = hp.Int("units", 1, 4), hp.Float("rate", 0.0, 1.0)
        model = dense(units)
        model.compile("sgd", "mse")
        return model

    def fit(self, hp, model, x, y, callbacks, **kwargs):
        return toys.train(model, lambda _: {"val_loss": 1.0}, callbacks)


def test_a_resumed_search_measures_nothing_again(converted, run):
    for trials in (30, 60):
        found = run(
            Shared(),
            toys.random_oracle(trials=trials),
            epochs=1,
            constraints=search.MaxLatency(3.0),
        )
        assert sorted(units for units, _ in converted) == [1, 2, 3, 4]
    assert len(found.oracle.trials) == 60


def test_latency_is_measured_if_all_other_limits_are_kept(converted):
    limits = [search.MaxLatency(3.0), search.MaxParams(8)]
    fits, broken = (search.check_model(dense(n), limits) for n in (4, 5))
    assert dict(fits.costs) == {"params": 8.0, "latency_ms": 4.0}
    assert fits.reason == "latency_ms above 3"
    assert dict(broken.costs) == {"params": 10.0}
    # A model that breaks one limit by more, and no other, is nearer.
    assert fits.excess > broken.excess and fits.distance < broken.distance
    assert [converted for converted, _ in converted] == [4]


def test_nan_keeps_no_limit():
    check = search.CostCheck({"a": math.nan}, {"a": 1.0})
    assert not check.is_feasible and check.excess == math.inf


def test_wrong_limits_are_refused(monkeypatch, tmp_path):
    base = dense(2)
    for options, kind, text in (
        ({}, ValueError, "one must be given"),
        ({"at_most": 1.0, "ratio": 0.5}, ValueError, "exclude each other"),
        ({"ratio": 0.5}, ValueError, "must be given together"),
        ({"at_most": 1.0, "reference": base}, ValueError, "given together"),
        ({"ratio": 0.0, "reference": base}, ValueError, "`ratio`"),
        ({"at_most": -1.0}, ValueError, "`at_most`"),
        ({"at_most": 1.0, "quantize": "int8"}, ValueError, "calibration"),
        ({"at_most": 1.0, "rounds": 0}, ValueError, "`rounds`"),
        ({"ratio": 0.5, "reference": 3}, TypeError, "built Keras model"),
        ({"ratio": 0.5, "reference": "no"}, FileNotFoundError, "exists"),
        ({"at_most": 1.0, "cache": "no/a"}, FileNotFoundError, "`cache`"),
        (
            {"ratio": 0.5, "reference": keras.Sequential()},
            ValueError,
            "not built",
        ),
    ):
        with pytest.raises(kind, match=text):
            search.MaxLatency(**options)
    with pytest.raises(ValueError, match="must be built"):
        search.check_model(keras.Sequential(), search.MaxParams(3))
    size = FileSize(raw=1, gzip=1)
    flex = LitertReport("file", None, False, size, size)
    monkeypatch.setattr(export, "to_litert", lambda *_, **__: flex)
    with pytest.raises(ValueError, match="its latency is unknown"):
        search.MaxLatency(1.0).measure(base)
