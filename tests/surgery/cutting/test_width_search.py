"""Rankings, targets, rounding and floors on plain arrays."""

import numpy as np
import pytest

from keras_netopt.surgery.cutting.width_search import (
    ChannelBlock,
    find_share,
    find_widths,
    least_important,
    rank_units,
)


def blocks(*sizes, **options):
    """Blocks of these sizes over consecutive groups."""
    starts = np.cumsum([0, *sizes])
    return [
        ChannelBlock(f"b{k}", np.arange(a, b), **options)
        for k, (a, b) in enumerate(zip(starts, starts[1:], strict=False))
    ]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_uniform_cuts_the_same_share_of_each_block(share):
    ranking = rank_units(blocks(10, 24, 33), np.arange(67.0), "uniform")

    for block, width in zip(ranking.blocks, ranking.at(share), strict=True):
        assert abs(width - (1 - share) * len(block)) <= 0.5


def test_global_cuts_the_lowest_scores_of_all_blocks():
    scores = np.concatenate([np.full(10, 1.0), np.full(30, 2.0)])
    ranking = rank_units(blocks(10, 30), scores, "global")

    assert ranking.at(0.2) == (2, 30)
    assert ranking.at(0.5) == (1, 20)


def test_isomorphic_ranks_within_blocks_of_one_kind():
    found = [
        ChannelBlock("a", np.arange(4), kind="conv"),
        ChannelBlock("b", np.arange(4, 8), kind="conv"),
        ChannelBlock("c", np.arange(8, 12), kind="dense"),
    ]
    scores = np.array([1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0, 0.0])

    assert rank_units(found, scores, "isomorphic").at(0.35) == (1, 4, 3)
    assert rank_units(found, scores, "global").at(0.35) == (4, 4, 1)
    assert rank_units(found, scores, "uniform").at(0.35) == (3, 3, 3)


def test_shares_are_of_the_model_before_the_first_cut():
    half = [ChannelBlock("a", np.arange(8), before=16)]
    ranking = rank_units(half, np.arange(8.0), "uniform")

    assert ranking.at(0.5) == (8,)
    assert ranking.at(0.75) == (4,)
    assert rank_units(half, np.arange(8.0), "global").at(0.75) == (4,)


@pytest.mark.parametrize("share", np.linspace(0, 0.99, 12))
def test_changed_widths_are_multiples_and_at_least_one_multiple(share):
    found = blocks(20, 12, 8, step=8, floor=8)
    widths = rank_units(found, np.arange(40.0), "global").at(share)

    for block, width in zip(found, widths, strict=True):
        assert width == len(block) or (width % 8 == 0 and width >= 8)


def test_a_width_is_rounded_to_the_nearest_multiple_or_stays():
    block = ChannelBlock("a", np.arange(30), step=8, floor=8)

    assert [block.nearest(n) for n in (30, 28, 27, 26, 20, 19, 11, 1)] == [
        30, 30, 30, 24, 24, 16, 8, 8
    ]  # fmt: skip


@pytest.mark.parametrize("allocation", ["uniform", "global", "isomorphic"])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.65])
@pytest.mark.parametrize(
    "sizes", [(20, 24, 32, 40, 64), (16,) * 10, (20,) * 7, (96, 40)]
)
def test_rounding_keeps_the_total_near_the_share(sizes, share, allocation):
    """Each width differs by less than a multiple, the sum by half of one."""
    found = blocks(*sizes, step=8, floor=8)
    scores = np.random.default_rng(0).random(sum(sizes))
    ranking = rank_units(found, scores, allocation)
    asked, widths = ranking.asked_at(share), ranking.at(share)

    wanted = [max(8, width) for width in asked]
    for want, width in zip(wanted, widths, strict=True):
        assert abs(want - width) < 8
    if wanted == list(asked):
        assert abs(sum(widths) - (1 - share) * sum(sizes)) <= 4


def test_errors_of_rounding_are_balanced_by_the_widths_nearest_to_a_tie():
    found = blocks(20, 24, 32, 40, 64, step=8, floor=8)
    ranking = rank_units(found, np.arange(180.0), "uniform")

    assert ranking.asked_at(0.3) == (14, 17, 22, 28, 45)
    assert ranking.at(0.3) == (16, 16, 24, 24, 48)


