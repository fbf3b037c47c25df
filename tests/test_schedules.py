import dataclasses
import inspect
import json
import math
import random
import re

import keras
import numpy as np
import pytest

from keras_netopt import schedules
from keras_netopt.points import RunLength
from keras_netopt.schedules import (
    Constant,
    Cosine,
    Cyclic,
    Exponential,
    Linear,
    Logarithmic,
    Polynomial,
    Power,
    Root,
    Saturation,
    Schedule,
    Steps,
    Surge,
    as_schedule,
)

RUN = RunLength(steps_per_epoch=100, epochs=10)
ENDLESS = RunLength(steps_per_epoch=None, epochs=10)
WINDOW = {"begin": 0.2, "end": 0.7}
# Values without a short binary form, so that "exact" says something.
RAMPS = [
    Polynomial(initial=0.1, final=0.9, **WINDOW),
    Polynomial(initial=0.9, final=0.1, power=0.5, **WINDOW),
    Linear(initial=0.1, final=0.7, **WINDOW),
    Cosine(initial=0.3, final=0.0, **WINDOW),
    Exponential(initial=0.1, final=0.7, **WINDOW),
    Exponential(initial=0.0, final=0.97, of="complement", **WINDOW),
    Root(initial=0.01, final=0.9, **WINDOW),
    Root(initial=0.7, final=0.1, p=3, **WINDOW),
    Power(initial=0.1, final=0.9, power=2, **WINDOW),
    Power(initial=0.7, final=0.1, **WINDOW),
    Saturation(initial=0.1, final=0.7, **WINDOW),
    Surge(initial=0.1, final=0.7, **WINDOW),
    Logarithmic(initial=0.1, final=0.7, **WINDOW),
]
JUMPS = [
    Constant(0.8, begin=0.2),
    Steps({0.2: 0.5, "5ep": 0.8, 700: 0.6}, initial=0.1),
    Cyclic(final=0.9, initial=0.1, **WINDOW),
]


def name_of(schedule):
    return type(schedule).__name__


@pytest.fixture(params=RAMPS, ids=name_of)
def ramp(request):
    return request.param


@pytest.fixture(params=RAMPS + JUMPS, ids=name_of)
def schedule(request):
    return request.param


# Values


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
        (Root(end=1.0), math.sqrt(0.5 * (1 - 0.01**2) + 0.01**2)),
        (Root(initial=0.0, p=4, end=1.0), 0.5**0.25),
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


def test_cyclic_starts_each_cycle_with_final_and_ends_in_it():
    schedule = Cyclic(final=0.9, begin=100, end=450, on="1ep", off="50step")
    values = [schedule.at(50 * i, RUN) for i in range(20)]
    high, low = 0.9, 0.0
    cycle = [high, high, low]
    # 100 to 450 holds two whole cycles and one step of 50 of a third.
    assert values == [low, low, *cycle, *cycle, high] + [high] * 11


def test_cyclic_final_phase_cuts_a_second_half():
    schedule = Cyclic(final=0.9, begin=0, end=150, on=100, off=100)
    values = [schedule.at(step, RUN) for step in (0, 99, 100, 149, 150, 900)]
    assert values == [0.9, 0.9, 0.0, 0.0, 0.9, 0.9]


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


# Update points


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


def test_one_shot_updates_once_unless_told():
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
    assert points == (100, 200, 250, 350, 400, 450)
    assert schedule.update_points(RUN, 175) == (
        *(100, 200, 250, 275, 350, 400, 450),
    )


@pytest.mark.parametrize("schedule", JUMPS, ids=name_of)
def test_updates_follow_every_change_of_value(schedule):
    values = schedule.values(total=1000, steps_per_epoch=100)
    changes = set((np.flatnonzero(np.diff(values)) + 1).tolist())
    assert changes <= set(schedule.update_points(RUN))


