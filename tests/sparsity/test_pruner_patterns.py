"""Masks of n:m runs, blocks and channels, and the weights they fit."""

import numpy as np
import pytest
from sparsity.mask_tools import ALLOCATIONS, count_zeros, statistics_for

from keras_netopt.sparsity import NM, Block, Channel, Pruner, Selection

pytestmark = pytest.mark.no_backend


@pytest.mark.parametrize("score", ("magnitude", "random", "wanda"))
def test_every_run_of_four_weights_keeps_two(three_layers, score):
    targets, weights = three_layers
    pruner = Pruner.create(score, pattern="2:4")
    masks = pruner.compute_masks(
        0.5, targets, weights, statistics=statistics_for(score, targets)
    )
    conv = masks[0].reshape(3, 3, 2, 4, 16)
    assert (conv.sum(axis=3) == 2).all()
    assert (masks[1].reshape(16, 4, 24).sum(axis=1) == 2).all()


def test_runs_along_the_output(three_layers):
    targets, weights = three_layers
    pruner = Pruner.create(pattern=NM(1, 2, axis="output"))
    masks = pruner.compute_masks(0.5, targets, weights)
    assert (masks[1].reshape(64, 12, 2).sum(axis=2) == 1).all()


def test_runs_keep_the_highest_scores(make_target):
    weight = np.array([[1.0], [-4.0], [3.0], [2.0]])
    pruner = Pruner.create(pattern="1:2")
    (mask,) = pruner.compute_masks(0.5, [make_target((4, 1))], [weight])
    assert mask.ravel().tolist() == [False, True, True, False]


def test_runs_are_pruned_gradually_under_a_schedule(make_target):
    target, weight = make_target((8, 3)), np.arange(24.0).reshape(8, 3)
    pruner = Pruner.create(pattern="1:4")
    kept = [
        pruner.compute_masks(s, [target], [weight])[0]
        .reshape(2, 4, 3)
        .sum(1)
        .max()
        for s in (0.0, 0.1, 0.3, 0.6, 0.75)
    ]
    assert kept == [4, 4, 3, 2, 1]


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_blocks_are_all_or_nothing(three_layers, allocation):
    targets, weights = three_layers
    pruner = Pruner.create("magnitude", allocation, Block(5, 7))
    masks = pruner.compute_masks(0.6, targets, weights)
    for target, mask in zip(targets, masks, strict=True):
        matrix = target.view.to_2d(mask)
        for i in range(0, matrix.shape[0], 5):
            for j in range(0, matrix.shape[1], 7):
                assert len(np.unique(matrix[i : i + 5, j : j + 7])) == 1
    total = sum(mask.size for mask in masks)
    zeros = sum(count_zeros(masks))
    assert abs(zeros - 0.6 * total) <= 35 * len(masks)


def test_channels_are_output_units(three_layers):
    targets, weights = three_layers
    masks = Pruner.create(pattern="channel").compute_masks(
        0.5, targets, weights
    )
    conv = masks[0].reshape(-1, 16)
    assert np.array_equal(conv.all(axis=0), conv.any(axis=0))


def test_channels_with_the_smallest_sum_are_pruned(make_target):
    weight = np.array([[1.0, 5.0, -3.0], [1.0, 0.0, -3.0]])
    pruner = Pruner.create("magnitude", "uniform", Channel())
    (mask,) = pruner.compute_masks(1 / 3, [make_target((2, 3))], [weight])
    assert mask.tolist() == [[False, True, True]] * 2


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_wanda_prunes_every_output_unit_equally(three_layers, allocation):
    targets, weights = three_layers
    pruner = Pruner.create("wanda", allocation)
    masks = pruner.compute_masks(
        0.8, targets, weights, statistics=statistics_for("wanda", targets)
    )
    for target, mask in zip(targets, masks, strict=True):
        zeros = (~target.view.to_2d(mask)).sum(axis=0)
        assert zeros.min() == zeros.max() > 0
    total = sum(mask.size for mask in masks)
    slack = sum(target.view.fan_out for target in targets)
    assert abs(sum(count_zeros(masks)) - 0.8 * total) <= slack


def test_wanda_global_gives_unequal_shares(three_layers):
    targets, weights = three_layers
    weights = [weights[0], weights[1] * 10, weights[2]]
    masks = Pruner.create("wanda").compute_masks(
        0.5, targets, weights, statistics=statistics_for("wanda", targets)
    )
    shares = [1 - mask.mean() for mask in masks]
    assert shares[1] < 0.25 < 0.75 < shares[0]


def test_wanda_at_99_percent_keeps_min_kept(three_layers):
    targets, weights = three_layers
    masks = Pruner.create("wanda").compute_masks(
        0.999, targets, weights, statistics=statistics_for("wanda", targets)
    )
    assert all(mask.any() for mask in masks)


def test_filter_selection_skips_targets_that_do_not_fit(
    make_target,
):
    targets = (make_target((8, 3), "a"), make_target((6, 3), "b"))
    fitted = Pruner.create(pattern="2:4").filter_selection(
        None, Selection(targets, ())
    )
    assert [target.key for target in fitted.targets] == ["a"]
    assert [(row.key, row.reason) for row in fitted.skipped] == [
        ("b", "input axis of 6 is not divisible by 4")
    ]


def test_filter_selection_raises_if_no_target_remains(make_target):
    selection = Selection((make_target((6, 3), "b"),), ())
    with pytest.raises(ValueError) as error:
        Pruner.create(pattern="2:4").filter_selection(None, selection)
    assert str(error.value) == (
        "Arguments `pattern` and `score` must fit at least one selected "
        "weight, but they fit none: b (input axis of 6 is not divisible by 4). "
        "Received: pattern='2:4', score='magnitude'"
    )


def test_filter_selection_of_an_empty_selection_is_empty():
    assert (
        Pruner.create().filter_selection(None, Selection((), ())).targets == ()
    )


def test_filter_selection_checks_that_the_allocation_is_possible(make_target):
    selection = Selection((make_target((6, 3), "a"),), ())
    Pruner.create(allocation={"a": None}).filter_selection(None, selection, 0.5)
    two = Selection((*selection.targets, make_target((1, 2), "b")), ())
    with pytest.raises(ValueError, match="too little by hand"):
        Pruner.create(allocation={"a": None}).filter_selection(None, two, 0.5)


def test_layers_kept_dense_with_runs(make_target):
    targets = [make_target((8, 3), "a"), make_target((8, 3), "b")]
    pruner = Pruner.create(pattern="1:4", allocation={"a": None})
    fitted = pruner.filter_selection(None, Selection(tuple(targets), ()), 0.75)
    masks = pruner.compute_masks(0.75, fitted.targets, [np.ones((8, 3))] * 2)
    assert count_zeros(masks) == [0, 18]
