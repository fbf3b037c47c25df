"""How samples are split."""

import numpy as np
import pytest

from keras_netopt.search import KFold
from keras_netopt.search.folds import split_data, to_folds

pytestmark = pytest.mark.no_backend


def parts(splits, n):
    seen = np.concatenate([held_out for _, held_out in splits])
    assert sorted(seen) == list(range(n))
    for train, held_out in splits:
        assert sorted([*train, *held_out]) == list(range(n))
    return [len(held_out) for _, held_out in splits]


@pytest.mark.parametrize("n", [10, 11, 14])
def test_each_sample_validates_once_and_sizes_differ_by_one(n):
    sizes = parts(KFold(4).split(n), n)
    assert max(sizes) - min(sizes) <= 1


def test_the_seed_decides_the_draw():
    first, again, other = (KFold(2, seed=s).split(20) for s in (0, 0, 1))
    np.testing.assert_array_equal(first[0][0], again[0][0])
    assert not np.array_equal(first[0][0], other[0][0])


@pytest.mark.parametrize("dtype", ["int64", "float32"])
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_stratified_folds_keep_the_classes(shape, dtype):
    y = np.array([0] * 31 + [1] * 10 + [2] * 5)
    given = y.reshape(shape).astype(dtype)
    splits = KFold(5, stratified=True).split(len(y), given)
    parts(splits, len(y))
    counts = np.array([np.bincount(y[held], minlength=3) for _, held in splits])
    assert (np.ptp(counts, axis=0) <= 1).all()
    assert np.ptp(counts.sum(axis=1)) <= 1


def test_groups_stay_together_and_fill_the_folds():
    groups = np.repeat(np.arange(6), [6, 5, 4, 3, 2, 1])
    splits = KFold(3).split(len(groups), groups=groups)
    assert parts(splits, len(groups)) == [7, 7, 7]
    for train, held_out in splits:
        assert not set(groups[train]) & set(groups[held_out])


def test_other_splitters_are_taken_as_they_are():
    class Half:
        def split(self, x, y=None, groups=None):
            ids = np.arange(len(x))
            yield ids[::2], ids[1::2]

    data = split_data(to_folds(Half()), np.arange(6), np.arange(6) * 10)
    [(train, held_out)] = list(data)
    np.testing.assert_array_equal(train[1], [0, 20, 40])
    np.testing.assert_array_equal(held_out[0], [1, 3, 5])


def test_samples_in_any_structure_or_by_a_function_of_ids():
    x = {"a": np.arange(6), "b": (np.arange(6) * 2,)}
    weight = np.arange(6) / 6
    data = split_data(KFold(2, shuffle=False), x, np.arange(6), weight)
    taken, y, w = data.select_samples(np.array([4, 1]))
    np.testing.assert_array_equal(taken["b"][0], [8, 2])
    np.testing.assert_array_equal(w, [4 / 6, 1 / 6])
    by_ids = split_data(KFold(2), lambda ids: (ids, ids * 2), num_samples=6)
    np.testing.assert_array_equal(by_ids.select_samples(np.array([3]))[1], [6])


def test_what_cannot_be_split_is_refused():
    class DataSet:
        """Samples that have no number."""

    for x, message in (
        (DataSet(), "can be indexed.*Received: x of type DataSet"),
        (lambda ids: ids, "Argument `num_samples`.*Received: num_samples=None"),
        (np.arange(3), "at most the number of samples, 3.*Received: folds=5"),
    ):
        with pytest.raises(ValueError, match=message):
            split_data(KFold(5), x)
    with pytest.raises(ValueError, match="the same number of samples"):
        split_data(KFold(2), np.arange(4), np.arange(5))
    with pytest.raises(ValueError, match="rarest class, 1 of"):
        KFold(2, stratified=True).split(4, np.array([0, 0, 0, 1]))
    for y in (None, np.zeros((4, 2)), np.arange(4) / 2):
        with pytest.raises(ValueError, match="must hold classes"):
            KFold(2, stratified=True).split(4, y)
    with pytest.raises(ValueError, match="at most the number of groups, 1"):
        KFold(2).split(4, groups=np.zeros(4))
    with pytest.raises(ValueError, match="one label per sample, 4 in all"):
        KFold(2).split(4, groups=np.zeros(3))
    with pytest.raises(ValueError, match="Received: folds=1"):
        to_folds(1)
    with pytest.raises(TypeError, match="Received: folds=2.5"):
        to_folds(2.5)