def test_widths_are_not_below_the_floor():
    found = blocks(20, 10, floor=6)

    assert rank_units(found, np.arange(30.0), "uniform").at(0.99) == (6, 6)


def test_find_widths_makes_the_smallest_cut_that_meets_the_cost():
    weights = np.array([3.0, 1.0])
    ranking = rank_units(blocks(10, 10), np.random.rand(20), "uniform")

    def cost(widths):
        return float(np.dot(weights, widths))

    for goal in (39.0, 31.0, 17.5):
        asked, widths = find_widths(ranking, cost, goal)
        assert goal - weights.max() < cost(widths) <= goal
        assert asked == widths


def test_rounded_widths_meet_the_goal():
    found = blocks(32, 32, 32, 32, step=8, floor=8)
    ranking = rank_units(found, np.arange(128.0), "uniform")

    assert sum(find_widths(ranking, sum, 100)[1]) == 96
    assert sum(find_widths(ranking, sum, 127)[1]) == 120
    # The light block is cut first, but cutting the heavy one is enough.
    two = blocks(32, 32, step=8, floor=8)
    scores = np.concatenate([np.full(32, 2.0), np.full(32, 1.0)])
    scores[32 + 4 :] = 3.0
    ranking = rank_units(two, scores, "global")

    def cost(widths):
        return 10 * widths[0] + widths[1]

    assert find_widths(ranking, cost, 352 - 80)[1] == (24, 32)
    assert find_widths(ranking, cost, 352 - 81)[1] == (24, 24)


def test_the_last_width_rounded_down_is_the_one_that_just_meets_the_goal():
    ranking = rank_units(
        blocks(16, 16, 16, step=8, floor=8), np.arange(48.0), "uniform"
    )

    def cost(widths):
        return 9 * widths[0] + 4 * widths[1] + widths[2]

    # Rounded up, 12 channels of each block cost 224, 27 above the goal.
    assert find_widths(ranking, cost, 197)[1] == (16, 8, 16)


def test_an_unreachable_goal_gives_the_smallest_widths():
    ranking = rank_units(blocks(10, 10, floor=4), np.arange(20.0), "global")

    assert find_widths(ranking, sum, 3)[1] == (4, 4)


def test_no_blocks_give_empty_widths():
    ranking = rank_units([], np.zeros(3), "global")

    assert ranking.at(0.5) == ()
    assert find_widths(ranking, sum, 1) == ((), ())
    assert least_important(ranking, (), np.zeros(3)) == {}


def test_find_share_needs_few_measurements():
    ranking = rank_units(blocks(1000, 2000), np.arange(3000.0), "uniform")
    seen = []

    def measure(widths):
        seen.append(widths)
        return 5 + sum(widths)

    share, measured = find_share(ranking, measure, lambda first: 0.6 * first)

    assert len(seen) == len(measured) == 8
    assert len(set(seen)) == 8
    assert seen[0] == (1000, 2000)
    found = 5 + sum(ranking.at(share))
    assert 0.6 * 3005 - 3000 / 2**7 - 2 <= found <= 0.6 * 3005


def test_find_share_stops_if_all_widths_are_measured():
    ranking = rank_units(blocks(3), np.arange(3.0), "uniform")
    share, measured = find_share(ranking, sum, lambda first: 0.5 * first)

    assert len(measured) < 8
    assert ranking.at(share) == (1,)


def test_an_unreachable_latency_gives_the_smallest_widths():
    ranking = rank_units(blocks(64, floor=8), np.arange(64.0), "uniform")
    share, measured = find_share(ranking, lambda widths: 1.0, lambda first: 0.5)

    assert share == 1.0
    assert ranking.at(share) == (8,)
    assert len(measured) <= 8


def test_least_important_returns_the_lowest_scores_of_a_block():
    ranking = rank_units(
        [ChannelBlock("a", np.array([5, 1, 3]))], np.arange(6.0)[::-1], "global"
    )

    gone = least_important(ranking, (1,), np.arange(6.0)[::-1])
    assert {name: one.tolist() for name, one in gone.items()} == {"a": [5, 3]}
