"""Differences between two arms that share their seeds."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt.report import Report

# Quantiles of Student's t for two-sided 95 %, from 1 degree of freedom.
T95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)


@dataclass(frozen=True)
class PairedDifference(Report):
    """The difference between an arm and the baseline, paired by seed.

    Args:
        name: Name of the arm.
        mean: Mean difference in the last epoch.
        low: Lower end of the 95 % confidence interval, `None` for one seed.
        high: Upper end of the interval, `None` for one seed.
    """

    name: str
    mean: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.mean:+.4f}"
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def paired_difference(name: str, mine: Any, base: Any) -> PairedDifference:
    """Returns the mean of paired differences and its confidence interval.

    `mine` and `base`, those of the baseline, hold one value per seed.

    Example:

    >>> print(paired_difference("easy", [0.8, 0.9, 0.9], [0.7, 0.8, 0.7]))
    +0.1333 [-0.0101, +0.2768]
    """
    gaps = np.asarray(mine, "float64") - np.asarray(base, "float64")
    mean, count = float(gaps.mean()), len(gaps)
    if count < 2:
        return PairedDifference(name, mean, None, None)
    factor = T95[count - 2] if count - 2 < len(T95) else 1.96
    half = factor * float(gaps.std(ddof=1)) / math.sqrt(count)
    return PairedDifference(name, mean, mean - half, mean + half)


def format_spread(values: Any) -> str:
    """Returns the mean and standard deviation of a few values as text.

    Example:

    >>> format_spread([0.7, 0.9]), format_spread([0.7])
    ('0.8000 ± 0.1414', '0.7000')
    """
    array = np.asarray(values, "float64")
    if len(array) < 2:
        return f"{array[0]:.4f}"
    return f"{array.mean():.4f} ± {array.std(ddof=1):.4f}"
