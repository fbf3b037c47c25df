"""The learning rate range test on plain numbers."""

import math
from collections.abc import Sequence

import numpy as np

WARM_UP = 10
# The median of the absolute value of a standard normal variable.
MEDIAN_DEVIATION = 0.6745
CERTAIN = 3.0  # Standard errors.


def sweep_rates(
    min_learning_rate: float, max_learning_rate: float, steps: int
) -> list[float]:
    """Returns `steps` learning rates that grow by the same factor.

    The first is `min_learning_rate`, above 0, the last `max_learning_rate`.
    """
    ratio = max_learning_rate / min_learning_rate
    exponents = [i / (steps - 1) for i in range(steps)]
    rates = [min_learning_rate * ratio**exponent for exponent in exponents]
    return [min(rate, max_learning_rate) for rate in rates]  # Rounded up.


def smoothed_noise(losses: Sequence[float], smoothing: float) -> float:
    """Returns the standard deviation of a bias-corrected running mean.

    That of one loss is estimated from the differences of successive losses:
    their median absolute value / (0.6745 * sqrt(2)), which neither a slow
    trend nor a few outliers change much. A mean of n independent losses has
    its sqrt(sum w^2), where w are the weights of the mean:
    sum w^2 = (1 - b) (1 + b^n) / ((1 + b) (1 - b^n)) with b = `smoothing`.

    Example:

    >>> losses = [1.0, 3.0] * 50
    >>> round(smoothed_noise(losses, smoothing=0.0), 3)
    2.097
    >>> round(smoothed_noise(losses, smoothing=0.9), 3)
    0.481

    Args:
        losses: At least two losses.
        smoothing: Decay of the running mean, in [0, 1).
    """
    typical = float(np.median(np.abs(np.diff(losses))))
    decayed = smoothing ** len(losses)
    weights = (1.0 - smoothing) * (1.0 + decayed)
    weights /= (1.0 + smoothing) * (1.0 - decayed)
    return typical / (MEDIAN_DEVIATION * math.sqrt(2.0)) * math.sqrt(weights)


class RangeTest:
    """Collects the loss at every learning rate and evaluates the test.

    Args:
        smoothing: Decay of the running mean of the losses, in [0, 1).
            Defaults to `0.9`.
        stop_factor: The test ends once the smoothed loss exceeds this
            multiple of its lowest value. Defaults to `4.0`.
    """

    def __init__(
        self, smoothing: float = 0.9, stop_factor: float = 4.0
    ) -> None:
        self.smoothing, self.stop_factor = smoothing, stop_factor
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self._mean = 0.0

    def add(self, rate: float, loss: float) -> bool:
        """Adds the loss of one batch, before the step at that learning rate.

        Returns whether the loss has diverged: it is not finite, or above
        `stop_factor` times its lowest after the first 10 steps.
        """
        beta = self.smoothing
        self._mean = beta * self._mean + (1.0 - beta) * loss
        self.rates.append(rate)
        self.losses.append(loss)
        self.smoothed.append(self._mean / (1.0 - beta ** len(self.rates)))
        if not math.isfinite(self.smoothed[-1]):
            return True
        lowest = min(self.smoothed)
        late = len(self.rates) > WARM_UP
        return late and self.smoothed[-1] > self.stop_factor * lowest

    def replay(self, rates: Sequence[float], losses: Sequence[float]) -> None:
        """Adds the losses of an earlier part of the test."""
        for rate, loss in zip(rates, losses, strict=True):
            self.add(rate, loss)

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate with the lowest smoothed loss, or `None`.

        `None` where the loss never falls, and where a tenth lies below the
        first rate.
        """
        lowest = self._lowest()
        if lowest is None:
            return None
        tenth, first = self.rates[lowest] / 10.0, self.rates[0]
        # A tenth of ten times the first rate may be rounded down.
        return max(tenth, first) if tenth > first * (1.0 - 1e-9) else None

    @property
    def fall(self) -> float | None:
        """How far the smoothed loss falls to its lowest value, or `None`.

        From its highest value before, without the first 10 steps where more
        than twice as many lead to the lowest: the mean of few losses is noisy.
        """
        lowest = self._lowest()
        if lowest is None:
            return None
        before = self.smoothed[self._warm_up(lowest, 0) : lowest]
        return max(before) - self.smoothed[lowest]

    @property
    def noise(self) -> float | None:
        """The standard deviation of the lowest smoothed loss, or `None`."""
        lowest = self._lowest()
        if lowest is None:
            return None
        return smoothed_noise(self.losses[: lowest + 1], self.smoothing)

    @property
    def note(self) -> str | None:
        """What limits the result, with the remedy, or `None`."""
        if not self.rates:
            return None
        lowest, first = self._lowest(), self.rates[0]
        if lowest is None or self.fall is None or self.noise is None:
            return (
                f"The loss falls at no rate from {first:g} to "
                f"{self.rates[-1]:g}. Lower `min_learning_rate`, and look at "
                "`plot()`."
            )
        notes = []
        if self.suggestion is None:
            best = self.rates[lowest]
            notes.append(
                f"The loss is lowest at {best:.2g}, and a tenth of that lies "
                f"below the first rate, {first:g}. Start the sweep lower, as "
                f"with `min_learning_rate={best / 100.0:.1g}`; where the "
                "minimum is noise, use more `steps` or larger batches."
            )
        if self.fall < CERTAIN * self.noise:
            notes.append(
                f"The smoothed loss falls by {self.fall:.2g}, less than three "
                f"times its noise, {self.noise:.2g}, so the minimum may be "
                "chance: use more `steps` or larger batches."
            )
        return " ".join(notes) or None

    @property
    def steepest(self) -> float | None:
        """The rate at which the smoothed loss falls fastest, or `None`.

        The slope is taken over a twentieth of the steps to either side.
        """
        lowest = self._lowest()
        if lowest is None:
            return None
        half = max(1, len(self.rates) // 20)
        first = half + self._warm_up(lowest, half)
        last = min(lowest, len(self._finite()) - 1 - half)
        slopes = {i: self._slope(i, half) for i in range(first, last + 1)}
        if not slopes:
            return self.rates[lowest]
        return self.rates[min(slopes, key=lambda i: slopes[i])]

    def _warm_up(self, lowest: int, half: int) -> int:
        """Returns how many first steps, whose mean is noisy, do not count."""
        return WARM_UP if lowest > 2 * (WARM_UP + half) else 0

    def _finite(self) -> list[float]:
        """Returns the smoothed losses before the first non-finite one."""
        bad = np.flatnonzero(~np.isfinite(self.smoothed))
        return self.smoothed[: bad[0]] if len(bad) else self.smoothed

    def _lowest(self) -> int | None:
        """Returns the step of the lowest smoothed loss, or `None` if it rose.

        The first step does not count: it is the loss of one batch, which may
        be low by chance.
        """
        finite = self._finite()
        if len(finite) < 2:
            return None
        lowest = int(np.argmin(finite[1:])) + 1
        has_fallen = finite[lowest] < max(finite[:lowest])
        has_exploded = finite[lowest] > self.stop_factor * finite[0]
        return lowest if has_fallen and not has_exploded else None

    def _slope(self, i: int, half: int) -> float:
        fall = self.smoothed[i + half] - self.smoothed[i - half]
        return fall / math.log(self.rates[i + half] / self.rates[i - half])