@pytest.mark.parametrize("frequency", [0, -5])
def test_frequency_below_one_raises(schedule, frequency):
    message = (
        "Argument `frequency` must be at least 1. "
        f"Received: frequency={frequency}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        schedule.update_points(RUN, frequency)


@pytest.mark.parametrize("frequency", [10.0, True, "1ep"])
def test_frequency_of_wrong_type_raises(frequency):
    message = (
        "Argument `frequency` must be an int of steps or `None`. "
        f"Received: frequency={frequency!r}"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        RAMPS[0].update_points(RUN, frequency)


# The run


@pytest.mark.parametrize(
    "begin_end", [(0.2, 0.7), (200, 700), ("2ep", "7ep"), ("200step", 0.7)]
)
def test_all_units_give_the_same_schedule(begin_end):
    begin, end = begin_end
    ramp = Polynomial(final=0.9, begin=begin, end=end)
    values = ramp.values(total=1000, steps_per_epoch=100)
    expected = Polynomial(final=0.9, begin=0.2, end=0.7)
    assert values.tolist() == expected.values(1000).tolist()


def test_schedule_behind_the_run_raises_at_span():
    schedule = Linear(final=0.5, begin=0, end="1001step")
    message = (
        "Argument `end` lies behind the end of this fit of 1000 steps "
        "(10 epochs of 100). Received: end='1001step'"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        schedule.span(RUN)


def test_begin_behind_end_raises_as_soon_as_it_is_known():
    message = (
        "Argument `begin` must not lie behind `end`. "
        "Received: begin={!r}, end={!r}"
    )
    for begin, end in ((0.5, 0.2), (600, "500step"), ("3ep", "2ep")):
        text = re.escape(message.format(begin, end))
        with pytest.raises(ValueError, match=f"^{text}$"):
            Linear(final=0.5, begin=begin, end=end)
    mixed = Linear(final=0.5, begin="8ep", end=0.7)
    text = re.escape(message.format("8ep", 0.7))
    with pytest.raises(ValueError, match=f"^{text}$"):
        mixed.span(RUN)


def test_steps_out_of_order_raise_as_soon_as_it_is_known():
    message = "Argument `levels` must list its points in order of time. "
    text = re.escape(message + "Received: levels={0.5: 0.1, 0.2: 0.3}")
    with pytest.raises(ValueError, match=f"^{text}$"):
        Steps({0.5: 0.1, 0.2: 0.3})
    mixed = Steps({"8ep": 0.1, 0.2: 0.3})
    text = re.escape(message + "Received: levels={'8ep': 0.1, 0.2: 0.3}")
    with pytest.raises(ValueError, match=f"^{text}$"):
        mixed.span(RUN)


def test_unknown_length_is_refused_for_fractions_only(ramp):
    with pytest.raises(ValueError, match="^Argument `begin` needs the length"):
        ramp.span(ENDLESS)
    in_steps = dataclasses.replace(ramp, begin="20step", end=90)
    assert in_steps.span(ENDLESS) == (20, 90)


def test_values_need_a_divisor():
    message = (
        "Argument `steps_per_epoch` must divide the 100 steps of the run. "
        "Received: steps_per_epoch=30"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        RAMPS[0].values(total=100, steps_per_epoch=30)


def test_values_need_a_step():
    message = "Argument `total` must be at least 1. Received: total=0"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        RAMPS[0].values(total=0)


# Constructor errors


def wrong(text, exception=ValueError, **arguments):
    name = text.split("`")[1]
    return pytest.param(
        exception,
        arguments,
        f"{text} Received: {name}={arguments[name]!r}",
        id=f"{name}-{arguments[name]!r}",
    )


@pytest.mark.parametrize(
    ("exception", "arguments", "message"),
    [
        wrong("Argument `final` must be finite.", final=float("inf")),
        wrong("Argument `initial` must be finite.", initial=math.nan, final=1),
        wrong("Argument `final` must be a number.", TypeError, final="0.5"),
        wrong("Argument `final` must be a number.", TypeError, final=True),
        wrong("Argument `power` must be above 0.", final=0.5, power=0),
        wrong("Argument `power` must be finite.", final=0.5, power=math.inf),
        wrong(
            'Argument `begin` must be a float in [0, 1], an int of steps, "3ep"'
            ' or "500step".',
            final=0.5,
            begin=1.5,
        ),
    ],
)
def test_wrong_polynomial_raises(exception, arguments, message):
    with pytest.raises(exception, match=f"^{re.escape(message)}$"):
        Polynomial(**arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Exponential(initial=0.0, final=0.9),
            'Argument `initial` must be above 0 for `of="value"`; a sparsity '
            'needs `of="complement"`. Received: initial=0.0',
        ),
        (
            lambda: Exponential(initial=0.0, final=1.0, of="complement"),
            'Argument `final` must be below 1 for `of="complement"`. '
            "Received: final=1.0",
        ),
        (
            lambda: Exponential(initial=0.5, final=0.9, of="density"),
            'Argument `of` must be "value" or "complement". '
            "Received: of='density'",
        ),
        (
            lambda: Root(initial=-0.1),
            "Argument `initial` must be at least 0. Received: initial=-0.1",
        ),
        (
            lambda: Root(p=-2),
            "Argument `p` must be above 0. Received: p=-2",
        ),
        (
            lambda: Steps({}),
            "Argument `levels` must hold at least one point. "
            "Received: levels={}",
        ),
        (
            lambda: Steps({0.0: float("nan")}),
            "Argument `levels` must be finite. Received: levels=nan",
        ),
        (
            lambda: Cyclic(final=0.9, on="0ep"),
            "Argument `on` must be at least one step long. Received: on='0ep'",
        ),
        (
            lambda: Cyclic(final=0.9, off=0.0),
            "Argument `off` must be at least one step long. Received: off=0.0",
        ),
    ],
)
def test_wrong_schedule_raises(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize("levels", [0.5, "3ep", [0.1, 0.2], [(0.1, 0.2, 0.3)]])
def test_steps_of_wrong_type_raise(levels):
    message = (
        "Argument `levels` must map points to values, as in "
        f'{{0.0: 0.5, "3ep": 0.8}}. Received: levels={levels!r}'
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        Steps(levels)


def test_the_base_class_names_what_to_override():
    message = "`Schedule` must override `interpolate` or `at`."
    with pytest.raises(NotImplementedError, match=f"^{re.escape(message)}$"):
        Schedule(final=0.5).at(500, RUN)


# Value objects


def test_config_survives_json(schedule):
    config = json.loads(json.dumps(schedule.get_config()))
    assert type(schedule).from_config(config) == schedule


def test_config_is_the_constructor_in_order(schedule):
    parameters = inspect.signature(type(schedule)).parameters
    assert list(schedule.get_config()) == list(parameters)


def test_unknown_config_key_raises(schedule):
    config = {**schedule.get_config(), "rate": 0.1}
    with pytest.raises(TypeError, match="rate"):
        type(schedule).from_config(config)


def test_keras_restores_the_schedule(schedule):
    stored = keras.saving.serialize_keras_object(schedule)
    name = type(schedule).__name__
    assert stored["registered_name"] == f"keras_netopt>{name}"
    stored = json.loads(json.dumps(stored))
    assert keras.saving.deserialize_keras_object(stored) == schedule


def test_equal_schedules_have_equal_hashes(schedule):
    copy = type(schedule).from_config(schedule.get_config())
    assert copy is not schedule
    assert copy == schedule
    assert hash(copy) == hash(schedule)
    assert len({copy, schedule, *RAMPS, *JUMPS}) == len(RAMPS + JUMPS)


def test_steps_with_other_levels_differ():
    assert Steps({0.0: 0.5}) != Steps({0.0: 0.6})
    assert Steps({0.0: 0.5}) == Steps([(0.0, 0.5)])


def test_schedules_are_frozen(schedule):
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.final = 0.3


def test_numpy_arguments_become_python_numbers():
    ramp = Linear(
        final=np.float32(0.5), begin=np.int64(20), end=np.float64(0.5)
    )
    assert json.loads(json.dumps(ramp.get_config())) == {
        "initial": 0.0,
        "final": 0.5,
        "begin": 20,
        "end": 0.5,
    }


def test_repr_rebuilds_the_schedule(schedule):
    assert eval(repr(schedule), vars(schedules).copy()) == schedule


def test_every_public_schedule_is_tested():
    public = {
        value
        for value in vars(schedules).values()
        if isinstance(value, type) and value is not Schedule
    }
    assert public == {type(s) for s in RAMPS + JUMPS}


# What users write


def test_a_number_becomes_the_default_ramp():
    expected = Polynomial(
        initial=0.0, final=0.9, begin=0.1, end=0.75, power=3.0
    )
    assert as_schedule(0.9, "sparsity") == expected
    assert as_schedule(np.float64(0.9), "sparsity") == expected


def test_a_number_can_become_another_schedule():
    assert as_schedule(1, "rate", default=Constant) == Constant(1.0)


def test_a_schedule_stays_itself(schedule):
    assert as_schedule(schedule, "sparsity") is schedule


@pytest.mark.parametrize("value", ["0.9", None, True, [0.9], Polynomial])
def test_anything_else_raises(value):
    message = (
        "Argument `sparsity` must be a number or a schedule from "
        f"`keras_netopt.schedules`. Received: sparsity={value!r}"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        as_schedule(value, "sparsity")


def test_a_number_that_is_not_finite_raises():
    message = "Argument `sparsity` must be finite. Received: sparsity=nan"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        as_schedule(math.nan, "sparsity")
