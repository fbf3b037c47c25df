"""Which trials each rule ends."""

import json
import math

import pytest

from keras_netopt.search import ASHA, MedianStopping, PatienceStopping
from keras_netopt.warnings import NoEffectWarning

pytestmark = pytest.mark.no_backend

NAN = math.nan


def decisions(rule, epoch, values):
    return [rule.should_stop(str(k), epoch, v) for k, v in enumerate(values)]


def test_asha_keeps_the_best_of_each_rung_with_ties():
    rule = ASHA(eta=2)
    rule.on_search_begin(8)
    assert rule.rungs == (1, 2, 4)
    # n // 2 of n values pass, at least one, ties with the last one too.
    assert decisions(rule, 1, [5.0, 6.0, 4.0, 4.0, 3.0, 4.0, NAN]) == [
        False,
        True,
        False,
        False,
        False,
        False,
        True,
    ]
    assert decisions(rule, 2, [9.0, 8.0, 8.5]) == [False, False, True]
    assert not rule.should_stop("0", 3, 100.0)  # No rung.
    assert rule.should_stop("0", 3, NAN)


def test_asha_by_thirds_and_from_a_number_of_trials_on():
    rule = ASHA(min_trials=4, min_epochs=2)
    rule.on_search_begin(27)
    assert rule.rungs == (2, 6, 18)
    assert decisions(rule, 2, [1.0, 2.0, 3.0, 4.0, 5.0, 0.5]) == [
        False,
        False,
        False,
        True,
        True,
        False,
    ]


def test_a_rung_is_decided_by_the_next_reported_epoch():
    """As with `validation_freq=2`: no epoch is one of the rungs 1 and 3."""
    rule = ASHA(eta=3)
    rule.on_search_begin(9)
    assert decisions(rule, 2, [3.0, 4.0, 2.0]) == [False, True, False]
    assert decisions(rule, 4, [2.0, 9.0, 3.0]) == [False, True, True]
    # A trial decides once about each rung.
    assert decisions(rule, 6, [50.0]) == [False]
    assert decisions(rule, 8, [50.0, NAN]) == [False, True]


def test_the_median_is_asked_for_at_the_next_reported_epoch():
    """A check is due after the epochs 1, 4 and 7."""
    rule = MedianStopping(n_startup_trials=1, interval_epochs=3)
    for epoch in (2, 4, 6, 8):
        rule.should_stop("good", epoch, 1.0)
    rule.on_trial_complete("good")
    found = [rule.should_stop("bad", epoch, 2.0) for epoch in (2, 4, 6, 8)]
    assert found == [True, True, False, True]


def test_asha_without_a_rung_says_so():
    with pytest.warns(NoEffectWarning, match="no rung below the 1 epochs"):
        ASHA().on_search_begin(1)


def test_a_trial_that_is_run_again_counts_once():
    rule = ASHA(eta=2)
    rule.on_search_begin(4)
    assert decisions(rule, 1, [1.0, 2.0]) == [False, True]
    assert not rule.should_stop("0", 1, 1.0)
    assert rule.should_stop("1", 1, 2.0)
    rule.reset_trial("0")
    assert not rule.should_stop("1", 1, 2.0)


def test_median_compares_with_finished_trials_at_the_same_epoch():
    rule = MedianStopping(n_startup_trials=2, n_warmup_epochs=1)
    for name, values in {"a": [3, 2, 1], "b": [5, 4, 3]}.items():
        assert not any(
            rule.should_stop(name, k + 1, v) for k, v in enumerate(values)
        )
        rule.on_trial_complete(name)
    assert not rule.should_stop("c", 1, 9.0)  # Warm-up.
    assert rule.should_stop("c", 2, 3.5)  # The median is 3.
    assert not rule.should_stop("d", 1, 1.0)
    assert not rule.should_stop("d", 2, 9.0)  # Its best is better.
    rule.reset_trial("a")
    assert not rule.should_stop("c", 2, 3.5)  # Too few finished.


def test_median_looks_every_interval_only():
    rule = MedianStopping(n_startup_trials=1, interval_epochs=3)
    for epoch in range(1, 8):
        rule.should_stop("a", epoch, 1.0)
    rule.on_trial_complete("a")
    found = [rule.should_stop("b", epoch, 2.0) for epoch in range(1, 8)]
    assert found == [True, False, False, True, False, False, True]


def test_patience_counts_epochs_since_a_better_value():
    rule = PatienceStopping(2, min_delta=0.1)
    values = [1.0, 0.8, 0.75, 0.72, 0.1]
    found = [rule.should_stop("a", k + 1, v) for k, v in enumerate(values)]
    assert found == [False, False, False, True, False]
    assert not rule.should_stop("b", 4, 1.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ASHA(eta=2),
        lambda: MedianStopping(1),
        lambda: PatienceStopping(2),
    ],
)
def test_a_rule_resumes_from_its_saved_state(make):
    values = [3.0, 1.0, 2.0, 5.0, 4.0, 0.5]
    whole, first, second = make(), make(), make()
    for rule in (whole, first, second):
        rule.on_search_begin(8)

    def play(rule, trials):
        found = []
        for k in trials:
            for epoch in (1, 2, 3):
                found.append(rule.should_stop(str(k), epoch, values[k] + epoch))
            rule.on_trial_complete(str(k))
        return found

    wanted = play(whole, range(6))
    found = play(first, range(3))
    second.set_state(json.loads(json.dumps(first.get_state())))
    assert found + play(second, range(3, 6)) == wanted
    assert any(wanted) and not all(wanted)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ASHA(eta=1), "`eta` must be .* Received: eta=1"),
        (lambda: ASHA(min_epochs=0), "Received: min_epochs=0"),
        (
            lambda: MedianStopping(interval_epochs=0),
            "Received: interval_epochs=0",
        ),
        (lambda: PatienceStopping(0), "Received: patience=0"),
        (lambda: PatienceStopping(min_delta=-1.0), "Received: min_delta=-1.0"),
        (
            lambda: ASHA(min_epochs=5).on_search_begin(4),
            "at most the epochs of a complete trial, 4. Received: min_epochs=5",
        ),
    ],
)
def test_values_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
