import math
import statistics

import numpy as np
import pytest

from keras_netopt.search.sampling import pareto, truncated_normal
from keras_netopt.search.sampling.parzen import (
    ParameterDomain,
    ParzenEstimator,
    age_weights,
    bandwidths,
)

pytestmark = pytest.mark.no_backend

STEPS = ParameterDomain("ordered", np.linspace(0.0, 1.0, 6))
UNEVEN = ParameterDomain("ordered", np.array([0.0, 0.5, 0.8, 1.0]))
CATEGORIES = ParameterDomain("categorical", np.arange(4))
NUMBERS = ParameterDomain("continuous")


def test_cdf_is_the_normal_one():
    z = np.linspace(-9, 9, 181)
    exact = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in z])
    smaller = np.minimum(exact, 1.0 - exact)
    assert (
        np.abs(truncated_normal.normal_cdf(z) - exact) <= 2e-7 * smaller + 1e-16
    ).all()


def test_draws_follow_the_density():
    rng = np.random.default_rng(0)
    mu, sigma = np.full(20_000, 0.1), np.full(20_000, 0.3)
    found = truncated_normal.sample(mu, sigma, rng)
    assert ((found >= 0) & (found <= 1)).all()
    places = np.linspace(0.0005, 0.9995, 1000)[:, None]
    density = np.exp(truncated_normal.log_density(places, mu[:1], sigma[:1]))[
        :, 0
    ]
    assert density.mean() == pytest.approx(1.0, abs=1e-3)
    assert found.mean() == pytest.approx(
        (density * places[:, 0]).mean(), abs=0.01
    )


@pytest.mark.parametrize("axis", [STEPS, UNEVEN, CATEGORIES])
def test_masses_of_bins_are_one_together(axis):
    rng = np.random.default_rng(0)
    points = axis.center(rng.integers(axis.size, size=7))[:, None]
    estimator = ParzenEstimator(points, [axis])
    every = axis.center(np.arange(axis.size))[:, None]
    masses = np.exp(estimator.log_density(every))
    assert masses.sum() == pytest.approx(1.0, abs=1e-6)
    drawn = axis.bins(estimator.sample(20_000, rng)[:, 0])
    shares = np.bincount(drawn, minlength=axis.size) / 20_000
    assert np.abs(shares - masses).max() < 0.02


def test_a_product_of_axes_is_one_together():
    rng = np.random.default_rng(1)
    points = np.stack(
        [rng.random(9), CATEGORIES.center(rng.integers(3, size=9))], axis=1
    )
    estimator = ParzenEstimator(points, [NUMBERS, CATEGORIES])
    x = np.linspace(0.0005, 0.9995, 1000)
    total = 0.0
    for middle in CATEGORIES.center(np.arange(3)):
        grid = np.stack([x, np.full_like(x, middle)], axis=1)
        total += np.exp(estimator.log_density(grid)).mean()
    assert total == pytest.approx(1.0, abs=1e-3)


def test_kernels_of_one_category():
    """Rows of `prior / n`, one more where seen, as in the specification."""
    estimator = ParzenEstimator(np.array([[0.5], [0.5]]), [CATEGORIES])
    masses = np.exp(estimator.log_density(np.array([[0.1], [0.5], [0.9]])))
    seen, prior = (1 + 1 / 3) / 2, 1 / 3
    assert masses[1] == pytest.approx((2 * seen + prior) / 3)
    assert masses[0] == masses[2] == pytest.approx(((1 - seen) + prior) / 3)


def test_bandwidths_are_the_larger_neighbour_distance():
    widths = bandwidths(np.array([0.1, 0.9, 0.4]))
    assert widths == pytest.approx([0.3, 0.5, 0.5])
    assert bandwidths(np.array([0.2])) == pytest.approx([0.8])
    assert bandwidths(np.full(5, 0.5)) == pytest.approx([1 / 7] * 5)
    assert bandwidths(np.full(200, 0.5)) == pytest.approx([0.01] * 200)


def test_old_points_weigh_less():
    assert age_weights(24).tolist() == [1.0] * 24
    weights = age_weights(30)
    assert weights[:5] == pytest.approx(np.linspace(1 / 30, 1, 5))
    assert weights[5:].tolist() == [1.0] * 25


