import numpy as np
import pytest

from keras_netopt.sparsity.ranking import (
    mark_lowest,
    mark_lowest_in_columns,
    mark_lowest_units,
)

pytestmark = pytest.mark.no_backend


def by_sorting(scores, count, first=None):
    first = np.zeros(len(scores), bool) if first is None else first
    order = sorted(range(len(scores)), key=lambda i: (~first[i], scores[i], i))
    chosen = np.zeros(len(scores), bool)
    chosen[order[:count]] = True
    return chosen


def test_ties_are_broken_by_index():
    scores = np.array([2.0, 1.0, 1.0, 1.0, 0.0])
    assert mark_lowest(scores, 3).tolist() == [False, True, True, False, True]


@pytest.mark.parametrize("count", range(8))
def test_constant_scores_give_exact_counts(count):
    assert mark_lowest(np.ones(7), count).tolist() == [
        i < count for i in range(7)
    ]


def test_lowest_equals_a_sort_by_score_and_index():
    rng = np.random.default_rng(0)
    for _ in range(200):
        size = int(rng.integers(1, 30))
        scores = rng.integers(0, 5, size).astype("float32")
        first = rng.random(size) < 0.4
        count = int(rng.integers(0, size + 1))
        for ahead in (None, first):
            expected = by_sorting(scores, count, ahead)
            assert np.array_equal(mark_lowest(scores, count, ahead), expected)


def test_columns_equal_a_sort_of_each_column():
    rng = np.random.default_rng(0)
    for _ in range(200):
        shape = tuple(rng.integers(1, 9, 2))
        scores = rng.integers(0, 4, shape).astype("float32")
        first = rng.random(shape) < 0.4
        count = int(rng.integers(0, shape[0] + 1))
        for ahead in (None, first):
            columns = [
                by_sorting(
                    scores[:, j],
                    count,
                    None if ahead is None else ahead[:, j],
                )
                for j in range(shape[1])
            ]
            chosen = mark_lowest_in_columns(scores, count, ahead)
            assert np.array_equal(chosen, np.stack(columns, axis=1))


def test_units_of_different_sizes_come_nearest_to_the_number_of_weights():
    scores = np.array([0.1, 0.2, 0.3])
    sizes = np.array([4, 4, 1])
    marked = [int(mark_lowest_units(scores, sizes, n).sum()) for n in range(10)]
    assert marked == [0, 0, 0, 1, 1, 1, 1, 2, 2, 3]


def test_units_of_equal_size_come_nearest_to_the_number_of_weights():
    scores, sizes = np.arange(3.0), np.full(3, 4)
    marked = [int(mark_lowest_units(scores, sizes, n).sum()) for n in range(13)]
    assert marked == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3]


def test_masks_of_units_of_different_sizes_are_nested():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 5, 50)
    before = None
    for weights in np.repeat(range(0, int(sizes.sum()), 3), 2):
        chosen = mark_lowest_units(rng.random(50), sizes, weights, before)
        assert before is None or not (before & ~chosen).any()
        before = chosen
