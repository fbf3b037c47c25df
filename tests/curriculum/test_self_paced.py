"""Self-paced weights: formulas, limits and finite values."""

import numpy as np
import pytest

from keras_netopt.curriculum import SelfPaced, self_paced_weights
from keras_netopt.curriculum.self_paced import WEIGHTINGS

pytestmark = pytest.mark.no_backend

LOSSES = np.array([0.0, 0.1, 0.3, 0.5, 0.7, 0.9])
AGE = 0.6


def expected(weighting):
    zeta = 1 - AGE
    inner = 0.2
    mixed = (
        AGE * inner / (AGE - inner) * (1 / np.maximum(LOSSES, 0.2) - 1 / AGE)
    )
    values = {
        "hard": np.ones(6),
        "linear": 1 - LOSSES / AGE,
        "log": np.log(LOSSES + zeta) / np.log(zeta),
        "mixture": np.where(LOSSES <= inner, 1.0, mixed),
        "polynomial": np.abs(1 - LOSSES / AGE) ** (1 / 2.0),
    }
    return np.where(LOSSES < AGE, values[weighting], 0.0)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_weights_equal_the_formulas(weighting):
    found = self_paced_weights(LOSSES, AGE, weighting, inner_age=0.2, power=3.0)
    np.testing.assert_allclose(found, expected(weighting), atol=1e-6)


@pytest.mark.parametrize("age", [0.2, AGE])
def test_the_mixture_is_continuous_at_both_ends(age):
    near = np.array([age - 1e-9, age + 1e-9])
    first, second = self_paced_weights(near, AGE, "mixture", inner_age=0.2)
    assert first == pytest.approx(second, abs=1e-6)
    full = self_paced_weights(np.array([0.2]), AGE, "mixture", inner_age=0.2)
    assert full == pytest.approx(1.0)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("fraction", [0.01, 0.5, 1.0])
def test_weights_are_finite_and_positive_somewhere(weighting, fraction):
    """Losses that are 0, equal, at the age, negative or huge."""
    for losses in (
        np.zeros(5),
        np.ones(5),
        np.array([0.0, 0.0, 0.0, 1.0, 1e30]),
        np.array([-3.0, -2.0, 0.0, 1.0, 2.0]),
    ):
        weights = SelfPaced(weighting).weights(losses, fraction, epoch=0)
        assert np.isfinite(weights).all()
        assert weights.min() >= 0.0 and 0.0 < weights.max() <= 1.0 + 1e-12


@pytest.mark.parametrize("fraction", [0.25, 0.5, 1.0])
def test_the_pacing_is_the_active_fraction(fraction):
    losses = np.random.default_rng(0).permutation(100) / 10
    weights = SelfPaced("hard").weights(losses, fraction, epoch=7)
    assert weights.sum() == 100 * fraction
    assert losses[weights > 0].max() < losses[weights == 0].min(initial=99)


def test_initial_age_grows_by_its_factor():
    losses = np.arange(1.0, 9.0)
    ordering = SelfPaced("hard", initial_age=2.0, age_growth=1.5)
    sizes = [ordering.weights(losses, 1.0, e).sum() for e in range(4)]
    assert sizes == [1, 2, 4, 6]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"weighting": "soft"}, "`weighting` must be one of"),
        ({"initial_age": 0.0}, "`initial_age` must be above 0"),
        ({"age_growth": 1.0}, "`age_growth` must be above 1"),
        ({"inner_age_ratio": 1.0}, r"`inner_age_ratio` must be in \(0, 1\)"),
        ({"power": 1.0}, "`power` must be above 1"),
    ],
)
def test_wrong_settings_raise(arguments, text):
    with pytest.raises(ValueError, match=f"{text}.*Received: "):
        SelfPaced(**arguments)


def test_an_inner_age_above_the_age_raises():
    with pytest.raises(ValueError, match=r"Received: inner_age=0.7, age=0.6"):
        self_paced_weights(LOSSES, 0.6, "mixture", inner_age=0.7)
    with pytest.raises(ValueError, match=r'weighting="log".*Received: age=1.0'):
        self_paced_weights(LOSSES, 1.0, "log")
