"""The layer by layer ranking marks what a ranking in one array marks."""

import math
import tracemalloc

import numpy as np
import pytest

from keras_netopt.sparsity import score_cut
from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.masks import prune_globally
from keras_netopt.sparsity.patterns import Unstructured
from keras_netopt.sparsity.score_cut import find_cut
from keras_netopt.sparsity.stacks import score_stack
from keras_netopt.sparsity.weight_ranking import WeightRanking
from keras_netopt.training.lazy_arrays import LazyArrays

pytestmark = pytest.mark.no_backend

CASES = 60


@pytest.fixture(params=[2**16, 64], ids=["all sorted", "sampled"])
def samples(request, monkeypatch):
    """Number of samples: below the number of scores, they bracket the cut."""
    monkeypatch.setattr(score_cut, "_SAMPLES", request.param)
    monkeypatch.setattr(score_cut, "_CHUNK", 50)


def draw_case(rng, *, levels, masked):
    """Views, scores and masks of a few targets, some of them stacks."""
    views, scores, masks = [], [], []
    for _ in range(rng.integers(1, 5)):
        rows, columns, stack = (int(n) for n in rng.integers(1, 9, 3))
        if rng.random() < 0.6:
            stack = 1
        shape = (stack, rows, columns)
        views.append(KernelView(shape, (1,), (0, 2), rows, stack))
        array = rng.integers(0, levels, (rows, stack * columns))
        scores.append((array / levels).astype("float32"))
        mask = rng.random(array.shape) < rng.random()
        masks.append(mask if masked and rng.random() < 0.9 else None)
    return views, scores, masks


def rank_in_one_array(views, scores, masks, min_kept, weights):
    layers = [
        score_stack(Unstructured(), *arguments)
        for arguments in zip(views, scores, masks, strict=True)
    ]
    flat = [units for layer in layers for units in layer]
    found = iter(prune_globally(flat, weights, min_kept))
    return [[next(found) for _ in layer] for layer in layers]


@pytest.mark.parametrize("levels", [3, 10**6], ids=["ties", "distinct"])
@pytest.mark.parametrize("masked", [False, True])
def test_masks_equal_those_of_one_array(levels, masked, samples):
    rng = np.random.default_rng(levels + masked)
    for case in range(CASES):
        views, scores, masks = draw_case(rng, levels=levels, masked=masked)
        total = sum(array.size for array in scores)
        weights = round(total * float(rng.random()))
        for min_kept in (None, 0, 1, 3):
            expected = rank_in_one_array(
                views, scores, masks, min_kept, weights
            )
            ranking = WeightRanking(views, scores, masks, min_kept)
            found = list(ranking.prune(weights))
            for one, other in zip(found, expected, strict=True):
                assert np.array_equal(one, other), (case, min_kept)


def test_memory_is_that_of_a_few_targets():
    shape, count = (300, 400), 40
    views = [KernelView(shape, (0,), (1,), 300)] * count
    lazy = LazyArrays(
        lambda i: np.random.default_rng(i).random(shape), range(count)
    )
    ranking = WeightRanking(views, lazy, [None] * count, None)
    tracemalloc.start()
    pruned = sum(int(one.sum()) for (one,) in ranking.prune(2_400_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pruned == 2_400_000
    # The scores of all targets are 40 arrays.
    assert peak < 6 * np.zeros(shape).nbytes


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_cut_leaves_exactly_the_count_below(dtype, samples):
    rng = np.random.default_rng(0)
    for _ in range(100):
        sizes = rng.integers(0, 200, int(rng.integers(1, 5)))
        parts = [rng.normal(size=n).round(1).astype(dtype) for n in sizes]
        ranked = [rng.random(n) < 0.7 for n in sizes]
        joined = np.concatenate(
            [part[keep] for part, keep in zip(parts, ranked, strict=True)]
        )
        if not joined.size:
            continue
        count = int(rng.integers(1, joined.size + 1))
        cut = find_cut(
            lambda i, parts=parts, ranked=ranked: (parts[i], ranked[i]),
            [int(keep.sum()) for keep in ranked],
            count,
        )
        assert cut.value == np.sort(joined)[count - 1]
        assert np.count_nonzero(joined < cut.value) + cut.ties == count
        above = [
            np.count_nonzero(part[keep] > cut.value)
            for part, keep in zip(parts, ranked, strict=True)
        ]
        assert cut.above == tuple(above)


def test_a_misleading_sample_is_not_believed(monkeypatch, samples):
    """The bracket is widened until the cut is inside."""
    scores = np.arange(1000.0)
    monkeypatch.setattr(
        score_cut, "_draw", lambda read, parts, total: np.arange(64) / 64
    )
    monkeypatch.setattr(score_cut, "_SAMPLES", 64)
    cut = find_cut(lambda i: (scores, None), [1000], 500)
    assert cut.value == 499.0
    assert math.isclose(cut.ties, 1)
