"""Check 10: threshold search on arrays, against hand-computed numbers."""

import math

import numpy as np
import pytest

from keras_netopt.depth.exits import exit_criteria
from keras_netopt.depth.exits import threshold_search as search

pytestmark = pytest.mark.no_backend

INF = math.inf
# Ten samples, three exits; higher is more confident.
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


def test_hand_computed_thresholds():
    # 3 samples take the first exit: 0.95, 0.90, 0.85. The 4 highest scores of
    # the other seven at the second exit are 0.90, 0.85, 0.80, 0.40; sample 2,
    # with 0.99 there, has exited before.
    found = search.thresholds_for_fractions(SCORES, (0.3, 0.4, 0.3))
    assert found == (0.85, 0.40, -INF)

    point = search.evaluate_thresholds(SCORES, CORRECT, COSTS, found)
    assert point.fractions == (0.3, 0.4, 0.3)
    assert point.accuracy == pytest.approx(0.9)
    assert point.cost == pytest.approx(0.3 * 1 + 0.4 * 3 + 0.3 * 7)
    assert point.lost == 0


def test_a_fraction_below_one_sample_disables_the_exit():
    found = search.thresholds_for_fractions(SCORES, (0.05, 0.5, 0.45))
    assert found == (INF, 0.60, -INF)


def test_tied_scores_exit_together():
    scores = np.array([[0.9, 1.0], [0.9, 1.0], [0.1, 1.0]])
    found = search.thresholds_for_fractions(scores, (1 / 3, 2 / 3))
    assert search.exit_indices(scores, found).tolist() == [0, 0, 1]


def test_every_sample_takes_an_exit():
    low = np.full((4, 3), -50.0)
    assert search.exit_indices(low, (INF, INF, -INF)).tolist() == [2] * 4


def test_the_sweep_includes_never_and_always_exit():
    points = search.sweep_thresholds(SCORES, CORRECT, COSTS)
    fractions = [p.fractions for p in points]
    assert (1.0, 0.0, 0.0) in fractions and (0.0, 0.0, 1.0) in fractions
    assert len(points) > 5
    costs = [p.cost for p in points]
    assert costs == sorted(costs)


def test_the_front_is_increasing():
    front = search.accuracy_cost_front(
        search.sweep_thresholds(SCORES, CORRECT, COSTS)
    )
    accuracies = [p.accuracy for p in front]
    assert accuracies == sorted(set(accuracies))
    assert len(front) > 2


@pytest.mark.parametrize("drop", [0.0, 0.1, 0.3])
def test_the_chosen_point_keeps_the_accuracy(drop):
    rng = np.random.default_rng(0)
    scores = rng.random((500, 3))
    correct = rng.random((500, 3)) < 0.3 + 0.3 * scores + [0.0, 0.2, 0.4]
    points = search.sweep_thresholds(scores, correct, COSTS)
    full = correct[:, -1].mean()
    point = search.cheapest_within_drop(points, full, drop, samples=500)

    assert point.accuracy >= full - drop - 1e-12
    cheaper = [p for p in points if p.cost < point.cost]
    assert all(p.accuracy < full - drop for p in cheaper)


def test_the_bound_is_more_conservative_than_the_estimate():
    rng = np.random.default_rng(0)
    scores = rng.random((2000, 2))
    easy = scores[:, 0] > 0.5
    correct = np.stack([easy | (rng.random(2000) < 0.5), np.ones(2000, bool)])
    points = search.sweep_thresholds(scores, correct.T, np.array([1.0, 4.0]))
    estimated = search.cheapest_within_drop(points, 1.0, 0.02, samples=2000)
    bounded = search.cheapest_within_drop(
        points, 1.0, 0.02, samples=2000, confidence_level=0.95
    )
    assert estimated.cost < bounded.cost < 4.0
    assert search.clopper_pearson_bound(bounded.lost, 2000, 0.95) <= 0.02


def test_few_samples_give_no_bound():
    points = search.sweep_thresholds(SCORES, CORRECT, COSTS)
    point = search.cheapest_within_drop(
        points, 0.9, 0.05, samples=10, confidence_level=0.95
    )
    assert point.fractions == (0.0, 0.0, 1.0)


def test_the_most_accurate_point_within_a_budget_is_chosen():
    points = search.sweep_thresholds(SCORES, CORRECT, COSTS)
    point = search.most_accurate_within(points, 4.0)
    assert point.cost <= 4.0
    assert all(p.accuracy <= point.accuracy for p in points if p.cost <= 4.0)
    assert search.most_accurate_within(points, 0.5) is None


def test_nan_scores_are_refused():
    scores = SCORES.copy()
    scores[4, 1] = np.nan
    with pytest.raises(ValueError, match="NaN for 1 of 10 samples"):
        search.sweep_thresholds(scores, CORRECT, COSTS)


@pytest.mark.parametrize(
    ("events", "samples", "wanted"),
    [(0, 100, 0.029513), (5, 100, 0.102254), (50, 1000, 0.062869)],
)
def test_clopper_pearson_as_in_tables(events, samples, wanted):
    found = search.clopper_pearson_bound(events, samples, 0.95)
    assert found == pytest.approx(wanted, abs=2e-4)


def test_criteria_agree_on_logits_and_probabilities():
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 5.0]])
    softmax = exit_criteria.class_probabilities(logits, False)
    for name in exit_criteria.CRITERIA:
        np.testing.assert_allclose(
            exit_criteria.exit_scores(logits, name, False),
            exit_criteria.exit_scores(softmax, name, True),
        )
    entropy = -(softmax * np.log(softmax)).sum(-1)
    np.testing.assert_allclose(
        exit_criteria.exit_scores(logits, "entropy", False), -entropy
    )
    assert exit_criteria.are_probabilities(softmax)
    assert not exit_criteria.are_probabilities(logits)


def test_one_unit_stands_for_two_classes():
    outputs = np.array([[-2.0], [3.0]])
    assert exit_criteria.predicted_classes(outputs, False).tolist() == [0, 1]
    np.testing.assert_allclose(
        exit_criteria.exit_scores(outputs, "confidence", False),
        1 / (1 + np.exp([-2.0, -3.0])),
    )
