"""Evolution, limits and controls over architectures, without a model."""

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from keras_netopt import search
from keras_netopt.search.supernet.architecture_limits import (
    AdditiveCost,
    ArchitectureLimits,
)
from keras_netopt.search.supernet.collapse import (
    find_collapse,
    find_majority,
)
from keras_netopt.search.supernet.finish_search import (
    MEASURED,
    find_best_within_limits,
)
from keras_netopt.search.supernet.path_evolution import PathEvolution
from keras_netopt.search.supernet.random_controls import (
    match_cost,
    rank_correlation,
)

pytestmark = pytest.mark.no_backend
OPTIONS = {f"edge{i}": (0, 1, 2, 3) for i in range(8)}
TARGET = np.array([3, 0, 2, 1, 1, 2, 0, 3])


def closeness(architectures):
    """How many options are those of a hidden architecture."""
    keys = np.array([list(one.values()) for one in architectures])
    return (keys == TARGET).sum(axis=1).astype(float)


def evolve(options=OPTIONS, score=closeness, **settings):
    found = PathEvolution(options, score, **settings)
    found.run()
    return found


def test_evolution_beats_random_search_of_the_same_size():
    """Random search finds 6 of 8 options in 1,000 draws, rarely 7."""
    for seed in range(5):
        found = evolve(evaluations=1000, seed=seed)
        assert len(found.scores) == 1000 and found.first == 50
        assert closeness([found.ranking()[0]])[0] == 8


def test_finalists_are_ordered_by_the_precise_score_before_all_others():
    found = evolve({"a": range(6)}, lambda a: [one["a"] for one in a])
    found.score_finalists(lambda a: [-one["a"] for one in a], 3)
    assert [one["a"] for one in found.ranking()] == [3, 4, 5, 2, 1, 0]
    found.score_finalists(lambda a: [math.nan, 0.0, 1.0], 3)
    assert [one["a"] for one in found.ranking()] == [3, 4, 5, 2, 1, 0]


def test_every_architecture_is_evaluated_once():
    seen = []

    def score(architectures):
        seen.extend(tuple(one.values()) for one in architectures)
        return closeness(architectures)

    again = evolve(score=score, evaluations=300, seed=1)
    assert len(seen) == len(set(seen)) == 300
    assert evolve(evaluations=300, seed=1).scores == again.scores
    assert evolve(evaluations=300, seed=2).scores != again.scores


def test_a_small_space_is_enumerated():
    options = {"a": (0, 2), "b": (1,), "c": (0, 1, 2)}
    found = evolve(options, lambda a: [one["a"] for one in a])
    assert sorted(found.scores) == [(a, 1, c) for a in (0, 2) for c in range(3)]


def test_limits_hold_for_everything_that_is_evaluated():
    def refuse(one):
        return "sum above 9" if sum(one.values()) > 9 else None

    found = evolve(refuse=refuse, evaluations=200)
    assert len(found.scores) == 200
    assert max(map(sum, found.scores)) <= 9
    assert found.refused["sum above 9"] > 0


def test_tight_limits_leave_the_neighbours_of_the_cheapest_architecture():
    """One in 130 random architectures has a sum of at most 4."""

    def refuse(one):
        return "sum above 4" if sum(one.values()) > 4 else None

    start = dict.fromkeys(OPTIONS, 0)
    for seed in range(3):
        found = evolve(
            refuse=refuse, evaluations=100, seed=seed, starts=[start]
        )
        assert len(found.scores) == 100 and found.first == 50
        assert tuple(start.values()) in found.scores
        assert closeness([found.ranking()[0]])[0] >= 4  # All zeros have 2.


def test_a_network_that_diverged_is_the_worst():
    options = {"a": (0, 1, 2)}
    values = [0.1, math.nan, -5.0]
    found = evolve(options, lambda a: [values[one["a"]] for one in a])
    assert [one["a"] for one in found.ranking()] == [0, 2, 1]


