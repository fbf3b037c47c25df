import math
import re

import numpy as np
import pytest

from keras_netopt.learning_rate.range_test import (
    RangeTest,
    smoothed_noise,
    sweep_rates,
)

pytestmark = pytest.mark.no_backend
NOISE = "The smoothed loss falls by"
START = "The loss is lowest at"


def swept(losses, low=1e-5, high=1.0, **settings):
    """A test of as many steps as losses, up to where they diverge."""
    test = RangeTest(**settings)
    rates = sweep_rates(low, high, len(losses))
    for rate, loss in zip(rates, losses, strict=True):
        if test.add(rate, loss):
            break
    return test


def test_rates_of_a_sweep_grow_by_one_factor():
    rates = sweep_rates(1e-7, 10.0, 100)
    assert (rates[0], rates[-1]) == (1e-7, 10.0)
    np.testing.assert_allclose(
        np.diff(np.log(rates)), math.log(1e8) / 99, rtol=1e-9
    )


def test_smoothing_corrects_its_start():
    test = RangeTest(smoothing=0.5)
    test.replay([1.0, 2.0, 4.0], [4.0, 1.0, 1.0])
    wanted = [4.0, (0.5 * 2.0 + 0.5) / 0.75, (0.5 * 1.5 + 0.5) / 0.875]
    assert test.smoothed == pytest.approx(wanted)


def test_the_test_is_over_at_four_times_the_lowest_after_ten_steps():
    test = RangeTest(smoothing=0.0)
    losses = [*[1.0] * 8, 9.0, 1.0, 4.0, 4.1]
    over = [test.add(2.0**i, loss) for i, loss in enumerate(losses)]
    assert over == [*[False] * 11, True]


def test_noise_of_the_first_steps_is_not_the_steepest():
    test = RangeTest(smoothing=0.0)
    losses = [*[1.0, 0.5] * 6, *[1.0] * 30, 0.8, 0.5, 0.2, *[0.1] * 5, 9.0]
    rates = sweep_rates(1e-3, 1.0, len(losses))
    test.replay(rates, losses)
    assert test.steepest == rates[43]
    assert test.suggestion == rates[45] / 10


def test_a_low_first_loss_does_not_hide_a_fall():
    test = RangeTest(smoothing=0.0)
    test.replay([0.1, 2.0, 3.0, 4.0], [0.5, 1.0, 0.6, 5.0])
    assert test.suggestion == 0.3
    rising = RangeTest(smoothing=0.0)
    rising.replay([1.0, 2.0, 3.0], [0.5, 9.0, 8.0])
    assert (rising.suggestion, rising.fall, rising.noise) == (None,) * 3
    assert rising.note == (
        "The loss falls at no rate from 1 to 3. Lower `min_learning_rate`, "
        "and look at `plot()`."
    )


def test_a_tenth_below_the_first_rate_is_no_suggestion():
    test = RangeTest(smoothing=0.0)
    test.replay([1.0, 2.0, 3.0, 4.0], [2.0, 1.9, 0.6, 5.0])
    assert test.suggestion is None
    assert test.steepest == 2.0
    assert test.note.startswith(
        "The loss is lowest at 3, and a tenth of that lies below the first "
        "rate, 1. Start the sweep lower, as with `min_learning_rate=0.03`; "
        "where the minimum is noise, use more `steps` or larger batches."
    )


@pytest.mark.parametrize("low", [1e-7, 3e-5, 0.7])
def test_ten_times_the_first_rate_is_far_enough(low):
    """The rates are powers, whose tenth may be rounded below the first."""
    test = swept([2.0, 1.0, 0.5, 9.0], low, 1000 * low, smoothing=0.0)
    assert test.suggestion == pytest.approx(10 * low)
    edge = swept([2.0, 0.5, 9.0], low, 100 * low).suggestion
    assert low <= edge == pytest.approx(low)
    assert swept([2.0, 0.5, 9.0], low, 99 * low).suggestion is None


