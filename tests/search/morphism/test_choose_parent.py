"""Which network gets the next child: functions of the finished trials."""

import numpy as np
import pytest

from keras_netopt.search.morphism import MorphismTrial
from keras_netopt.search.morphism.choose_parent import climb, evolve

pytestmark = pytest.mark.no_backend


def trials(*scores):
    rows = [MorphismTrial(0, "parent", score=scores[0])]
    for number, score in enumerate(scores[1:], 1):
        status = "FAILED" if score is None else "COMPLETED"
        row = MorphismTrial(number, "child", 0, (), status, score)
        rows.append(row)
    return rows


def evolved(rows, seed=0, sign=1, **options):
    options = {"population_size": 3, "sample_size": 2, **options}
    rng = np.random.default_rng(seed)
    return evolve(rows, sign=sign, rng=rng, **options).parent.number


def test_the_first_population_consists_of_children_of_the_parent():
    for count in (1, 2, 3):
        assert evolved(trials(*range(count))) == 0


def test_the_oldest_network_dies_even_if_it_is_the_best():
    rows = trials(0.99, 0.9, 0.1, 0.2, 0.3)
    chosen = {evolved(rows, seed) for seed in range(30)}
    assert chosen == {3, 4}  # 2 is alive and never the better of two.


def test_the_best_of_the_sample_is_chosen_in_both_directions():
    rows = trials(0.0, 0.5, 0.9, 0.7)
    assert evolved(rows, sample_size=3) == 2
    assert evolved(rows, sample_size=3, sign=-1) == 1


def test_a_sample_of_one_selects_nothing():
    rows = trials(0.0, 0.5, 0.9, 0.7)
    chosen = [evolved(rows, seed, sample_size=1) for seed in range(60)]
    assert set(chosen) == {1, 2, 3}
    assert min(chosen.count(one) for one in (1, 2, 3)) > 8


def test_networks_whose_training_diverged_have_no_children():
    rows = trials(0.0, None, 0.2, None)
    assert {evolved(rows, seed) for seed in range(9)} == {2}
    assert evolved(trials(0.5, None, None, None)) == 0


def test_each_generation_climbs_from_the_best_of_the_last_one():
    rows = trials(0.9, 0.5, 0.7, 0.6, 0.1)
    steps = [climb(rows[:k], neighbors=2, sign=1) for k in range(1, 6)]
    assert [one.parent.number for one in steps] == [0, 0, 2, 2, 3]
    assert [one.is_mutated for one in steps] == [False, True] * 2 + [False]
    assert climb(rows[:3], neighbors=2, sign=-1).parent.number == 1


def test_others_are_the_rest_of_the_population():
    rows = trials(0.0, 0.5, 0.9, None, 0.7)
    options = {"population_size": 3, "sample_size": 3, "sign": 1}
    rng = np.random.default_rng(0)
    chosen = evolve(rows, rng=rng, **options)
    assert chosen.parent.number == 2
    assert [one.number for one in chosen.others] == [4]
    first = evolve(rows[:3], rng=rng, **options)
    assert first.parent.number == 0
    assert {one.number for one in first.others} == {1, 2}
    climbed = climb(trials(0.0, 0.5, 0.9, 0.7, 0.1), neighbors=3, sign=1)
    assert climbed.parent.number == 2
    assert [one.number for one in climbed.others] == [3, 1]
