"""How a cut is distributed over layers, and how it is found with few files."""

import math

import numpy as np
import pytest

from keras_netopt.compression.planner import find_cut
from keras_netopt.compression.probe import Probe
from keras_netopt.compression.width_solver import WidthSolver, list_widths
from keras_netopt.surgery.cutting.cut_to_widths import LayerWidth

pytestmark = pytest.mark.no_backend

LAYERS = [
    LayerWidth("a", 64, 4),
    LayerWidth("b", 96, 4),
    LayerWidth("c", 40, 4),
]
GAINS = {
    "kilobytes": np.array([0.1, 0.6, 0.5]),
    "latency_ratio": np.array([0.7, 0.2, 0.0]),
}


def value(widths, gains, base=1.0):
    return base * math.prod(
        (widths[one.name] / one.width) ** g
        for one, g in zip(LAYERS, gains, strict=True)
    )


def test_every_demand_is_met_by_the_layers_that_gain():
    solver = WidthSolver(LAYERS, GAINS)
    both = solver.solve(
        {"kilobytes": math.log(2), "latency_ratio": math.log(2)}
    )
    for name, gains in GAINS.items():
        assert value(both, gains) <= 0.5 + 0.02, name
    time = solver.solve({"latency_ratio": math.log(2)})
    assert time["c"] == 40, "a layer without a gain keeps its channels"
    assert time["a"] < 64
    size = solver.solve({"kilobytes": math.log(2)})
    assert size["a"] > time["a"]
    assert solver.solve({"kilobytes": 0.0}) == {"a": 64, "b": 96, "c": 40}
    assert solver.size(time) > 0 == solver.size({"a": 64, "b": 96, "c": 40})


def test_widths_are_multiples_of_the_step_down_to_it():
    solver = WidthSolver(LAYERS, GAINS, 16)
    found = solver.solve({"latency_ratio": math.log(2)})
    assert all(w % 16 == 0 or w == 40 for w in found.values())
    # Below a step the time stays, so that only bytes lead there.
    most = solver.solve({"latency_ratio": 99.0})
    assert most == {"a": 16, "b": 16, "c": 40}
    assert solver.solve({"kilobytes": 99.0}) == solver.narrowest
    assert list_widths(LayerWidth("d", 10, 8), 16) == [10]
    assert list_widths(LayerWidth("d", 3, 8), 1) == [3]


def files(floor=0.0):
    """A runtime whose time has a part that no cut changes."""
    seen = []

    def measure(widths):
        seen.append(widths)
        kilobytes = value(widths, GAINS["kilobytes"], 100.0)
        ratio = floor + (1 - floor) * value(widths, GAINS["latency_ratio"])
        kept = sum(widths.values()) / 200
        return Probe(1 - kept, kilobytes, kilobytes, ratio, 1e6)

    return measure, seen


def test_the_cut_is_tight_after_few_files():
    whole = {one.name: one.width for one in LAYERS}
    failures = []
    for floor in (0.0, 0.3):
        for limits in (
            {"kilobytes": 60.0},
            {"kilobytes": 40.0, "latency_ratio": 0.6},
            {"latency_ratio": 0.5},
        ):
            measure, seen = files(floor)
            cut = find_cut(
                WidthSolver(LAYERS, GAINS), measure, limits, measure(whole)
            )
            figures = cut.probe.figures
            shares = [figures[name] / limits[name] for name in limits]
            if not (cut.fits and 0.93 < max(shares) <= 1 and len(seen) <= 7):
                failures.append((floor, limits, shares, len(seen)))
    assert not failures


def test_a_file_that_fits_is_not_cut():
    measure, seen = files()
    whole = {one.name: one.width for one in LAYERS}
    first = measure(whole)
    cut = find_cut(
        WidthSolver(LAYERS, GAINS), measure, {"kilobytes": 101}, first
    )
    assert cut.fits and cut.widths == {} and len(seen) == 1


def test_out_of_reach_is_told_by_the_narrowest_file():
    measure, _ = files(floor=0.5)
    whole = {one.name: one.width for one in LAYERS}
    solver = WidthSolver(LAYERS, GAINS)
    cut = find_cut(solver, measure, {"latency_ratio": 0.4}, measure(whole))
    assert not cut.fits and cut.widths == solver.narrowest
    none = find_cut(
        WidthSolver([], {}), measure, {"latency_ratio": 0.4}, measure(whole)
    )
    assert not none.fits and none.widths == {}
