"""The learning rate range test on plain numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_netopt.report import Report
from keras_netopt.tables import render

WARM_UP = 10


@dataclass(frozen=True)
class LearningRateReport(Report):
    """The result of a learning rate range test.

    Example:

    >>> print(LearningRateReport(0.1, 0.05, [0.01, 1.0], [2, 1], [2, 1]))
    Learning rate range test
    ┏━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
    ┃            ┃ learning rate ┃
    ┡━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
    │ suggestion │           0.1 │
    │ steepest   │          0.05 │
    │ first      │          0.01 │
    │ last       │             1 │
    └────────────┴───────────────┘

    Args:
        suggestion: A tenth of the rate with the lowest smoothed loss, at
            least the first rate; `None` where the loss only rose.
        steepest: The rate at which the smoothed loss falls fastest, or
            `None`.
        learning_rate: The rates of the sweep, one per batch.
        loss: The loss of each batch.
        smoothed_loss: The bias-corrected running mean of the losses.
    """

    suggestion: float | None
    steepest: float | None
    learning_rate: Sequence[float]
    loss: Sequence[float]
    smoothed_loss: Sequence[float]

    def __str__(self) -> str:
        rows = {
            "suggestion": self.suggestion,
            "steepest": self.steepest,
            "first": self.learning_rate[0],
            "last": self.learning_rate[-1],
        }
        return render(
            ["", "learning rate"],
            list(rows.items()),
            title="Learning rate range test",
        )


def sweep_rates(
    min_learning_rate: float, max_learning_rate: float, steps: int
) -> list[float]:
    """Returns `steps` learning rates that grow by the same factor.

    The first is `min_learning_rate`, above 0, the last `max_learning_rate`.
    """
    ratio = max_learning_rate / min_learning_rate
    exponents = [i / (steps - 1) for i in range(steps)]
    return [min_learning_rate * ratio**exponent for exponent in exponents]


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

        At least the first rate; `None` where the loss only rose.
        """
        lowest = self._lowest()
        if lowest is None:
            return None
        return max(self.rates[lowest] / 10.0, self.rates[0])

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
