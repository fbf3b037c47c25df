"""Check 10: thresholds on arrays, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from keras_netopt.depth.exits import confidence
from keras_netopt.depth.exits import threshold_search as search

INF = math.inf
# Ten samples, three exits; higher is surer.
SCORES = np.array(
    [
        [0.95, 0.50, 0.9],
        [0.90, 0.60, 0.9],
        [0.85, 0.99, 0.9],
        [0.80, 0.40, 0.9],
        [0.70, 0.90, 0.9],
        [0.60, 0.80, 0.9],
        [0.50, 0.85, 0.9],
        [0.40, 0.30, 0.9],
        [0.30, 0.20, 0.9],
        [0.20, 0.10, 0.9],
    ]
)
CORRECT = np.array(
    [[1, 1, 1]] * 3
    + [[0, 1, 1]]
    + [[1, 1, 1]]
    + [[0, 1, 1], [1, 1, 1], [0, 0, 1], [0, 0, 1], [0, 1, 0]],
    bool,
)
COSTS = np.array([1.0, 3.0, 7.0])


def test_thresholds_worked_out_by_hand():
    # 3 leave first: 0.95, 0.90, 0.85. Of the other seven the 4 surest at the
    # second exit are 0.90, 0.85, 0.80, 0.40: sample 2 has left with its 0.99.
    found = search.thresholds_for(SCORES, (0.3, 0.4, 0.3))
    assert found == (0.85, 0.40, -INF)

    point = search.evaluate_point(SCORES, CORRECT, COSTS, found)
    assert point.fractions == (0.3, 0.4, 0.3)
    assert point.accuracy == pytest.approx(0.9)
    assert point.cost == pytest.approx(0.3 * 1 + 0.4 * 3 + 0.3 * 7)
    assert point.lost == 0


def test_a_share_of_nothing_lets_nobody_leave():
    found = search.thresholds_for(SCORES, (0.05, 0.5, 0.45))
    assert found == (INF, 0.60, -INF)


def test_ties_leave_together():
    scores = np.array([[0.9, 1.0], [0.9, 1.0], [0.1, 1.0]])
    found = search.thresholds_for(scores, (1 / 3, 2 / 3))
    assert search.leave(scores, found).tolist() == [0, 0, 1]


def test_nobody_falls_off_the_end():
    low = np.full((4, 3), -50.0)
    assert search.leave(low, (INF, INF, -INF)).tolist() == [2] * 4


def test_the_sweep_holds_never_and_always():
    points = search.sweep(SCORES, CORRECT, COSTS)
    fractions = [p.fractions for p in points]
    assert (1.0, 0.0, 0.0) in fractions and (0.0, 0.0, 1.0) in fractions
    assert len(points) > 5
    costs = [p.cost for p in points]
    assert costs == sorted(costs)


def test_the_front_only_rises():
    front = search.pareto(search.sweep(SCORES, CORRECT, COSTS))
    accuracies = [p.accuracy for p in front]
    assert accuracies == sorted(set(accuracies))
    assert len(front) > 2


@pytest.mark.parametrize("drop", [0.0, 0.1, 0.3])
def test_the_chosen_point_keeps_the_accuracy(drop):
    rng = np.random.default_rng(0)
    scores = rng.random((500, 3))
    correct = rng.random((500, 3)) < 0.3 + 0.3 * scores + [0.0, 0.2, 0.4]
    points = search.sweep(scores, correct, COSTS)
    full = correct[:, -1].mean()
    point = search.cheapest_within(points, full, drop, samples=500)

    assert point.accuracy >= full - drop - 1e-12
    cheaper = [p for p in points if p.cost < point.cost]
    assert all(p.accuracy < full - drop for p in cheaper)


def test_a_bound_is_more_careful_than_the_estimate():
    rng = np.random.default_rng(0)
    scores = rng.random((2000, 2))
    easy = scores[:, 0] > 0.5
    correct = np.stack([easy | (rng.random(2000) < 0.5), np.ones(2000, bool)])
    points = search.sweep(scores, correct.T, np.array([1.0, 4.0]))
    plain = search.cheapest_within(points, 1.0, 0.02, samples=2000)
    proved = search.cheapest_within(
        points, 1.0, 0.02, samples=2000, confidence=0.95
    )
    assert plain.cost < proved.cost < 4.0
    assert search.upper_bound(proved.lost, 2000, 0.95) <= 0.02


def test_few_samples_prove_nothing():
    points = search.sweep(SCORES, CORRECT, COSTS)
    point = search.cheapest_within(
        points, 0.9, 0.05, samples=10, confidence=0.95
    )
    assert point.fractions == (0.0, 0.0, 1.0)


def test_a_budget_buys_the_most_accurate_point():
    points = search.sweep(SCORES, CORRECT, COSTS)
    point = search.best_within(points, 4.0)
    assert point.cost <= 4.0
    assert all(p.accuracy <= point.accuracy for p in points if p.cost <= 4.0)
    assert search.best_within(points, 0.5) is None


def test_not_a_number_is_an_error():
    scores = SCORES.copy()
    scores[4, 1] = np.nan
    with pytest.raises(ValueError, match="NaN for 1 of 10 samples"):
        search.sweep(scores, CORRECT, COSTS)


@pytest.mark.parametrize(
    ("events", "samples", "wanted"),
    [(0, 100, 0.029513), (5, 100, 0.102254), (50, 1000, 0.062869)],
)
def test_clopper_pearson_as_in_tables(events, samples, wanted):
    found = search.upper_bound(events, samples, 0.95)
    assert found == pytest.approx(wanted, abs=2e-4)


def test_criteria_agree_on_logits_and_probabilities():
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 5.0]])
    likely = confidence.probabilities(logits, False)
    for name in confidence.CRITERIA:
        np.testing.assert_allclose(
            confidence.scores(logits, name, False),
            confidence.scores(likely, name, True),
        )
    entropy = -(likely * np.log(likely)).sum(-1)
    np.testing.assert_allclose(
        confidence.scores(logits, "entropy", False), -entropy
    )
    assert confidence.are_probabilities(likely)
    assert not confidence.are_probabilities(logits)


def test_one_unit_answers_for_two_classes():
    answers = np.array([[-2.0], [3.0]])
    assert confidence.classes(answers, False).tolist() == [0, 1]
    np.testing.assert_allclose(
        confidence.scores(answers, "confidence", False),
        1 / (1 + np.exp([-2.0, -3.0])),
    )