def test_an_additive_cost_is_the_sum_of_options():
    table = np.arange(32.0).reshape(8, 4) ** 2

    def cost(one):
        return 7.0 + sum(table[i, k] for i, k in enumerate(one.values()))

    found = AdditiveCost.measure(OPTIONS, cost)
    rng = np.random.default_rng(0)
    one = {name: int(rng.integers(4)) for name in OPTIONS}
    assert found(one) == pytest.approx(cost(one))
    shares = {name: np.full(4, 0.25) for name in OPTIONS}
    assert found.expected(shares) == pytest.approx(7.0 + table.mean(1).sum())
    assert set(found.extreme(largest=True).values()) == {3}
    assert set(found.extreme(largest=False).values()) == {0}


def limits(*constraints):
    """Costs that grow with the options; the latency has an interaction."""
    measured = []

    def latency(one):
        measured.append(one)
        return 1.0 + sum(one.values()) + 2.0 * (one["edge0"] * one["edge1"])

    found = ArchitectureLimits(
        constraints,
        OPTIONS,
        {"params": lambda one: 10.0 + sum(one.values()), "latency_ms": latency},
    )
    return found, measured


def test_impossible_limits_name_the_cheapest_architecture():
    found, _ = limits(search.MaxParams(9))
    with pytest.raises(
        ValueError, match="cheapest one has params=10: {'edge0': 0, .*at_most=9"
    ):
        found.check_possible()


def test_a_measured_cost_is_estimated_for_candidates():
    found, measured = limits(search.MaxParams(25), search.MaxLatency(12.0))
    found.check_possible()
    count = len(measured)
    assert count <= 1 + 8 * 3
    costly = dict.fromkeys(OPTIONS, 0) | {"edge0": 3, "edge1": 2}
    assert found.refuse(costly) is None  # 1 + 5, without the interaction.
    assert len(measured) == count
    assert found.measured_excess(costly) == "latency_ms above 12"
    assert found.refuse(dict.fromkeys(OPTIONS, 3)) == "params above 25"
    assert found.costs(costly) == {"params": 15.0, "latency_ms": 18.0}
    assert "latency_ms" in found.nearest() or "params" in found.nearest()


@dataclass(frozen=True)
class MaxProduct(search.MaxParams):
    """A cost that is no sum of what options add."""

    name = "product"


def test_costs_that_take_no_time_are_exact_for_candidates():
    """The sum of what options add is far below the product of widths."""

    def product(one):
        return float(np.prod([1 + k for k in one.values()]))

    found = ArchitectureLimits([MaxProduct(20)], OPTIONS, {"product": product})
    found.check_possible()
    assert found.refuse(dict.fromkeys(OPTIONS, 1)) == "product above 20"
    assert found.refuse(dict.fromkeys(OPTIONS, 0) | {"edge0": 3}) is None
    assert found.starts() == [dict.fromkeys(OPTIONS, 0)]


def test_several_limits_start_from_an_architecture_that_keeps_all():
    options = {"a": (0, 1, 2), "b": (0, 1, 2)}
    found = ArchitectureLimits(
        [MaxProduct(3), search.MaxParams(3)],
        options,
        {
            "product": lambda one: (4.0, 1.0, 0.0)[one["a"]] + one["b"],
            "params": lambda one: (0.0, 1.0, 4.0)[one["a"]] + one["b"],
        },
    )
    found.check_possible()
    first, *others = found.starts()
    assert first == {"a": 1, "b": 0} and found.refuse(first) is None
    assert others == [{"a": 0, "b": 0}, {"a": 2, "b": 0}]
    assert all(found.refuse(one) for one in others)


class Space:
    """As much of a supernet as the choice of the best one needs."""

    def __init__(self, *constraints):
        self.limits, self.measured = limits(*constraints)
        self.limits.check_possible()
        self.measured.clear()


