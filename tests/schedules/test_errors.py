"""Wrong arguments, and schedules that do not fit the run."""

import dataclasses
import math
import re

import pytest
from schedules.examples import ENDLESS, RAMPS, RUN

from keras_netopt.schedules import (
    Cyclic,
    Exponential,
    Linear,
    Polynomial,
    RootCompetence,
    Schedule,
    Steps,
    as_schedule,
)

pytestmark = pytest.mark.no_backend


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


def test_schedule_beyond_the_run_raises_at_span():
    schedule = Linear(final=0.5, begin=0, end="1001step")
    message = (
        "Argument `end` lies after the end of this `fit` call of 1000 steps "
        "(10 epochs of 100). Received: end='1001step'"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        schedule.span(RUN)


def test_begin_after_end_raises_as_soon_as_it_is_known():
    message = (
        "Argument `begin` must not be after `end`. "
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
            lambda: RootCompetence(initial=-0.1),
            "Argument `initial` must be at least 0. Received: initial=-0.1",
        ),
        (
            lambda: RootCompetence(degree=-2),
            "Argument `degree` must be above 0. Received: degree=-2",
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


def test_the_base_class_names_the_methods_to_override():
    message = "`Schedule` must override `interpolate` or `at`."
    with pytest.raises(NotImplementedError, match=f"^{re.escape(message)}$"):
        Schedule(final=0.5).at(500, RUN)


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
