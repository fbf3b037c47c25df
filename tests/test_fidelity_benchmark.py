"""The curves and the searches of the benchmark of early stopping."""

import itertools

import numpy as np
import pytest

from benchmarks.hpo import fidelity, fidelity_arms
from benchmarks.hpo.fidelity_curves import EPOCHS, CurveTable, load

pytestmark = pytest.mark.no_backend


@pytest.fixture(scope="module")
def trained():
    return load("trained")


def simulated(trained):
    """Other losses of the same grid, with simulated curves."""
    losses = np.random.default_rng(0).random(len(trained.losses))
    return CurveTable(trained.axes, losses, trained.cost, None, trained.excess)


def test_places_follow_the_axes(trained):
    points = itertools.product(*trained.axes.values())
    names = list(trained.axes)
    found = [trained.place(dict(zip(names, p, strict=True))) for p in points]
    assert found == list(range(len(trained.losses)))


def test_curves_end_with_the_loss_of_the_table(trained):
    for table in (trained, simulated(trained)):
        curve = table.draw(3)
        for place in range(0, len(table.losses), 97):
            losses = curve(place)
            assert losses.shape == (EPOCHS,)
            assert losses[-1] == table.losses[place]
            assert (np.diff(losses) <= 0.0).all()
            np.testing.assert_array_equal(losses, curve(place))


def test_simulated_epochs_tell_as_much_as_true_ones(trained):
    def agreement(table):
        curve = table.draw(0)
        curves = np.array([curve(i) for i in range(len(table.losses))])
        ranks = curves.argsort(axis=0).argsort(axis=0)
        return np.corrcoef(ranks.T)[[0, 2, 8], -1]

    true, ours = agreement(trained), agreement(simulated(trained))
    np.testing.assert_allclose(ours, true, atol=0.05)


@pytest.mark.parametrize("arm", ["random", "tpe", "hyperband"])
def test_epochs_between_the_rungs_change_nothing(arm, trained, monkeypatch):
    monkeypatch.setattr(fidelity, "BUDGETS", (3, 6))
    search = fidelity_arms.ARMS[arm]
    rungs = fidelity.search_once(trained, search, 1)
    every = tuple(range(1, EPOCHS + 1))
    monkeypatch.setattr(fidelity_arms, "REPORTED", every)
    whole = fidelity.search_once(trained, search, 1)
    assert rungs["regret"] == whole["regret"]
    assert rungs["trials"] == whole["trials"]
