"""Self-paced learning: sample weights as a function of the current loss."""

from dataclasses import dataclass

import numpy as np

from keras_netopt.checks import (
    check_above,
    check_choice,
    check_number,
    check_positive,
)
from keras_netopt.curriculum.ordering import Ordering
from keras_netopt.serialization import export_class

WEIGHTINGS = ("hard", "linear", "log", "mixture", "polynomial")
MAX_AGE = 1.0 - 1e-6
# Smaller weights are set to 0.
MIN_WEIGHT = 1e-6
MIN_AGE = 1e-100  # Keeps the age above 0 if all losses are 0.


def self_paced_weights(
    losses: np.ndarray,
    age: float,
    weighting: str = "hard",
    *,
    inner_age: float | None = None,
    power: float = 2.0,
) -> np.ndarray:
    """Returns the sample weights that minimise a self-paced objective.

    Example:

    >>> import numpy as np
    >>> losses = np.array([0.0, 0.5, 1.0, 2.0])
    >>> self_paced_weights(losses, 1.0)
    array([1., 1., 0., 0.])
    >>> self_paced_weights(losses, 1.0, "linear")
    array([1. , 0.5, 0. , 0. ])
    >>> self_paced_weights(losses, 2.0, "mixture", inner_age=0.5)
    array([1.        , 1.        , 0.33333333, 0.        ])

    Args:
        losses: Loss of each sample, at least 0, of shape `(samples,)`.
        age: Age parameter: samples of this loss or more have weight 0. Above
            0; below 1 for "log".
        weighting: "hard" (1 below the age), "linear", "log", "mixture" (1 up
            to `inner_age`, then decreasing) or "polynomial". Defaults to
            `"hard"`.
        inner_age: For "mixture": samples of this loss or less have weight 1,
            in (0, `age`). Defaults to `None`: half the age.
        power: For "polynomial": the exponent of a weight is
            1 / (`power` - 1). Above 1; 2 is "linear". Defaults to `2.0`.

    Returns:
        Float64 weights in [0, 1].

    Raises:
        ValueError: If a value is out of range.

    Reference:
        Kumar et al., 2010, "Self-paced learning for latent variable models"
        (hard); Jiang et al., 2014, "Easy samples first" (linear, log,
        mixture; lambda_1 = `age`, lambda_2 = `inner_age`).
    """
    check_choice(weighting, "weighting", WEIGHTINGS)
    check_positive(age, "age")
    losses = np.asarray(losses, "float64")
    below = losses < age
    inside = np.where(below, losses, age)
    if weighting == "hard":
        return below.astype("float64")
    if weighting == "linear":
        return 1.0 - inside / age
    if weighting == "log":
        return _log(losses, age, below)
    if weighting == "mixture":
        return _mixture(
            losses, age, 0.5 * age if inner_age is None else inner_age
        )
    check_above(power, "power", 1.0, "1")
    return (1.0 - inside / age) ** (1.0 / (power - 1.0))


def _log(losses: np.ndarray, age: float, below: np.ndarray) -> np.ndarray:
    if age >= 1.0:
        raise ValueError(
            'Argument `age` must be below 1 for weighting="log": divide the '
            f"losses by their maximum. Received: age={age!r}"
        )
    zeta = 1.0 - age
    inside = np.where(below, losses, 0.0)
    return np.where(below, np.log(inside + zeta) / np.log(zeta), 0.0)


def _mixture(losses: np.ndarray, age: float, inner_age: float) -> np.ndarray:
    if not 0.0 < inner_age < age:
        raise ValueError(
            "Argument `inner_age` must be between 0 and `age`. "
            f"Received: inner_age={inner_age!r}, age={age!r}"
        )
    zeta = age * inner_age / (age - inner_age)
    between = np.clip(losses, inner_age, age)
    return zeta * (1.0 / between - 1.0 / age)


@export_class
@dataclass(frozen=True)
class SelfPaced(Ordering):
    """Self-paced learning: weights by current loss, `ordering=SelfPaced()`.

    By default the age parameter is the quantile of the current losses given
    by the pacing function. Samples of weight 0 are in no batch. With the
    default pacing all samples are active in the end. A pacing that ends below
    1 never trains on the hardest samples at the end: in the benchmarks this
    helped with wrong labels and cost 7 to 12 points of accuracy on clean
    labels.

    Example:

    >>> import numpy as np
    >>> scores = np.array([0.1, 0.2, 0.3, 0.4])
    >>> SelfPaced("hard").weights(scores, fraction=0.5, epoch=0)
    array([1., 1., 0., 0.])

    Args:
        weighting: "hard", "linear", "log", "mixture" or "polynomial", see
            `self_paced_weights`. Defaults to `"hard"`.
        initial_age: Age parameter of the first epoch, a loss above 0; it is
            multiplied by `age_growth` after each epoch and the pacing is not
            used. Defaults to `None`: the age is a quantile of the losses, at
            the value of the pacing function.
        age_growth: Factor of the age per epoch, above 1; papers use 1.1 to
            1.3. Defaults to `1.2`.
        inner_age_ratio: For "mixture": `inner_age` divided by the age, in
            (0, 1). Defaults to `0.5`.
        power: For "polynomial", above 1. Defaults to `2.0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Reference:
        Kumar et al., 2010; Jiang et al., 2014 (lambda = the age).
    """

    weighting: str = "hard"
    initial_age: float | None = None
    age_growth: float = 1.2
    inner_age_ratio: float = 0.5
    power: float = 2.0

    def __post_init__(self) -> None:
        check_choice(self.weighting, "weighting", WEIGHTINGS)
        if self.initial_age is not None:
            check_positive(self.initial_age, "initial_age")
        check_above(self.age_growth, "age_growth", 1.0, "1")
        ratio = self.inner_age_ratio
        if not 0.0 < check_number(ratio, "inner_age_ratio") < 1.0:
            raise ValueError(
                "Argument `inner_age_ratio` must be in (0, 1). "
                f"Received: inner_age_ratio={ratio!r}"
            )
        check_above(self.power, "power", 1.0, "1")

    def weights(
        self, scores: np.ndarray, fraction: float, epoch: int
    ) -> np.ndarray:
        """Returns a weight in [0, 1] per sample."""
        losses = scores - min(0.0, float(scores.min()))
        age = max(self.age(losses, fraction, epoch), MIN_AGE)
        if self.weighting == "log":
            tiny = float(np.finfo("float64").tiny)
            largest = max(float(losses.max()), tiny)
            losses = losses / largest
            age = float(np.clip(age / largest, 1 - MAX_AGE, MAX_AGE))
        found = self_paced_weights(
            losses,
            age,
            self.weighting,
            inner_age=self.inner_age_ratio * age,
            power=self.power,
        )
        found[found < MIN_WEIGHT] = 0.0
        # Equal losses give equal weights.
        return found if found.any() else np.ones_like(found)

    def age(self, losses: np.ndarray, fraction: float, epoch: int) -> float:
        """Returns the age parameter of an epoch.

        Args:
            losses: Loss of each sample, at least 0.
            fraction: Share of the samples with losses below the age.
            epoch: Number of the epoch, from 0.
        """
        if self.initial_age is not None:
            return self.initial_age * self.age_growth**epoch
        count = min(max(int(np.ceil(fraction * len(losses))), 1), len(losses))
        last = np.partition(losses, count - 1)[count - 1]
        return float(np.nextafter(last, np.inf))
