"""Pacing functions against the formulas of the papers."""

import numpy as np
import pytest

from keras_netopt.curriculum.pacing import (
    active_fractions,
    as_pacing,
    pacing_function,
)
from keras_netopt.points import RunLength
from keras_netopt.schedules import Constant, Linear

pytestmark = pytest.mark.no_backend

RUN = RunLength(steps_per_epoch=100, epochs=4)
QUARTER = {
    "linear": 0.6,
    "quadratic": 0.4,
    "root": 0.7657,
    "exp": 0.2054,
    "log": 0.9446,
    "step": 0.2,
}


@pytest.mark.parametrize("name", QUARTER)
def test_values_of_the_paper(name):
    schedule = pacing_function(name, initial=0.2, end=0.5)
    assert schedule.at(100, RUN) == pytest.approx(QUARTER[name], abs=1e-4)
    assert schedule.at(0, RUN) == 0.2
    assert schedule.at(200, RUN) == schedule.at(400, RUN) == 1.0


def test_competence_of_the_paper():
    schedule = pacing_function("competence", initial=0.01, end=1.0)
    assert schedule.at(0, RUN) == pytest.approx(0.01)
    assert schedule.at(200, RUN) == pytest.approx(0.7071, abs=1e-4)


@pytest.mark.parametrize("name", [*QUARTER, "competence"])
def test_fractions_rise_to_all_data(name):
    found = np.concatenate(
        [
            active_fractions(pacing_function(name), RUN, epoch, 100)
            for epoch in range(4)
        ]
    )
    assert (np.diff(found) >= 0).all()
    assert found[0] == 0.2
    assert (found[200:] == 1.0).all()


def test_fractions_continue_across_epochs():
    schedule = Linear(initial=0.0, final=1.0, begin=0.0, end=1.0)
    found = active_fractions(schedule, RunLength(2, 3), 2, 2)
    np.testing.assert_allclose(found, [4 / 6, 5 / 6])


@pytest.mark.parametrize("value", [0.0, -0.1, 1.2])
def test_a_fraction_out_of_range_raises(value):
    with pytest.raises(ValueError, match=r"fractions in \(0, 1\].*Received: "):
        active_fractions(Constant(value, initial=value), RUN, 0, 100)


def test_invalid_pacing_raises():
    with pytest.raises(TypeError, match="Received: pacing=0.5"):
        as_pacing(0.5)
    with pytest.raises(ValueError, match="'linear'.*Received: pacing='fast'"):
        as_pacing("fast")