def test_a_suggestion_of_any_losses_lies_in_the_sweep():
    """Losses of any scale, trend and length, some not finite."""
    random, found = np.random.default_rng(0), {True: 0, False: 0}
    for _ in range(500):
        steps = int(random.integers(2, 60))
        losses = np.cumsum(
            random.normal(size=steps) * 10 ** random.uniform(-3, 3)
        )
        losses += random.normal(size=steps) * 10 ** random.uniform(-3, 3)
        if random.random() < 0.2:
            losses[random.integers(steps)] = random.choice([np.nan, np.inf])
        low, high = np.sort(10 ** random.uniform(-8, 2, size=2))
        smoothing = random.choice([0.0, 0.5, 0.9, 0.98])
        test = swept(losses.tolist(), low, high, smoothing=smoothing)
        found[test.suggestion is None] += 1
        if test.suggestion is None:
            assert test.note
        else:
            assert low <= test.suggestion <= high
            assert test.rates[0] <= test.suggestion <= test.rates[-1]
        assert test.steepest is None or test.steepest in test.rates
        assert (test.fall is None) == (test.noise is None)
        assert test.fall is None or test.fall >= 0.0 <= test.noise
    assert min(found.values()) > 50


def test_no_rate_is_above_the_last():
    for low, high, steps in ((1e-5, 1.0, 36), (1e-3, 0.7, 41), (0.3, 0.9, 7)):
        rates = sweep_rates(low, high, steps)
        assert rates[0] == low
        assert max(rates) == rates[-1] == pytest.approx(high)
        assert rates[-1] <= high


@pytest.mark.parametrize("smoothing", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("steps", [2, 5, 60])
def test_the_noise_is_that_of_many_running_means(smoothing, steps):
    """Of 4,000 sweeps, the last running means spread by `noise`."""
    losses = np.random.default_rng(0).normal(scale=0.3, size=(4000, steps))
    ends, estimates = [], []
    for one in losses.tolist():
        test = RangeTest(smoothing)
        test.replay([1.0] * steps, one)
        ends.append(test.smoothed[-1])
        estimates.append(smoothed_noise(one, smoothing))
    # Median and squares, as few differences estimate with a large spread.
    assert np.std(ends) == pytest.approx(np.median(estimates), rel=0.1)


def test_the_noise_ignores_a_trend_and_outliers():
    random = np.random.default_rng(0)
    losses = random.normal(scale=0.1, size=1000)
    alone = smoothed_noise(losses, 0.9)
    losses += np.linspace(5.0, 0.0, 1000)
    losses[::100] += 50.0
    assert smoothed_noise(losses, 0.9) == pytest.approx(alone, rel=0.05)


def test_the_fall_leaves_the_warm_up_out():
    """The first step is an outlier; the later ones fall from 1 to 0."""
    late = swept([9.0, *[1.0] * 24, 0.0, 5.0], smoothing=0.0)
    assert (late.fall, late.noise) == (1.0, 0.0)
    assert late.note is None
    early = swept([9.0, *[1.0] * 15, 0.0, 5.0], smoothing=0.0)
    assert early.fall == 9.0


def test_a_fall_of_three_standard_errors_is_no_noise():
    """The losses alternate by 0.1: one standard deviation is 0.105."""
    for fall, is_noise in ((0.3, True), (0.5, False)):
        losses = [1.0 + 0.05 * (-1) ** i for i in range(30)]
        test = swept([*losses, 1.05 - fall, 9.0], smoothing=0.0)
        assert test.fall == pytest.approx(fall)
        assert test.noise == pytest.approx(0.1 / 0.6745 / 2**0.5)
        assert (test.note is not None) == is_noise
        assert test.suggestion is not None
    assert re.fullmatch(
        r"The smoothed loss falls by 0.3, less than three times its noise, "
        r"0.1, so the minimum may be chance: use more `steps` or larger "
        r"batches.",
        swept([*losses, 0.75, 9.0], smoothing=0.0).note,
    )


def test_most_noise_gets_a_note_and_a_valley_none():
    """Sweeps of 40 steps; noise alone falls by three times itself at times."""
    random, notes = np.random.default_rng(1), {True: [], False: []}
    for _ in range(100):
        for has_valley in notes:
            losses = [
                1.0
                - has_valley * 0.8 / (1.0 + (0.01 / rate) ** 1.5)
                + has_valley * 30.0 * rate**2
                + 0.2 * random.normal()
                for rate in sweep_rates(1e-5, 1.0, 40)
            ]
            notes[has_valley].append(swept(losses).note)
    assert not any(notes[True])
    told = [note for note in notes[False] if note]
    assert len(told) >= 50
    assert sum(NOISE in note for note in told) >= 35
    assert sum(START in note for note in told) >= 25
