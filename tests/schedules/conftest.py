"""Each ramp, and each schedule, as a parameter."""

import pytest
from schedules.examples import JUMPS, RAMPS, name_of


@pytest.fixture(params=RAMPS, ids=name_of)
def ramp(request):
    return request.param


@pytest.fixture(params=RAMPS + JUMPS, ids=name_of)
def schedule(request):
    return request.param