def test_estimates_that_are_too_low_end_at_a_measured_architecture():
    """The best 50 exceed the latency; the start was measured before."""
    space = Space(search.MaxLatency(12.0))
    start = dict.fromkeys(OPTIONS, 0)
    costly = [
        start | {"edge0": 3, "edge1": 2, f"edge{i}": k}
        for i in range(2, 8)
        for k in range(4)
    ]
    costly += [
        start | {"edge0": 2, "edge1": 3, f"edge{i}": k, "edge7": j}
        for i in range(2, 7)
        for k in range(4)
        for j in range(4)
    ]
    evolution = SimpleNamespace(
        ranking=lambda: [*costly, start], scores=costly, refused={}
    )
    assert find_best_within_limits(space, evolution) == start
    assert 40 < len(space.measured) <= MEASURED


def test_controls_have_the_cost_of_the_found_architecture():
    found = dict.fromkeys(OPTIONS, 1)

    def cost(one):
        return 1.0 + sum(one.values())

    chosen = match_cost(OPTIONS, found, cost, 20)
    assert len(chosen) == 20 and found not in chosen
    assert {cost(one) for one in chosen} == {9.0}
    assert len({tuple(one.values()) for one in chosen}) == 20
    wide = match_cost(OPTIONS, found, cost, 20, tolerance=0.2)
    assert {cost(one) for one in wide} == {8.0, 9.0, 10.0}


def test_controls_stop_after_some_draws():
    """Each draw may take an extraction."""
    counted = []

    def cost(one):
        counted.append(one)
        return float(len(counted))

    assert match_cost(OPTIONS, {k: 0 for k in OPTIONS}, cost, 8, draws=30) == []
    assert len(counted) <= 31


def test_rank_correlation_uses_mean_ranks_of_equal_values():
    """By hand: ranks 1, 2.5, 2.5, 4, 5 and 2, 1, 3.5, 3.5, 5."""
    x, y = [1.0, 2.0, 2.0, 4.0, 5.0], [3.0, 1.0, 4.0, 4.0, 9.0]
    assert rank_correlation(x, y) == pytest.approx(7.25 / 9.5)
    assert math.isnan(rank_correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))


def collapse(*shares, weightless=(True, False, True)):
    names = [f"edge{i}" for i in range(len(shares))]
    return find_collapse(
        {name: np.array(s) for name, s in zip(names, shares, strict=True)},
        dict.fromkeys(names, weightless),
        dict.fromkeys(names, ("skip", "conv", "none")),
    )


def test_one_dominant_operation_without_weights_is_named():
    found = collapse([0.2, 0.7, 0.1], [0.1, 0.3, 0.6])
    assert found == "'edge1': 'none' with a share of 0.60"
    assert collapse([0.2, 0.7, 0.1], [0.1, 0.6, 0.3]) is None


def test_operations_without_weights_in_most_decisions_are_named():
    found = collapse([0.45, 0.3, 0.25], [0.3, 0.2, 0.5], [0.2, 0.5, 0.3])
    assert "'edge0': 'skip'" in found and "'edge1': 'none'" in found
    assert "edge2" not in found
    # Nearly equal shares say nothing yet.
    assert collapse([0.35, 0.33, 0.32], [0.32, 0.33, 0.35]) is None


def test_chosen_operations_without_weights_count_by_majority():
    """One skip among ten decisions was said to take over."""
    names = [f"edge{i}" for i in range(10)]
    rules = (
        dict.fromkeys(names, (True, False, True)),
        dict.fromkeys(names, ("skip", "conv", "none")),
    )
    chosen = dict.fromkeys(names, 1)
    assert find_majority(chosen | {"edge0": 0}, *rules) is None
    half = chosen | dict.fromkeys(names[:5], 0)
    assert find_majority(half, *rules) is None
    found = find_majority(half | {"edge9": 2}, *rules)
    assert found.startswith("6 of 10 decisions: 'edge0': 'skip'")
    assert found.endswith("'edge9': 'none'") and "share" not in found


def test_decisions_without_an_alternative_do_not_count():
    assert collapse([0.9, 0.05, 0.05], weightless=(True, True, True)) is None
