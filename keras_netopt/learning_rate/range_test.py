"""The arithmetic of a learning rate range test, on plain numbers."""

import math
from collections.abc import Sequence

import numpy as np

WARM_UP = 10


def sweep_rates(min_lr: float, max_lr: float, steps: int) -> list[float]:
    """Returns learning rates that grow by the same factor at every step.

    Example:

    >>> sweep_rates(1e-3, 10.0, 5)
    [0.001, 0.01, 0.1, 1.0, 10.0]

    Args:
        min_lr: The first rate, above 0.
        max_lr: The last rate, above `min_lr`.
        steps: How many, at least 2.

    Returns:
        One rate a step.
    """
    exponents = [i / (steps - 1) for i in range(steps)]
    return [min_lr * (max_lr / min_lr) ** share for share in exponents]


class RangeTest:
    """Gathers the loss at every learning rate and reads the result.

    Example:

    >>> test = RangeTest(smoothing=0.0)
    >>> rates = [0.01, 0.1, 1.0, 10.0]
    >>> [test.add(r, loss) for r, loss in zip(rates, [1.0, 0.5, 0.2, 9.0])]
    [False, False, False, False]
    >>> test.suggestion
    0.1
    >>> test.add(100.0, float("nan"))
    True

    Args:
        smoothing: Share that the running mean of the losses keeps at a step,
            in [0, 1). Defaults to `0.9`.
        stop_factor: The test is over where the smoothed loss is above this
            many times its lowest value. Defaults to `4.0`.
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
        """Takes the loss of one batch.

        Args:
            rate: The learning rate at which the batch was trained.
            loss: Its loss before that step.

        Returns:
            Whether the loss has diverged: it is not finite, or above
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
        """Takes up what another test has seen.

        Args:
            rates: Its `rates`.
            losses: Its `losses`.
        """
        for rate, loss in zip(rates, losses, strict=True):
            self.add(rate, loss)

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate with the lowest smoothed loss, or `None`.

        `None` where the loss only rose.
        """
        lowest = self._lowest()
        return None if lowest is None else self.rates[lowest] / 10.0

    @property
    def steepest(self) -> float | None:
        """The rate at which the smoothed loss falls fastest, or `None`.

        The slope is taken over a twentieth of the steps to either side.
        """
        lowest = self._lowest()
        if lowest is None:
            return None
        half = max(1, len(self.rates) // 20)
        first = half + (WARM_UP if lowest > 2 * (WARM_UP + half) else 0)
        last = min(lowest, len(self._finite()) - 1 - half)
        slopes = {i: self._slope(i, half) for i in range(first, last + 1)}
        if not slopes:
            return self.rates[lowest]
        return self.rates[min(slopes, key=lambda i: slopes[i])]

    def _finite(self) -> list[float]:
        """The smoothed losses up to the first that is not finite."""
        bad = np.flatnonzero(~np.isfinite(self.smoothed))
        return self.smoothed[: bad[0]] if len(bad) else self.smoothed

    def _lowest(self) -> int | None:
        """The step of the lowest smoothed loss, or `None` if it only rose.

        The first step does not count: it is the loss of one batch, which may
        be an easy one.
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
