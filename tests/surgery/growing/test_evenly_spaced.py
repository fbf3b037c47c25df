"""The default trigger grows in a fit of any length."""

import pytest

from keras_netopt.points import RunLength
from keras_netopt.surgery.growing.evenly_spaced import EvenlySpaced
from keras_netopt.surgery.growing.growth_schedule import GrowthSchedule

pytestmark = pytest.mark.no_backend


@pytest.mark.parametrize(
    ("times", "steps", "epochs", "expected"),
    [
        (1, 10, 10, [40]),
        (2, 10, 10, [30, 50]),
        (3, 7, 20, [28, 56, 84]),
        (1, 10, 2, [10]),
        (1, 10, 1, [4]),
        (3, 10, 2, [4, 8, 12]),
        (5, 1, 3, [1, 1, 1, 1, 2]),
        (1, 1, 2, [1]),
        (1, 1, 1, []),
    ],
)
def test_growths_are_spread_before_the_end(times, steps, epochs, expected):
    run = RunLength(steps, epochs)
    last = min(int(0.8 * steps * epochs), steps * epochs - 1)
    found = EvenlySpaced(times).schedule(run, last)
    assert [step for step, _ in found] == expected
    assert {numbers for _, numbers in found} <= {None}


@pytest.mark.parametrize("steps", [10, None])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_every_action_is_made_with_and_without_a_known_length(steps, times):
    schedule = GrowthSchedule(EvenlySpaced(times), None, [True] * times, 0.8)
    schedule.begin(RunLength(steps, 10))
    grown = []
    for epoch in range(10):
        step = epoch * (steps or 7)
        due = schedule.is_due(step) and schedule.pop_due(step, epoch)
        grown += [epoch] * len(due or ())
        schedule.record_epoch(epoch + 1, {"loss": 0.5})
    assert grown == {1: [4], 2: [3, 5], 3: [2, 4, 6]}[times]
    assert schedule.made == tuple(range(times))
