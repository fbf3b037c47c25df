import json
import time

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.cost import measure_latency

on_tensorflow = keras.backend.backend() == "tensorflow"


def slow(x):
    time.sleep(0.02)


def fast(x):
    time.sleep(0.001)


def test_slower_callable_is_reported_slower():
    report = measure_latency([fast, slow], 0, rounds=5, warmup=1)
    assert report["slow"].median > 2 * report["fast"].median
    assert report["fast"].minimum >= 1.0
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


def wide(channels, name):
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(channels, 3, activation="relu"),
            layers.Conv2D(channels, 3, activation="relu"),
            layers.Conv2D(channels, 3),
        ],
        name=name,
    )


@pytest.mark.skipif(not on_tensorflow, reason="LiteRT files need TensorFlow")
def test_equal_files_are_equally_fast_and_half_the_channels_faster(tmp_path):
    from keras_netopt.export import to_litert

    paths = {}
    for name, channels in (("full", 64), ("half", 32)):
        paths[name] = tmp_path / f"{name}.tflite"
        to_litert(wide(channels, name), paths[name])
    paths["again"] = paths["full"]
    report = measure_latency(paths)
    assert report.clock == "thread"
    # The fastest rounds agree even under other load.
    fastest = [report[name].minimum for name in ("full", "again")]
    assert fastest[0] == pytest.approx(fastest[1], rel=0.2)
    assert report["full"].median >= 2 * report["half"].median


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
