"""The values of schedules, and where they change."""

import dataclasses
import math
import random

import numpy as np
import pytest
from schedules.examples import ENDLESS, JUMPS, RUN, name_of

from keras_netopt.points import RunLength
from keras_netopt.schedules import (
    Constant,
    Cosine,
    Cyclic,
    Exponential,
    Linear,
    Polynomial,
    RootCompetence,
    Schedule,
    Steps,
)

pytestmark = pytest.mark.no_backend


def test_ramps_are_exact_at_and_beyond_both_ends(ramp):
    assert ramp.span(RUN) == (200, 700)
    assert [ramp.at(s, RUN) for s in (0, 199, 200)] == [ramp.initial] * 3
    assert [ramp.at(s, RUN) for s in (700, 701, 1000)] == [ramp.final] * 3


def test_ramps_are_monotone_and_stay_between_their_ends(ramp):
    values = np.array([ramp.at(step, RUN) for step in range(1001)])
    steps = np.diff(values[200:701]) * np.sign(ramp.final - ramp.initial)
    assert (steps > 0).all()
    assert values.min() == min(ramp.initial, ramp.final)
    assert values.max() == max(ramp.initial, ramp.final)


@pytest.mark.parametrize(
    ("schedule", "middle"),
    [
        (Polynomial(final=0.8, begin=0.0, end=1.0), 0.7),
        (Polynomial(final=0.8, begin=0.0, end=1.0, power=1), 0.4),
        (Linear(initial=1.0, final=0.5, begin=0.0, end=1.0), 0.75),
        (Cosine(initial=0.3, final=0.1, begin=0.0, end=1.0), 0.2),
        (Exponential(initial=4.0, final=1.0, begin=0.0, end=1.0), 2.0),
        (
            Exponential(
                initial=0.0, final=0.96, of="complement", begin=0.0, end=1.0
            ),
            0.8,
        ),
        (RootCompetence(end=1.0), math.sqrt(0.5 * (1 - 0.01**2) + 0.01**2)),
        (RootCompetence(initial=0.0, degree=4, end=1.0), 0.5**0.25),
    ],
    ids=lambda value: name_of(value) if isinstance(value, Schedule) else "",
)
def test_values_halfway(schedule, middle):
    assert schedule.at(500, RUN) == pytest.approx(middle, rel=1e-12)


def test_zhu_and_gupta_table():
    schedule = Polynomial(final=0.9, begin=0.0, end=1.0)
    values = [schedule.at(step, RUN) for step in range(0, 1001, 250)]
    expected = [0.0, 0.5203125, 0.7875, 0.8859375, 0.9]
    assert values == pytest.approx(expected, rel=1e-12)


def test_linear_is_the_polynomial_of_power_one():
    linear = Linear(initial=0.2, final=0.9)
    polynomial = Polynomial(initial=0.2, final=0.9, power=1)
    np.testing.assert_allclose(linear.values(), polynomial.values(), rtol=1e-12)


def test_constant_jumps_at_begin():
    constant = Constant(0.8, initial=0.1, begin=0.2)
    values = [constant.at(step, RUN) for step in (0, 199, 200, 1000)]
    assert values == [0.1, 0.1, 0.8, 0.8]


def test_steps_hold_from_their_points_on():
    table = Steps({0.2: 0.5, "5ep": 0.8, 700: 0.6}, initial=0.1)
    at = [199, 200, 499, 500, 699, 700, 1000]
    expected = [0.1, 0.5, 0.5, 0.8, 0.8, 0.6, 0.6]
    assert [table.at(step, RUN) for step in at] == expected
    assert (table.begin, table.end, table.final) == (0.2, 700, 0.6)


def test_cyclic_starts_each_cycle_with_final_and_lengthens_the_last():
    schedule = Cyclic(final=0.9, begin=100, end=450, on="1ep", off="50step")
    values = [schedule.at(50 * i, RUN) for i in range(20)]
    high, low = 0.9, 0.0
    cycle = [high, high, low]
    # 100 to 450 holds two whole cycles and one step of 50.
    assert values == [low, low, *cycle, *cycle, low] + [high] * 11


def test_cyclic_without_a_whole_cycle_changes_at_its_end():
    schedule = Cyclic(final=0.9, begin=0, end=150, on=100, off=100)
    values = [schedule.at(step, RUN) for step in (0, 99, 149, 150, 900)]
    assert values == [0.0, 0.0, 0.0, 0.9, 0.9]
    assert schedule.update_points(RUN) == (150,)


