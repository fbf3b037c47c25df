"""Costs that are no number."""

import pytest

from keras_netopt.search import MaxMACs
from keras_netopt.search.cost_check import CostCheck
from keras_netopt.search.supernet.architecture_limits import ArchitectureLimits

pytestmark = pytest.mark.no_backend


def test_a_cost_that_is_no_number_is_above_every_limit():
    nan = float("nan")
    options = {"one": (0, 1)}
    found = ArchitectureLimits(
        [MaxMACs(10)], options, {"macs": lambda one: (1.0, nan)[one["one"]]}
    )
    found.check_possible()
    assert found.refuse({"one": 0}) is None
    for check in (found.refuse, found.measured_excess):
        assert check({"one": 1}) == "macs above 10"
    assert not CostCheck({"macs": nan}, {"macs": 10}).is_feasible
    hopeless = ArchitectureLimits(
        [MaxMACs(10)], options, {"macs": lambda one: nan}
    )
    with pytest.raises(ValueError, match="cheapest one has macs=nan"):
        hopeless.check_possible()
