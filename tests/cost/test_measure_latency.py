import json
import sys

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.cost import measure_latency

on_tensorflow = keras.backend.backend() == "tensorflow"


class Clock:
    """Stands in for `time`: only what is called takes time."""

    def __init__(self):
        self.seconds = 0.0

    def perf_counter(self):
        return self.seconds

    def thread_time(self):
        self.seconds += 0.5
        return self.seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    module = sys.modules["keras_netopt.cost.measure_latency"]
    monkeypatch.setattr(module, "time", clock)
    return clock


def fast(x):
    pass


def test_median_minimum_and_spread_are_those_of_the_rounds(clock):
    def run(durations):
        left = list(durations)

        def call(x):
            clock.seconds += left.pop(0)

        return call

    rounds = {"slow": (9, 3, 1, 2, 5), "fast": (9, 1, 1, 1, 1)}
    models = {name: run(durations) for name, durations in rounds.items()}
    report = measure_latency(models, 0, rounds=4, warmup=1)
    slow = report["slow"]
    assert (slow.median, slow.minimum) == (2500, 1000)
    assert slow.spread == pytest.approx(1750)
    assert (report["fast"].median, report["fast"].spread) == (1000, 0)
    assert report.clock == "wall"


def test_models_are_called_in_turn():
    calls = []
    models = {name: lambda x, n=name: calls.append(n) for name in "ab"}
    report = measure_latency(models, 0, rounds=2, warmup=1)
    assert calls == list("ababab")
    assert report["a"].rounds == 2


def test_keras_model_needs_no_input():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)], name="small")
    report = measure_latency(model, rounds=3)
    assert report["small"].minimum > 0


def test_equal_names_are_numbered():
    report = measure_latency([fast, fast], 0, rounds=1, warmup=0)
    assert [latency.name for latency in report.latencies] == ["fast", "fast#2"]


def test_report_prints_a_table_and_converts_to_json():
    report = measure_latency({"f": fast}, 0, rounds=3)
    content = json.loads(json.dumps(report.to_dict()))
    assert content["latencies"][0]["median"] == report["f"].median
    assert str(report).splitlines()[0] == "Latency (wall clock)"


if on_tensorflow:  # Which writes LiteRT files.

    def test_files_are_timed_by_the_clock_of_their_thread(clock, tmp_path):
        from keras_netopt.export import to_litert

        model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
        path = tmp_path / "m.tflite"
        to_litert(model, path)
        report = measure_latency({"a": path, "b": path}, rounds=3, warmup=1)
        assert report.clock == "thread"
        assert [x.median for x in report.latencies] == [500, 500]
        report = measure_latency(
            {"a": path, "b": fast}, np.ones((1, 4)), rounds=3
        )
        assert report.clock == "wall"
        assert report["a"].median == 0


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (
            {"models": [], "x": 0},
            ValueError,
            "Argument `models` must hold a model. Received: models=[]",
        ),
        (
            {"models": [3], "x": 0},
            TypeError,
            "Argument `models` must hold paths, Keras models or callables. "
            "Received: models=3",
        ),
        (
            {"models": fast},
            ValueError,
            "Argument `x` must be given for a plain callable. Received: x=None",
        ),
        (
            {"models": fast, "x": 0, "rounds": 0},
            ValueError,
            "Argument `rounds` must be an integer of at least 1. "
            "Received: rounds=0",
        ),
        (
            {"models": fast, "x": 0, "warmup": True},
            TypeError,
            "Argument `warmup` must be an integer of at least 0. "
            "Received: warmup=True",
        ),
    ],
)
def test_bad_arguments_raise(arguments, error, message):
    with pytest.raises(error) as caught:
        measure_latency(**arguments)
    assert str(caught.value) == message


def test_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        measure_latency(tmp_path / "none.tflite", np.ones((1, 4)))
