"""Parent, found and random networks are trained in the same way."""

import random

import keras
import numpy as np
import pytest
from search.subnetworks.networks import data, mlp, small

from keras_netopt import search
from keras_netopt.search.subnetworks.weedout_comparison import (
    WeedoutComparison,
)
from keras_netopt.training import randomness


class Recorder:
    """A `fit` that trains nothing: it notes what it is given."""

    def __init__(self, losses):
        self.losses, self.calls = losses, []

    def __call__(self, model):
        drawn = np.random.random()
        units = model.get_layer("first").units
        first = model.get_weights()[0]
        self.calls.append((units, drawn, first))
        history = keras.callbacks.History()
        history.params = {"steps": 5}
        shift = 0.0 if units == 20 else 0.1 * len(self.calls)
        history.history = {"loss": [one + shift for one in self.losses]}
        return history


@pytest.fixture(scope="module")
def result():
    model = small()
    return search.weedout(
        model, data=data(model), candidates=3, controls=2, verbose=0
    )


def test_all_networks_of_a_seed_have_the_same_random_state(result):
    fit = Recorder([3.0, 2.0, 1.0])
    before = result.model.get_weights()
    report = result.compare(fit, seeds=[0, 4], target_loss=2.15)
    units, drawn, first = zip(*fit.calls, strict=True)
    assert units == (20, 4, 4, 4) * 2
    assert len(set(drawn[:4])) == len(set(drawn[4:])) == 1
    assert drawn[0] != drawn[4]
    # Seed 0 is that of the result: the same network is found again.
    assert (first[1] == before[0]).all()
    assert (first[0] == first[4]).all()
    assert not (first[1] == first[5]).all()
    after = result.model.get_weights()
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    # The second training adds .2, those of the controls .3 and .4.
    assert report.monitor == "loss"
    assert report.values["found"] == pytest.approx([1.2, 1.6])
    assert report.values["random"] == pytest.approx([1.35, 1.75])
    assert report.steps == {
        "parent": [10, 10],
        "found": [15, 15],
        "random": [15, 15],
    }
    assert report.difference().mean == pytest.approx(-0.15)
    assert report.drop().mean == pytest.approx(0.4)
    assert report.evaluations == 6
    assert "6 evaluations" in str(report)


def test_global_random_states_are_restored(result):
    def draw():
        state = keras.random.SeedGenerator().state
        numbers = keras.ops.convert_to_numpy(state).tolist()
        return np.random.random(), random.random(), numbers

    randomness.set_seed(7)
    expected = draw()
    randomness.set_seed(7)
    result.compare(Recorder([1.0]), seeds=1)
    assert draw() == expected


def test_new_initial_values_per_seed(result):
    fit = Recorder([1.0])
    before = result.parent.get_weights()
    result.compare(fit, seeds=2, reinitialize=True)
    first = [call[2] for call in fit.calls]
    assert not (first[0] == first[4]).any()
    assert not (first[0] == before[0]).any()
    after = result.parent.get_weights()
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


def test_bad_input(result):
    for arguments, kind, message in (
        ({"fit": 3}, TypeError, "`fit` must be a function"),
        ({"fit": lambda model: None}, TypeError, "`return model.fit"),
        ({"seeds": 0}, ValueError, "`seeds`"),
        ({"monitor": "bleu"}, ValueError, "`monitor`"),
        ({"target_loss": np.nan}, ValueError, "`target_loss`"),
        ({"reinitialize": 1}, TypeError, "`reinitialize`"),
    ):
        with pytest.raises(kind, match=message):
            result.compare(**{"fit": Recorder([1.0]), "seeds": 1, **arguments})


def test_the_report_says_whether_the_interval_contains_zero():
    def report(found):
        values = {"parent": [1.0] * 3, "found": found, "random": [1.0] * 3}
        steps = {name: [5, None, None] for name in values}
        return str(
            WeedoutComparison(
                "val_accuracy", values, values, steps, 0.5, 9, 1.0, 1e9, 1.0
            )
        )

    assert "contains 0" in report([0.9, 1.0, 1.1])
    assert "excludes 0" in report([0.1, 0.1, 0.11])
    assert "5 (1 of 3)" in report([0.9, 1.0, 1.1])


def test_equal_networks_are_trained_equally():
    """At a sparsity of 0 all arms are the parent: batches must be the same."""
    model = mlp()
    x, y = data(model)
    result = search.weedout(
        model, 0.0, data=(x, y), candidates=1, granularity="weight", verbose=0
    )

    def fit(network):
        return network.fit(x, y, batch_size=8, verbose=0)

    values = result.compare(fit, seeds=[3]).values
    assert values["found"] == values["random"] == values["parent"]