def test_no_density_is_zero():
    points = np.full((300, 1), 0.01)
    estimator = ParzenEstimator(points, [STEPS])
    assert np.isfinite(estimator.log_density(np.array([[0.99]]))).all()
    empty = ParzenEstimator(np.empty((0, 1)), [STEPS])
    middles = STEPS.center(np.arange(5))
    density = empty.log_density(middles[:, None])
    assert density.max() - density.min() < 0.2


def test_agrees_with_optuna():
    """The mixtures are those of Optuna's TPE, density by density."""
    pytest.importorskip("optuna")
    from optuna import distributions
    from optuna.samplers._tpe import parzen_estimator as theirs
    from optuna.samplers._tpe.sampler import default_weights

    settings = theirs._ParzenEstimatorParameters(
        prior_weight=1.0,
        consider_magic_clip=True,
        consider_endpoints=False,
        weights=default_weights,
        multivariate=True,
    )
    rng = np.random.default_rng(2)
    number = distributions.FloatDistribution(0, 1)
    kind = distributions.CategoricalDistribution([0, 1, 2])
    step = distributions.IntDistribution(0, 4)

    def draw(n):
        return rng.random(n), rng.integers(3, size=n), rng.integers(5, size=n)

    def place(x, c):
        return np.stack([x, CATEGORIES.center(c)], axis=1)

    (x, c, _), (x2, c2, _) = draw(40), draw(9)
    expected = theirs._ParzenEstimator(
        {"x": x, "c": c}, {"x": number, "c": kind}, settings
    ).log_pdf({"x": x2, "c": c2})
    ours = ParzenEstimator(place(x, c), [NUMBERS, CATEGORIES])
    found = ours.log_density(place(x2, c2))
    assert found == pytest.approx(expected, abs=1e-5)

    i = draw(20)[2]  # Of one weight: ties may be in any order.
    expected = theirs._ParzenEstimator({"i": i}, {"i": step}, settings)
    expected = expected.log_pdf({"i": np.arange(5)})
    ours = ParzenEstimator(STEPS.center(i)[:, None], [STEPS])
    found = ours.log_density(STEPS.center(np.arange(5))[:, None])
    assert found == pytest.approx(expected, abs=1e-5)


def brute_force_front(scores):
    def beats(a, b):
        return all(a <= b) and any(a < b)

    return {
        i
        for i, one in enumerate(scores)
        if not any(beats(other, one) for other in scores)
    }


def test_the_first_front_is_that_of_brute_force():
    scores = np.random.default_rng(0).random((60, 3))
    ranks = pareto.front_ranks(scores)
    left = np.arange(60)
    for front in range(ranks.max() + 1):
        expected = {left[i] for i in brute_force_front(scores[left])}
        assert set(np.flatnonzero(ranks == front)) == expected
        left = np.flatnonzero(ranks > front)


def test_crowding_of_five_points():
    scores = np.array([[0, 10], [1, 6], [2, 5], [6, 2], [10, 0]], float)
    assert pareto.crowding_distance(scores).tolist() == [
        math.inf,
        pytest.approx(2 / 10 + 5 / 10),
        pytest.approx(5 / 10 + 4 / 10),
        pytest.approx(8 / 10 + 5 / 10),
        math.inf,
    ]
    same = np.array([[1.0, 5.0], [1.0, 4.0], [1.0, 0.0]])
    assert pareto.crowding_distance(same)[1] == pytest.approx(1.0)


def test_no_infeasible_point_beats_a_feasible_one():
    scores = np.array([[5.0, 5.0], [0.0, 0.0], [1.0, 1.0]])
    violations = np.array([0.0, 2.0, 1.0])
    assert pareto.dominates(scores, violations).tolist() == [
        [False, True, True],
        [False, False, False],
        [False, True, False],
    ]
    assert pareto.front_ranks(scores, violations).tolist() == [0, 2, 1]
    assert pareto.select_points(scores, 2, violations).tolist() == [0, 2]


def test_the_last_front_gives_its_loneliest():
    scores = np.array([[0, 4], [1, 2.9], [1.1, 2.8], [3, 1], [4, 0]])
    assert set(pareto.select_points(scores, 3).tolist()) == {0, 3, 4}


def test_scores_that_are_infinite_are_no_error():
    scores = np.array([[0.0, 1.0], [np.inf, np.inf], [np.inf, np.inf]])
    assert pareto.front_ranks(scores).tolist() == [0, 1, 1]
    assert pareto.crowding_distance(scores)[0] == math.inf
    assert statistics.fmean(pareto.select_points(scores, 1)) == 0
