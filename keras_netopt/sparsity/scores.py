"""How much each weight is worth: the larger the score, the longer it stays."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import keras
import numpy as np
from keras import ops

from keras_netopt.sparsity.selection import WeightTarget

Needs = Literal["gradients", "activations"] | None


@dataclass(frozen=True)
class RandomState:
    """What makes random numbers repeatable: the seed and the update's number.

    Args:
        seed: The user's seed. Defaults to `0`.
        update: Number of the mask update. Defaults to `0`.
    """

    seed: int = 0
    update: int = 0

    def generator(self, key: str) -> np.random.Generator:
        """Creates the generator of one weight, the same in every process.

        Args:
            key: Key of the weight.

        Returns:
            A numpy generator.
        """
        name = zlib.crc32(key.encode())
        return np.random.default_rng([self.seed, name, self.update])


@dataclass(frozen=True)
class Score:
    """Base of the scores.

    A new score overrides `of`. One that needs gradients also overrides
    `accumulate`, which runs inside the training step.
    """

    name: ClassVar[str]
    needs: ClassVar[Needs] = None
    resets: ClassVar[bool] = True
    """Whether the accumulated statistic restarts at each mask update."""
    within_outputs: ClassVar[bool] = False
    """Whether weights are compared within each output unit only."""

    def of(
        self,
        weight: np.ndarray,
        target: WeightTarget,
        statistic: Any,
        draw: RandomState,
    ) -> np.ndarray:
        """Scores every weight of one target.

        Args:
            weight: The weight, as float.
            target: Where it belongs.
            statistic: What `needs` stands for: the accumulated array, or the
                norms of the inputs as a matrix that fits the target's view.
            draw: Source of randomness.

        Returns:
            Scores in the shape of the weight.
        """
        raise NotImplementedError

    def reason_to_skip(self, target: WeightTarget) -> str | None:
        """Says why a target cannot be scored, `None` if it can.

        Args:
            target: The target.

        Returns:
            The reason in a few words, or `None`.
        """
        return None

    def accumulate(self, slot: Any, weight: Any, gradient: Any) -> Any:
        """Updates the statistic with one step's gradient, in `keras.ops`.

        Args:
            slot: The statistic so far, zero at the start.
            weight: The weight before the step.
            gradient: Gradient of the loss, also at masked positions.

        Returns:
            The new statistic.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Magnitude(Score):
    """The absolute value of the weight (Han et al. 2015, arXiv 1506.02626)."""

    name = "magnitude"

    def of(
        self,
        weight: np.ndarray,
        target: WeightTarget,
        statistic: Any,
        draw: RandomState,
    ) -> np.ndarray:
        """Returns |w|."""
        return np.abs(weight)


@dataclass(frozen=True)
class Random(Score):
    """A number drawn anew at each update: the control that any score beats."""

    name = "random"

    def of(
        self,
        weight: np.ndarray,
        target: WeightTarget,
        statistic: Any,
        draw: RandomState,
    ) -> np.ndarray:
        """Returns numbers in [0, 1), the same for the same seed and key."""
        drawn = draw.generator(target.key).random(weight.shape, np.float32)
        return np.asarray(drawn)


@dataclass(frozen=True)
class Saliency(Score):
    """|w * g| summed since the last update: first-order Taylor expansion.

    Molchanov et al. 2016, arXiv 1611.06440. The sum ranks as the mean does.
    """

    name = "saliency"
    needs = "gradients"

    def of(
        self,
        weight: np.ndarray,
        target: WeightTarget,
        statistic: Any,
        draw: RandomState,
    ) -> np.ndarray:
        """Returns the accumulated statistic."""
        return np.asarray(statistic)

    def accumulate(self, slot: Any, weight: Any, gradient: Any) -> Any:
        """Adds |w * g|."""
        return ops.add(slot, ops.abs(ops.multiply(weight, gradient)))


@dataclass(frozen=True)
class Movement(Score):
    """-g * w summed over all steps: weights that move away from zero stay.

    Sanh et al. 2020, arXiv 2005.07683.
    """

    name = "movement"
    needs = "gradients"
    resets = False

    def of(
        self,
        weight: np.ndarray,
        target: WeightTarget,
        statistic: Any,
        draw: RandomState,
    ) -> np.ndarray:
        """Returns the accumulated statistic."""
        return np.asarray(statistic)

    def accumulate(self, slot: Any, weight: Any, gradient: Any) -> Any:
        """Subtracts g * w."""
        return ops.subtract(slot, ops.multiply(gradient, weight))


@dataclass(frozen=True)
class Wanda(Score):
    """|w| times the norm of its input, compared within each output unit.

    Sun et al. 2023, arXiv 2306.11695.
    """

    name = "wanda"
    needs = "activations"
    within_outputs = True

    def of(
        self,
        weight: np.ndarray,
        target: WeightTarget,
        statistic: Any,
        draw: RandomState,
    ) -> np.ndarray:
        """Returns |w| * ||x||."""
        view = target.view
        return view.from_2d(np.abs(view.to_2d(weight)) * statistic)

    def reason_to_skip(self, target: WeightTarget) -> str | None:
        """Skips weights whose input no layer call shows."""
        known = (
            keras.layers.Dense,
            keras.layers.EinsumDense,
            keras.layers.Conv1D,
            keras.layers.Conv2D,
            keras.layers.Conv3D,
            keras.layers.Conv1DTranspose,
            keras.layers.Conv2DTranspose,
            keras.layers.Conv3DTranspose,
        )
        if isinstance(target.layer, known) and target.variable.name == "kernel":
            return None
        return "no calibration activations reach this weight"


@dataclass(frozen=True)
class Custom(Score):
    """A score of the user's own: `function(weight, target) -> array`.

    Args:
        function: Gets the weight as an array and the `WeightTarget`, returns
            the scores in the weight's shape.
    """

    function: Callable[[np.ndarray, WeightTarget], np.ndarray]

    name = "custom"

    def of(
        self,
        weight: np.ndarray,
        target: WeightTarget,
        statistic: Any,
        draw: RandomState,
    ) -> np.ndarray:
        """Calls the user's function and checks what it returns."""
        scores = np.asarray(self.function(weight, target))
        if scores.shape != weight.shape:
            raise ValueError(
                f"Argument `score` must return an array of shape "
                f"{weight.shape} for `{target.key}`. "
                f"Received: shape={scores.shape}"
            )
        return scores


SCORES: dict[str, type[Score]] = {
    score.name: score
    for score in (Magnitude, Random, Saliency, Movement, Wanda)
}


def get(score: Any) -> Score:
    """Turns the name of a score, a score or a function into a score.

    Example:

    >>> get("magnitude").name
    'magnitude'
    >>> get(lambda weight, target: weight ** 2).name
    'custom'

    Args:
        score: A name, a `Score`, or a `callable(weight, target) -> array`.

    Returns:
        The score.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(score, Score):
        return score
    if isinstance(score, str) and score in SCORES:
        return SCORES[score]()
    if callable(score) and not isinstance(score, type):
        return Custom(score)
    names = ", ".join(repr(name) for name in SCORES)
    raise ValueError(
        f"Argument `score` must be one of {names}, or a "
        f"callable(weight, target). Received: score={score!r}"
    )
