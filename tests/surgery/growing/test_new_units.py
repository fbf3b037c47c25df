import keras
import numpy as np
import pytest

from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.growing.new_units import (
    mean_norm,
    plan_growth,
    plan_replication,
)


@pytest.fixture
def graph():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(6, activation="relu", name="hidden"),
            keras.layers.Dense(2, name="out"),
        ]
    )
    return ChannelGraph(model)


@pytest.mark.parametrize("kind", ["net2net", "zero", "random", "gradmax"])
@pytest.mark.parametrize("extra", [1, 5, 6, 15])
def test_new_units_are_distributed_evenly(graph, kind, extra):
    own = graph.units("hidden")
    growth = plan_growth(graph, own, extra, kind, seed=0)
    copies = growth.copies[own]
    assert copies.sum() == 6 + extra
    assert np.ptp(copies) <= 1
    others = np.setdiff1d(np.arange(graph.group_count), own)
    assert (growth.copies[others] == 1).all()


def test_zero_units_have_no_share(graph):
    growth = plan_growth(graph, graph.units("hidden"), 9, "zero", seed=0)
    assert growth.has_zero_outgoing
    for one, numbers in growth.new_numbers.items():
        assert numbers[0] == -1 and (numbers[1:] >= 0).all()
        assert len(set(numbers)) == len(numbers)
        assert growth.shares[one][0] == 1 and not growth.shares[one][1:].any()


@pytest.mark.parametrize(("extra", "silent"), [(4, False), (5, True)])
def test_pairs_cancel(graph, extra, silent):
    growth = plan_growth(graph, graph.units("hidden"), extra, "paired", seed=0)
    assert growth.copies[graph.units("hidden")].sum() == 6 + extra
    assert growth.has_zero_outgoing is silent
    for one, numbers in growth.new_numbers.items():
        for number in set(numbers[numbers >= 0].tolist()):
            assert growth.shares[one][numbers == number].sum() == 0


def test_shares_of_copies_differ_and_add_up(graph):
    growth = plan_growth(graph, graph.units("hidden"), 15, "net2net", seed=0)
    assert not growth.new_numbers and not growth.has_zero_outgoing
    for shares in growth.shares.values():
        assert shares.sum() == pytest.approx(1)
        assert np.ptp(shares) > 1e-3
        assert shares.max() / shares.min() <= 0.7 / 0.3 + 1e-9


def test_replication_copies_every_unit_equally_often(graph):
    growth = plan_replication(graph, graph.units("hidden"), 3, seed=0)
    assert (growth.copies[graph.units("hidden")] == 3).all()


def test_the_seed_chooses(graph):
    own = graph.units("hidden")
    copies = [
        plan_growth(graph, own, 2, "zero", seed=s).copies for s in (0, 0, 1, 2)
    ]
    np.testing.assert_array_equal(copies[0], copies[1])
    assert any((copies[0] != other).any() for other in copies[2:])


def test_mean_norm():
    assert mean_norm(np.array([[[3.0], [4.0]], [[0.0], [1.0]]])) == 3.0