def test_cyclic_has_the_phases_of_the_paper():
    """Cycles of 5 and 5 epochs from 10, dense from 75, sparse from 85."""
    run = RunLength(steps_per_epoch=10, epochs=100)
    schedule = Cyclic(final=0.9)
    sparse = [e for e in range(100) if schedule.at(10 * e, run) == 0.9]
    cycles = [e for start in range(10, 80, 10) for e in range(start, start + 5)]
    assert sparse == [*cycles, *range(85, 100)]
    assert schedule.update_points(run)[-3:] == (700, 750, 850)


def test_values_are_a_function_of_step_and_run_alone(schedule):
    order = list(range(0, 1001, 7))
    first = {step: schedule.at(step, RUN) for step in order}
    random.Random(0).shuffle(order)
    schedule.at(999, RunLength(120, 10))
    copy = type(schedule).from_config(schedule.get_config())
    assert {step: copy.at(step, RUN) for step in order} == first


def test_empty_ramp_is_a_jump(ramp):
    jump = dataclasses.replace(ramp, begin=0.5, end=0.5)
    assert jump.at(499, RUN) == ramp.initial
    assert jump.at(500, RUN) == ramp.final
    assert jump.update_points(RUN) == (500,)


def test_values_are_the_steps_of_a_run(schedule):
    values = schedule.values(total=1000, steps_per_epoch=100)
    assert values.shape == (1001,)
    assert values.dtype == np.float64
    assert values.tolist() == [schedule.at(s, RUN) for s in range(1001)]


def test_update_points_hold_both_ends_and_the_grid_for_all_small_runs():
    run = RunLength(steps_per_epoch=31, epochs=1)
    for begin in range(0, 31):
        for end in range(begin, 32):
            for frequency in (1, 2, 3, 5, 7, 10, 30, 31, 100):
                ramp = Linear(final=0.5, begin=f"{begin}step", end=f"{end}step")
                points = ramp.update_points(run, frequency)
                grid = [
                    u
                    for u in range(begin, end + 1)
                    if u in (begin, end) or (u - begin) % frequency == 0
                ]
                assert list(points) == grid


def test_default_frequency_makes_20_to_100_moves_10_to_100_apart():
    for length in (*range(1, 300), *range(300, 12_000, 13)):
        ramp = Polynomial(final=0.9, begin=0, end=f"{length}step")
        points = ramp.update_points(RunLength(length, 1))
        gaps = np.diff(points)
        assert (points[0], points[-1]) == (0, length)
        assert gaps.max() <= 100
        # At its first point a ramp still has its initial value.
        moves = len(gaps)
        assert moves >= min(20, length)
        assert moves <= 100 or gaps[0] == 100
        assert gaps[0] >= 10 or moves <= 40


def test_one_shot_updates_once_without_a_frequency():
    once = Constant(0.8, begin=0.2)
    assert once.update_points(RUN) == (200,)
    assert once.update_points(RUN, 300) == (200, 500, 800, 1000)
    until = Constant(0.8, begin=0.2, end=0.5)
    assert until.update_points(RUN, 200) == (200, 400, 500)


def test_one_shot_needs_no_length():
    once = Constant(0.8)
    assert once.update_points(ENDLESS) == (0,)
    assert once.at(10**6, ENDLESS) == 0.8


def test_steps_update_at_their_points():
    table = Steps({0.2: 0.5, "5ep": 0.8, 700: 0.6})
    assert table.update_points(RUN) == (200, 500, 700)
    assert table.update_points(RUN, 200) == (200, 400, 500, 600, 700)


def test_cyclic_updates_at_each_change_of_level():
    schedule = Cyclic(final=0.9, begin=100, end=450, on="1ep", off="50step")
    points = schedule.update_points(RUN)
    assert points == (100, 200, 250, 350, 450)
    assert schedule.update_points(RUN, 175) == (100, 200, 250, 275, 350, 450)


@pytest.mark.parametrize("schedule", JUMPS, ids=name_of)
def test_updates_follow_every_change_of_value(schedule):
    values = schedule.values(total=1000, steps_per_epoch=100)
    changes = set((np.flatnonzero(np.diff(values)) + 1).tolist())
    assert changes <= set(schedule.update_points(RUN))


@pytest.mark.parametrize(
    "begin_end", [(0.2, 0.7), (200, 700), ("2ep", "7ep"), ("200step", 0.7)]
)
def test_all_units_give_the_same_schedule(begin_end):
    begin, end = begin_end
    ramp = Polynomial(final=0.9, begin=begin, end=end)
    values = ramp.values(total=1000, steps_per_epoch=100)
    expected = Polynomial(final=0.9, begin=0.2, end=0.7)
    assert values.tolist() == expected.values(1000).tolist()
