"""Self-paced weights: how much a sample of a given loss counts."""

from dataclasses import dataclass

import numpy as np

from keras_netopt.checks import (
    check_choice,
    check_number,
    check_positive,
)
from keras_netopt.curriculum.ordering import Ordering
from keras_netopt.serialization import export_class

KINDS = ("hard", "linear", "log", "mixture", "polynomial")
LARGEST_AGE = 1.0 - 1e-6
# Below it a sample is not worth a place in a batch.
NEGLIGIBLE = 1e-6
SMALLEST_AGE = 1e-100  # Losses of 0 have an age too.


def self_paced_weights(
    losses: np.ndarray,
    age: float,
    kind: str = "hard",
    *,
    inner: float | None = None,
    power: float = 2.0,
) -> np.ndarray:
    """Returns the weights that minimise a self-paced objective.

    Example:

    >>> import numpy as np
    >>> losses = np.array([0.0, 0.5, 1.0, 2.0])
    >>> self_paced_weights(losses, 1.0)
    array([1., 1., 0., 0.])
    >>> self_paced_weights(losses, 1.0, "linear")
    array([1. , 0.5, 0. , 0. ])
    >>> self_paced_weights(losses, 2.0, "mixture", inner=0.5)
    array([1.        , 1.        , 0.33333333, 0.        ])

    Args:
        losses: Loss of each sample, at least 0.
        age: Loss from which on a sample counts nothing, above 0; below 1 for
            "log".
        kind: "hard" (1 below the age), "linear", "log", "mixture" (1 up to
            `inner`, then falling) or "polynomial". Defaults to `"hard"`.
        inner: For "mixture": loss up to which a sample counts fully, in
            (0, `age`). Defaults to `None`: half the age.
        power: For "polynomial": q above 1; 2 is "linear". Defaults to `2.0`.

    Returns:
        Float64 weights in [0, 1].

    Raises:
        ValueError: If a value is out of range.

    Reference:
        Kumar et al., 2010, "Self-paced learning for latent variable models"
        (hard); Jiang et al., 2014, "Easy samples first" (linear, log,
        mixture; lambda_1 = `age`, lambda_2 = `inner`).
    """
    check_choice(kind, "kind", KINDS)
    check_positive(age, "age")
    losses = np.asarray(losses, "float64")
    below = losses < age
    inside = np.where(below, losses, age)
    if kind == "hard":
        return below.astype("float64")
    if kind == "linear":
        return 1.0 - inside / age
    if kind == "log":
        return _log(losses, age, below)
    if kind == "mixture":
        return _mixture(losses, age, 0.5 * age if inner is None else inner)
    _check_power(power)
    return (1.0 - inside / age) ** (1.0 / (power - 1.0))


def _log(losses: np.ndarray, age: float, below: np.ndarray) -> np.ndarray:
    if age >= 1.0:
        raise ValueError(
            'Argument `age` must be below 1 for kind="log": divide the losses '
            f"by their maximum. Received: age={age!r}"
        )
    zeta = 1.0 - age
    inside = np.where(below, losses, 0.0)
    return np.where(below, np.log(inside + zeta) / np.log(zeta), 0.0)


def _mixture(losses: np.ndarray, age: float, inner: float) -> np.ndarray:
    if not 0.0 < inner < age:
        raise ValueError(
            "Argument `inner` must lie between 0 and `age`. "
            f"Received: inner={inner!r}, age={age!r}"
        )
    zeta = age * inner / (age - inner)
    between = np.clip(losses, inner, age)
    return zeta * (1.0 / between - 1.0 / age)


def _check_power(power: float) -> None:
    if check_number(power, "power") <= 1.0:
        raise ValueError(
            f"Argument `power` must be above 1. Received: power={power!r}"
        )


@export_class
@dataclass(frozen=True)
class SelfPaced(Ordering):
    """Weights samples by their current loss: `ordering=SelfPaced("hard")`.

    The pacing gives the share of samples below the age; samples of weight 0
    are not drawn. With the default pacing all samples are in play in the end.
    A pacing that ends below 1 drops the hardest for good: it gained most with
    wrong labels and cost 5 to 10 points on clean ones.

    Example:

    >>> import numpy as np
    >>> scores = np.array([0.1, 0.2, 0.3, 0.4])
    >>> SelfPaced("hard").weights(scores, share=0.5, epoch=0)
    array([1., 1., 0., 0.])

    Args:
        kind: "hard", "linear", "log", "mixture" or "polynomial". Defaults to
            `"hard"`.
        initial_age: Loss from which on a sample counts nothing in the first
            epoch, above 0; it then grows by `growth` an epoch and the pacing
            is not used. Defaults to `None`: the age is the loss at the share
            that the pacing gives.
        growth: Factor of the age from epoch to epoch, above 1; papers use
            1.1 to 1.3. Defaults to `1.2`.
        inner: For "mixture": share of the age up to which samples count
            fully, in (0, 1). Defaults to `0.5`.
        power: For "polynomial": q above 1. Defaults to `2.0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Reference:
        Kumar et al., 2010; Jiang et al., 2014 (lambda = the age).
    """

    kind: str = "hard"
    initial_age: float | None = None
    growth: float = 1.2
    inner: float = 0.5
    power: float = 2.0

    def __post_init__(self) -> None:
        check_choice(self.kind, "kind", KINDS)
        if self.initial_age is not None:
            check_positive(self.initial_age, "initial_age")
        for name, low, high in (("growth", 1.0, np.inf), ("inner", 0.0, 1.0)):
            value = getattr(self, name)
            if not low < check_number(value, name) < high:
                bounds = (
                    f"in ({low:g}, {high:g})"
                    if high < np.inf
                    else (f"above {low:g}")
                )
                raise ValueError(
                    f"Argument `{name}` must be {bounds}. "
                    f"Received: {name}={value!r}"
                )
        _check_power(self.power)

    def weights(
        self, scores: np.ndarray, share: float, epoch: int
    ) -> np.ndarray:
        """Returns a weight in [0, 1] for each sample."""
        losses = scores - min(0.0, float(scores.min()))
        age = max(self.age(losses, share, epoch), SMALLEST_AGE)
        if self.kind == "log":
            tiny = float(np.finfo("float64").tiny)
            largest = max(float(losses.max()), tiny)
            losses = losses / largest
            age = float(np.clip(age / largest, 1 - LARGEST_AGE, LARGEST_AGE))
        found = self_paced_weights(
            losses, age, self.kind, inner=self.inner * age, power=self.power
        )
        found[found < NEGLIGIBLE] = 0.0
        # Losses that are all alike say nothing about whom to prefer.
        return found if found.any() else np.ones_like(found)

    def age(self, losses: np.ndarray, share: float, epoch: int) -> float:
        """Returns the loss from which on a sample counts nothing.

        Args:
            losses: Loss of each sample, at least 0.
            share: Share of the samples that shall be below it.
            epoch: Number of the epoch, from 0.
        """
        if self.initial_age is not None:
            return self.initial_age * self.growth**epoch
        count = min(max(int(np.ceil(share * len(losses))), 1), len(losses))
        last = np.partition(losses, count - 1)[count - 1]
        return float(np.nextafter(last, np.inf))
