"""Which files meet a target, and which one is nearest."""

import pytest

from keras_netopt import Target
from keras_netopt.compression.candidate import (
    Candidate,
    excess,
    find_misses,
)
from keras_netopt.compression.route import Route, list_routes
from keras_netopt.compression.stage import Stage, plan_epochs

pytestmark = pytest.mark.no_backend

TARGET = Target(kilobytes=60, latency_ratio=0.5, macs=0.25)
FIGURES = {
    "kilobytes": 60.0,
    "gzip_kilobytes": 90.0,
    "latency_ratio": 0.5,
    "macs": 250.0,
    "drop": 0.01,
}


def candidate(**changed):
    values = {**FIGURES, "score": 0.9, **changed}
    return Candidate("file", "int8", **values)


def test_limits_include_their_ends_and_name_what_is_missed():
    assert find_misses(FIGURES, TARGET, 1000, 0.01) == {}
    for name, value in (
        ("kilobytes", 60.1),
        ("latency_ratio", 0.51),
        ("macs", 251.0),
    ):
        found = find_misses({**FIGURES, name: value}, TARGET, 1000, 0.01)
        assert found == {name: value}
    worse = {**FIGURES, "drop": 0.02}
    assert find_misses(worse, TARGET, 1000, 0.01) == {"max_drop": 0.02}
    nothing = {**FIGURES, "drop": float("nan")}
    assert "max_drop" in find_misses(nothing, TARGET, 1000, 0.01)


def test_a_file_is_near_by_its_worst_limit():
    assert excess(candidate(), TARGET, 1000) == 0
    near = excess(candidate(kilobytes=66.0), TARGET, 1000)
    far = excess(candidate(kilobytes=66.0, macs=500.0), TARGET, 1000)
    assert 0 < near < far


def test_a_file_dominates_where_nothing_is_worse():
    assert candidate(drop=0.0).dominates(candidate())
    assert not candidate().dominates(candidate())
    assert not candidate(drop=0.0, kilobytes=61.0).dominates(candidate())


def test_few_bits_serve_sizes_alone():
    assert list(list_routes(Target(kilobytes=60))) == [8, 4, 2]
    for other in (
        Target(kilobytes=60, io="int8"),
        Target(kilobytes=60, latency_ratio=0.9),
        Target(macs=0.5),
    ):
        assert list(list_routes(other)) == [8]
    assert list_routes(Target(kilobytes=60))[8] == (0.0,)
    assert 0.8 in list_routes(Target(gzip_kilobytes=60))[8]


def test_the_order_of_routes_follows_what_is_lost():
    losses = [
        Route(8).expected_loss,
        Route(8, zeros=0.8).expected_loss,
        Route(8, cut=0.5).expected_loss,
        Route(4).expected_loss,
        Route(8, cut=0.9).expected_loss,
        Route(2).expected_loss,
    ]
    assert losses == sorted(losses)
    assert str(Route(4, zeros=0.8, cut=0.5)) == "50 % cut, 80 % zeros, int4"


def test_epochs_are_divided_without_rest():
    for total in range(1, 30):
        parts = plan_epochs(total)
        assert sum(parts) == total and min(parts) >= 1
    again = Stage(2, Route(8, cut=0.5), 3, start=1, has_ranges=True)
    assert "trained further" in str(again) and "ranges" in str(again)
