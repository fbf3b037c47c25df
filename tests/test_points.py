import math
import re
from fractions import Fraction

import numpy as np
import pytest

from keras_netopt.points import (
    RunLength,
    check_point,
    check_units,
    in_order,
    plain_point,
    resolve_point,
)

pytestmark = pytest.mark.no_backend

GRAMMAR = 'a float in [0, 1], an int of steps, "3ep" or "500step"'
RUN = RunLength(steps_per_epoch=10, epochs=3)
ENDLESS = RunLength(steps_per_epoch=None, epochs=3)


@pytest.mark.parametrize(
    ("point", "step"),
    [
        (0.0, 0),
        (0, 0),
        (1.0, 30),
        (0.1, 3),
        (0.101, 4),
        (7, 7),
        (30, 30),
        ("0ep", 0),
        ("2ep", 20),
        ("1step", 1),
        ("30step", 30),
        (np.float64(0.5), 15),
        (np.int64(5), 5),
    ],
)
def test_all_forms_resolve_to_steps(point, step):
    assert resolve_point(point, RUN, "begin") == step


def test_the_forms_of_one_point_agree():
    run = RunLength(steps_per_epoch=500, epochs=4)
    forms = (0.25, 500, "1ep", "500step")
    assert {resolve_point(form, run, "begin") for form in forms} == {500}


def test_fractions_round_up_without_float_noise():
    assert 0.07 * 100 > 7  # Rounding must not add a step.
    for total in (100, 1000, 12_345, 1_000_000):
        run = RunLength(total, 1)
        for thousandths in range(1001):
            expected = math.ceil(Fraction(thousandths, 1000) * total)
            assert resolve_point(thousandths / 1000, run, "end") == expected


@pytest.mark.parametrize("point", [0.5, 1.0])
def test_unknown_length_raises_with_the_remedy(point):
    message = (
        "Argument `end` needs the length of the `fit` call, which is unknown: "
        "pass `steps_per_epoch=` to `fit` or write the point in epochs, as "
        f'"1ep", or steps, as "500step". Received: end={point!r}'
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        resolve_point(point, ENDLESS, "end")


@pytest.mark.parametrize("point", [0.0, 0, "0ep", "500step", 10**9])
def test_steps_and_zero_need_no_known_length(point):
    assert resolve_point(point, ENDLESS, "end") >= 0


def test_epochs_of_unknown_length_lie_after_every_step():
    assert resolve_point("0ep", ENDLESS, "end") == 0
    assert resolve_point("1ep", ENDLESS, "end") > 10**12
    message = (
        "Argument `end` lies after the end of this `fit` call of 3 epochs. "
        "Received: end='4ep'"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        resolve_point("4ep", ENDLESS, "end")


def test_steps_and_epochs_mix_only_where_the_length_is_known():
    check_units(["1ep", 25, 0.5], RUN, "begin")
    for points in (["1ep", "3ep"], [0, "3ep"], [5, "9step"], ["0ep", 7]):
        check_units(points, ENDLESS, "begin")
    message = (
        "Argument `begin` must have all points in epochs or all in steps, "
        "because the number of steps in an epoch is unknown: pass "
        "`steps_per_epoch=` to `fit`. Received: begin=['1ep', 25]"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_units(["1ep", 25], ENDLESS, "begin")


@pytest.mark.parametrize("point", [31, "4ep", "31step"])
def test_point_after_the_end_raises(point):
    message = (
        "Argument `end` lies after the end of this `fit` call of 30 steps "
        f"(3 epochs of 10). Received: end={point!r}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        resolve_point(point, RUN, "end")


@pytest.mark.parametrize(
    "point",
    [1.2, -0.1, float("nan"), -3, "3", "ep", "3 ep", "-1step", "1.5ep", "3eps"],
)
def test_point_of_another_form_raises(point):
    message = f"Argument `begin` must be {GRAMMAR}. Received: begin={point!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_point(point, "begin")


@pytest.mark.parametrize("point", [True, None, [0.5], 1j])
def test_point_of_wrong_type_raises(point):
    message = f"Argument `begin` must be {GRAMMAR}. Received: begin={point!r}"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        check_point(point, "begin")


@pytest.mark.parametrize("point", [1, np.int32(1)])
def test_int_one_is_ambiguous(point):
    message = (
        "Argument `end` is ambiguous as the int 1: write 1.0 for the end of "
        '`fit` or "1step" for the first step. Received: end=1'
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_point(point, "end")


def test_plain_points_are_python_numbers():
    plain = [plain_point(p) for p in (np.int64(5), np.float32(0.5), "3ep")]
    assert plain == [5, 0.5, "3ep"]
    assert [type(p) for p in plain] == [int, float, str]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (0.2, 0.5, True),
        (0.5, 0.2, False),
        ("10ep", "9ep", False),
        (100, "99step", False),
        ("99step", 100, True),
        (0.9, "1ep", True),
        ("1ep", 0.1, True),
    ],
)
def test_order_is_known_within_one_unit(first, second, expected):
    assert in_order(first, second) is expected


def test_run_length_knows_its_total():
    assert RUN.total == 30
    assert ENDLESS.total is None


@pytest.mark.parametrize(
    ("steps", "epochs", "name", "value"),
    [(2.5, 1, "steps_per_epoch", 2.5), (10, True, "epochs", True)],
)
def test_run_length_of_wrong_type_raises(steps, epochs, name, value):
    message = (
        f"Argument `{name}` must be an integer of at least 0. "
        f"Received: {name}={value!r}"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        RunLength(steps, epochs)


def test_negative_run_length_raises():
    message = (
        "Argument `epochs` must be an integer of at least 0. "
        "Received: epochs=-1"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        RunLength(10, -1)
