"""Prechelt's rules on plain curves; expected values by hand."""

import math

import pytest

from keras_netopt import prechelt_rules

pytestmark = pytest.mark.no_backend


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([0.5], 0.0),
        ([1.0, 0.5, 0.75], 50.0),
        ([1.0, 0.5, 0.5], 0.0),
        ([0.25, 1.0], 300.0),
        ([0.0, 0.0], 0.0),
        ([0.0, 1.0], math.inf),
        ([1.0, -1.0], 0.0),
    ],
)
def test_generalization_loss_is_a_percentage_above_the_lowest(losses, expected):
    assert prechelt_rules.generalization_loss(losses) == expected


def test_a_ratio_to_a_negative_loss_is_not_a_number():
    assert math.isnan(prechelt_rules.generalization_loss([-1.0, 1.0]))
    assert math.isnan(prechelt_rules.training_progress([-1.0, 1.0]))


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([2.0], 0.0),
        ([2.0, 2.0], 0.0),
        ([1.5, 1.0, 1.25], 250.0),
        ([3.0, 1.0], 1000.0),
        ([1.0, 0.0], math.inf),
    ],
)
def test_training_progress_is_in_thousandths(losses, expected):
    assert prechelt_rules.training_progress(losses) == expected


@pytest.mark.parametrize(
    ("losses", "strip", "expected"),
    [
        ([], 2, 0),
        ([1.0, 5.0], 2, 0),  # There is no end of a strip before.
        ([1.0, 2.0, 3.0], 1, 2),
        ([1.0, 2.0, 2.0], 1, 0),
        ([9.0, 8.0, 9.0], 1, 1),
        ([5.0, 1.0, 9.0, 2.0, 0.0, 3.0], 2, 2),
        ([5.0, 1.0, 9.0, 2.0, 0.0], 2, 1),
    ],
)
def test_count_rises_compares_ends_of_strips(losses, strip, expected):
    assert prechelt_rules.count_rises(losses, strip) == expected


def test_gl_must_exceed_its_threshold():
    losses = [1.0, 1.5]
    assert prechelt_rules.find_stop_epoch("GL", losses, [], threshold=49.9) == 1
    assert (
        prechelt_rules.find_stop_epoch("GL", losses, [], threshold=50.0) is None
    )


def test_pq_divides_the_loss_by_the_progress_of_the_last_strip():
    losses = [1.0, 1.0, 1.0, 1.5]
    training = [9.0, 8.0, 1.5, 1.0]  # Progress of the last two: 250.
    rule = {"threshold": 0.19, "strip": 2}
    assert prechelt_rules.find_stop_epoch("PQ", losses, training, **rule) == 3
    rule["threshold"] = 0.2
    assert (
        prechelt_rules.find_stop_epoch("PQ", losses, training, **rule) is None
    )


def test_pq_waits_for_the_end_of_a_strip():
    losses, training = [1.0, 9.0, 9.0, 9.0], [4.0, 4.0, 4.0, 4.0]
    rule = {"threshold": 0.5, "strip": 3}
    assert prechelt_rules.find_stop_epoch("PQ", losses, training, **rule) == 2


def test_pq_without_progress_stops_only_after_an_increase():
    still = [1.0, 1.0]
    rule = {"threshold": 5.0, "strip": 2}
    assert prechelt_rules.find_stop_epoch("PQ", [1.0, 1.1], still, **rule) == 1
    assert (
        prechelt_rules.find_stop_epoch("PQ", [1.0, 1.0], still, **rule) is None
    )


def test_up_requires_successive_strips():
    losses = [1.0, 1.1, 1.0, 1.1, 1.2, 1.3]
    assert (
        prechelt_rules.find_stop_epoch("UP", losses, [], threshold=1, strip=1)
        == 1
    )
    assert (
        prechelt_rules.find_stop_epoch("UP", losses, [], threshold=2, strip=1)
        == 4
    )
    assert (
        prechelt_rules.find_stop_epoch("UP", losses, [], threshold=4, strip=1)
        is None
    )
    assert (
        prechelt_rules.find_stop_epoch("UP", losses, [], threshold=1, strip=2)
        == 5
    )


@pytest.mark.parametrize("rule", prechelt_rules.THRESHOLDS)
def test_empty_curves_do_not_stop(rule):
    assert not prechelt_rules.should_stop(rule, [], [], threshold=0.0, strip=2)
