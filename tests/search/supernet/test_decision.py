from collections import Counter

import numpy as np
import pytest
from keras import ops

from keras_netopt.search.supernet.decision import MODES, sample_index


def draw(mode, draws, enabled=(1, 1, 1), active=1, seed=5):
    arrays = (MODES[mode], active, draws, list(enabled), seed)
    tensors = [ops.convert_to_tensor(np.array(a, "int32")) for a in arrays]
    return int(sample_index(*tensors))


def test_uniform_samples_are_uniform_and_repeat():
    found = [draw("uniform", k) for k in range(300)]
    counts = Counter(found)
    expected = 100
    statistic = sum((counts[k] - expected) ** 2 / expected for k in range(3))

    assert statistic < 13.8  # p = .001 with two degrees of freedom.
    assert found[:20] == [draw("uniform", k) for k in range(20)]
    assert found[:20] != [draw("uniform", k, seed=6) for k in range(20)]


def test_fair_samples_use_each_option_once_per_round():
    rounds = [[draw("fair", 3 * r + k) for k in range(3)] for r in range(12)]

    assert all(sorted(one) == [0, 1, 2] for one in rounds)
    assert len({tuple(one) for one in rounds}) > 2


def test_the_sandwich_begins_with_the_largest_and_the_smallest():
    cycles = [[draw("sandwich", 4 * r + k) for k in range(4)] for r in range(8)]

    assert {tuple(one[:2]) for one in cycles} == {(2, 0)}
    assert len({index for one in cycles for index in one[2:]}) == 3


@pytest.mark.parametrize("mode", ["uniform", "fair", "sandwich"])
def test_disabled_options_are_not_sampled(mode):
    found = {draw(mode, k, enabled=(0, 1, 1, 0)) for k in range(12)}

    assert found == {1, 2}


def test_other_modes_take_the_active_option():
    for mode in ("fixed", "mixture", "gumbel"):
        assert {draw(mode, k) for k in range(4)} == {1}
