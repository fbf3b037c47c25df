"""Random subsets of exact sizes, and their search."""

import numpy as np
import pytest

from keras_netopt.search.subnetworks.subset_search import search_subset
from keras_netopt.search.subnetworks.subsets import Subsets

pytestmark = pytest.mark.no_backend

SIZES, COUNTS = (30, 4, 1), (6, 1, 1)


def counts(subsets, kept):
    return [int(part.sum()) for part in subsets.split(kept)]


@pytest.fixture(params=[0.0, 0.5])
def local(request):
    return Subsets(SIZES, COUNTS, swap=request.param)


def test_each_layer_keeps_its_number(local):
    rng = np.random.default_rng(0)
    one, other = local.draw(rng), local.draw(rng)
    for _ in range(20):
        child = local.cross(one, other, rng)
        assert counts(local, child) == list(COUNTS)
        assert child[one & other].all()
        assert not child[~one & ~other].any()
        one, other = local.mutate(child, rng), one
        assert counts(local, one) == list(COUNTS)


def test_a_mutation_exchanges_one_element_of_each_layer():
    subsets = Subsets(SIZES, COUNTS)
    rng = np.random.default_rng(0)
    kept = subsets.draw(rng)
    for _ in range(5):
        changed = subsets.mutate(kept, rng) != kept
        # The last layer keeps all: nothing can be exchanged.
        assert counts(subsets, changed) == [2, 2, 0]


def test_together_the_sum_is_kept_and_no_layer_is_empty():
    subsets = Subsets((50, 3, 1, 2), (4, 1, 1, 1), together=True)
    rng = np.random.default_rng(0)
    seen = []
    one, other = subsets.draw(rng), subsets.draw(rng)
    for _ in range(200):
        for kept in (one, other):
            seen.append(counts(subsets, kept))
        child = subsets.mutate(subsets.cross(one, other, rng), rng)
        one, other = child, subsets.draw(rng)
    assert {sum(row) for row in seen} == {7}
    assert min(map(min, seen)) == 1
    assert len({row[0] for row in seen}) > 1


def test_draws_are_uniform():
    """A biased draw would find other networks than a random search."""
    subsets = Subsets((10,), (3,))
    rng = np.random.default_rng(0)
    share = np.mean([subsets.draw(rng) for _ in range(4000)], axis=0)
    assert np.abs(share - 0.3).max() < 0.03


@pytest.mark.parametrize("heuristic", ["random", "genetic"])
@pytest.mark.parametrize("candidates", [1, 7, 20, 21, 100])
def test_the_best_of_exactly_so_many_evaluations(heuristic, candidates):
    subsets = Subsets((20,), (5,))
    seen = []

    def evaluate(kept):
        seen.append(kept.copy())
        return float(kept @ np.arange(20))

    rng = np.random.default_rng(0)
    found = search_subset(heuristic, subsets, evaluate, candidates, rng)
    assert len(seen) == len(found.losses) == candidates
    assert (found.kept == seen[int(np.argmin(found.losses))]).all()


def test_the_genetic_algorithm_descends_where_a_path_leads_down():
    subsets = Subsets((60,), (10,))
    goal = np.arange(60) < 10

    def evaluate(kept):
        return float((kept & ~goal).sum())

    lowest = {
        heuristic: min(
            search_subset(
                heuristic, subsets, evaluate, 600, np.random.default_rng(0)
            ).losses
        )
        for heuristic in ("random", "genetic")
    }
    assert lowest["genetic"] < lowest["random"]


@pytest.mark.parametrize("heuristic", ["random", "genetic"])
def test_losses_that_are_not_finite_never_win(heuristic):
    losses = iter([np.nan, -np.inf, 2.0, 1.0, *[np.nan] * 30])
    found = search_subset(
        heuristic,
        Subsets((5,), (2,)),
        lambda kept: next(losses),
        30,
        np.random.default_rng(0),
    )
    assert np.isnan(found.losses[0])
    assert found.losses[3] == 1.0
    assert found.kept.sum() == 2
