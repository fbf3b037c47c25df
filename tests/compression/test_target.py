"""Limits of a compressed file: their ranges and how they print."""

import pytest

import keras_netopt as netopt
from keras_netopt import Target

pytestmark = pytest.mark.no_backend

BAD = (
    ({}, ValueError, "at least one limit"),
    ({"io": "int8"}, ValueError, "at least one limit"),
    ({"kilobytes": 0}, ValueError, "kilobytes"),
    ({"kilobytes": "60"}, TypeError, "kilobytes"),
    ({"kilobytes": True}, TypeError, "kilobytes"),
    ({"gzip_kilobytes": -1}, ValueError, "gzip_kilobytes"),
    ({"kilobytes": float("nan")}, ValueError, "kilobytes"),
    ({"latency_ratio": 3}, ValueError, "0.33"),
    ({"latency_ratio": 0}, ValueError, "latency_ratio"),
    ({"macs": 0}, ValueError, "macs"),
    ({"macs": 1.5}, ValueError, "share"),
    ({"macs": 1.0}, ValueError, "share"),
    ({"macs": True}, TypeError, "macs"),
    ({"kilobytes": 60, "io": "int16"}, ValueError, "io"),
)


def test_values_out_of_range_are_refused_by_name():
    failures = []
    for arguments, kind, text in BAD:
        try:
            Target(**arguments)
        except kind as error:
            if text not in str(error) or "Received" not in str(error):
                failures.append((arguments, str(error)))
        else:
            failures.append((arguments, "accepted"))
    assert not failures


def test_limits_are_those_given():
    target = Target(kilobytes=60, latency_ratio=0.33, io="int8")
    assert target.limits == {"kilobytes": 60, "latency_ratio": 0.33}
    assert eval(repr(target), {"Target": Target}) == target
    assert "Target" in dir(netopt)


def test_macs_are_a_number_or_a_share():
    assert Target(macs=0.25).max_macs(1000) == 250
    assert Target(macs=300).max_macs(1000) == 300
    assert Target(kilobytes=1).max_macs(1000) is None
