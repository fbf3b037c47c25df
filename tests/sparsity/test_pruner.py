"""Masks: exact counts, nesting, and which weights are pruned first."""

import zlib

import numpy as np
import pytest
from sparsity.mask_tools import ALLOCATIONS, count_zeros, statistics_for

from keras_netopt.sparsity import Block, Pruner

pytestmark = pytest.mark.no_backend

SPARSITIES = (0.0, 0.3, 0.5, 0.9, 0.99, 0.999)
SCORES = ("magnitude", "random", "taylor", "movement", "wanda")


def assert_nested(masks, later):
    for mask, now in zip(masks, later, strict=True):
        assert not (now & ~mask).any()


def test_smallest_magnitudes_are_pruned_first(make_target):
    pruner = Pruner.create(allocation="uniform")
    weights = [np.array([[0.1, -5.0], [-0.2, 3.0]])]
    (mask,) = pruner.compute_masks(0.5, [make_target((2, 2))], weights)
    assert mask.tolist() == [[False, True], [False, True]]


def test_global_uses_one_threshold(make_target):
    targets = [make_target((2, 2), "a"), make_target((1, 2), "b")]
    weights = [np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.5, 9.0]])]
    a, b = Pruner.create().compute_masks(0.5, targets, weights)
    assert a.tolist() == [[False, False], [True, True]]
    assert b.tolist() == [[False, True]]


@pytest.mark.parametrize("score", ("magnitude", "random", "taylor"))
@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_exact_counts_global(three_layers, score, sparsity):
    targets, weights = three_layers
    masks = Pruner.create(score).compute_masks(
        sparsity, targets, weights, statistics=statistics_for(score, targets)
    )
    total = sum(weight.size for weight in weights)
    assert sum(count_zeros(masks)) == round(total * sparsity)
    assert min(int(mask.sum()) for mask in masks) >= 1


@pytest.mark.parametrize("score", ("magnitude", "random", "movement"))
@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_exact_counts_uniform(three_layers, score, sparsity):
    targets, weights = three_layers
    masks = Pruner.create(score, "uniform").compute_masks(
        sparsity, targets, weights, statistics=statistics_for(score, targets)
    )
    expected = [round(weight.size * sparsity) for weight in weights]
    assert count_zeros(masks) == expected


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_erk_counts_are_exact_to_one_weight_per_layer(three_layers, sparsity):
    targets, weights = three_layers
    masks = Pruner.create("magnitude", "erk").compute_masks(
        sparsity, targets, weights
    )
    total = sum(weight.size for weight in weights)
    assert abs(sum(count_zeros(masks)) - total * sparsity) <= len(weights)


@pytest.mark.parametrize("allocation", ("uniform", "global"))
@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_constant_tensors_give_exact_counts(make_target, allocation, sparsity):
    targets = [make_target((50, 20), "a"), make_target((50, 20), "b")]
    weights = [np.full((50, 20), 0.5, "float32")] * 2
    masks = Pruner.create(allocation=allocation).compute_masks(
        sparsity, targets, weights
    )
    assert sum(count_zeros(masks)) == round(2000 * sparsity)
    if allocation == "uniform":
        flat = masks[0].ravel()
        assert not flat[: round(1000 * sparsity)].any()


def test_float16_and_bfloat16_weights_are_scored(make_target):
    target = make_target((8, 8))
    weight = np.linspace(-1, 1, 64).reshape(8, 8).astype("float16")
    (mask,) = Pruner.create().compute_masks(0.5, [target], [weight])
    assert np.abs(weight[mask]).min() >= np.abs(weight[~mask]).max()


def test_min_kept_protects_a_layer_of_tiny_weights(make_target):
    targets = [make_target((10, 10), "a"), make_target((4, 5), "b")]
    rng = np.random.default_rng(0)
    weights = [rng.random((10, 10)) + 1, rng.random((4, 5)) * 1e-6]
    for min_kept in (0, 1, 3):
        pruner = Pruner.create(min_kept=min_kept)
        masks = pruner.compute_masks(0.5, targets, weights)
        assert masks[1].sum() == min_kept
        assert sum(count_zeros(masks)) == 60
        kept = np.sort(weights[1][masks[1]])
        assert np.array_equal(
            kept, np.sort(weights[1].ravel())[20 - min_kept :]
        )


def test_min_kept_takes_precedence_over_the_sparsity(make_target):
    targets = [make_target((2, 5), str(i)) for i in range(3)]
    weights = [np.ones((2, 5))] * 3
    masks = Pruner.create(min_kept=2).compute_masks(0.99, targets, weights)
    assert [int(mask.sum()) for mask in masks] == [2, 2, 2]


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize(
    "pattern", ("unstructured", "channel", Block(4, 3), "2:4"), ids=str
)
def test_masks_are_nested_while_sparsity_grows(
    three_layers, score, allocation, pattern
):
    targets, weights = three_layers
    weights = [weight.copy() for weight in weights]
    pruner = Pruner.create(score, allocation, pattern)
    statistics = statistics_for(score, targets)
    rng = np.random.default_rng(2)
    masks = [np.ones(weight.shape, bool) for weight in weights]
    for update, sparsity in enumerate((0.05, 0.2, 0.2, 0.4, 0.45, 0.45)):
        now = pruner.compute_masks(
            sparsity,
            targets,
            weights,
            previous=masks,
            statistics=statistics,
            update=update,
        )
        assert_nested(masks, now)
        masks = now
        for weight, mask in zip(weights, masks, strict=True):
            weight += 0.3 * rng.standard_normal(weight.shape)
            weight[~mask] = 0.0


def test_a_falling_sparsity_restores_the_highest_scores(make_target):
    target, weight = make_target((4, 1)), np.array([[1.0], [2], [3], [4]])
    pruner = Pruner.create(min_kept=0)
    previous = [np.array([[False], [False], [False], [True]])]
    (mask,) = pruner.compute_masks(0.5, [target], [weight], previous=previous)
    assert mask.ravel().tolist() == [False, False, True, True]


def test_random_depends_on_seed_key_and_update(make_target):
    weight = np.ones((20, 20))

    def sample(seed=0, key="a", update=0):
        pruner = Pruner.create("random", seed=seed)
        return pruner.compute_masks(
            0.5, [make_target((20, 20), key)], [weight], update=update
        )[0]

    assert np.array_equal(sample(), sample())
    for other in (sample(seed=1), sample(key="b"), sample(update=1)):
        assert not np.array_equal(sample(), other)


def test_every_process_draws_the_same_random_scores(make_target):
    """Recorded once; random numbers of NumPy do not change."""
    target = make_target((30, 20), "net/dense/kernel")
    pruner = Pruner.create("random", seed=3)
    (mask,) = pruner.compute_masks(0.5, [target], [np.ones((30, 20))], update=7)
    assert zlib.crc32(np.packbits(mask).tobytes()) == 3724016709
