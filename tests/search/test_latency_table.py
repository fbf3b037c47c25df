"""The table of latencies, with a converter that makes latency additive."""

import keras
import numpy as np
import pytest

from keras_netopt import cost, export, layers, search
from keras_netopt.cost.measure_latency import Latency, LatencyReport


def candidates(suffix=""):
    return [
        keras.layers.Dense(4, name=f"dense{suffix}"),
        keras.layers.Identity(name=f"skip{suffix}"),
        keras.Sequential(
            [keras.layers.Dense(2), keras.layers.Dense(4)], name=f"two{suffix}"
        ),
    ]


def supernet():
    """Two choices of their own, and two that share one decision."""
    inputs = keras.Input((4,))
    x = layers.Choice(candidates(), name="one")(inputs)
    x = layers.Choice(candidates("b"), name="other")(x)
    weights = layers.ArchitectureWeights(3, name="shared")(x)
    for i in range(2):
        x = layers.Choice(candidates(f"c{i}"), name=f"c{i}")([x, weights])
    return keras.Model(inputs, keras.layers.Dense(3)(x))


@pytest.fixture
def converted(monkeypatch):
    """Converted models; the latency is the number of parameters."""
    done = []

    def convert(model, path, quantize=None):
        with open(path, "w") as file:
            file.write(str(model.count_params()))
        done.append(model)

    def measure(files, rounds, warmup):
        found = []
        for name, path in files.items():
            with open(path) as file:
                ms = float(file.read())
            found.append(Latency(name, ms, ms, 0.0, rounds))
        return LatencyReport(tuple(found))

    monkeypatch.setattr(export, "to_litert", convert)
    monkeypatch.setattr(cost, "measure_latency", measure)
    return done


def test_latency_is_a_sum_of_operations_measured_once(converted):
    model = supernet()
    table = search.LatencyTable.measure(model, networks=3)
    own = {"dense": 20.0, "skip": 0.0, "two": 22.0}
    assert table.blocks["one"] == own
    assert list(table.blocks["shared"].values()) == [40.0, 0.0, 44.0]
    assert table.fixed == 15.0 and table.error == 0.0
    # Three candidates of twelve differ; seven networks.
    assert len(converted) == 3 + 4 + 3
    architecture = {"one": 2, "other": 1, "shared": 0}
    small = search.extract(model, architecture)
    assert table.predict(architecture) == small.count_params() == 77.0
    assert "mean error 0.0% on 3 whole networks" in str(table)


def test_what_the_table_cannot_hold_is_refused(converted):
    inputs = keras.Input((4,))
    x = layers.Choice(candidates(), name="one")(inputs)
    elastic = layers.ElasticDense(8, widths=(4, 8), name="wide")(x)
    with pytest.raises(ValueError, match=r"no sum.*\['wide'\]"):
        search.LatencyTable.measure(keras.Model(inputs, elastic))
    table = search.LatencyTable({"one": {"a": 1.0, "b": 2.0}}, 0.5)
    for wrong in ({}, {"one": 2}, {"one": -1}, {"one": "a"}, {"one": True}):
        with pytest.raises(ValueError, match=r"'one'.*Received: arch") as error:
            table.predict(wrong)
        assert "['a', 'b']" in str(error.value)
    with pytest.raises(ValueError, match="'two' is none"):
        table.predict({"one": 0, "two": 0})
    assert table.predict({"one": np.int64(1)}) == 2.5
    assert not converted
