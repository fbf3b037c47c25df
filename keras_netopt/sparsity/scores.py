"""Importance scores of single weights: the lowest are pruned first."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import keras
import numpy as np
from keras import ops

from keras_netopt.checks import takes_one_argument
from keras_netopt.sparsity.selection import WeightTarget

Needs = Literal["gradients", "activations"] | None


@dataclass(frozen=True)
class RandomState:
    """Seed and update number, from which random scores are repeatable.

    Args:
        seed: The `seed` argument. Defaults to `0`.
        update: Number of the mask update. Defaults to `0`.
    """

    seed: int = 0
    update: int = 0

    def generator(self, key: str) -> np.random.Generator:
        """Creates the generator for one weight, the same in every process.

        Args:
            key: Key of the weight.

        Returns:
            A NumPy generator.
        """
        name = zlib.crc32(key.encode())
        return np.random.default_rng([self.seed, name, self.update])


@dataclass(frozen=True)
class Score:
    """Base class of importance scores.

    A subclass overrides `compute`. If it needs gradients, it also overrides
    `accumulate`, which runs inside the training step.
    """

    name: ClassVar[str]
    needs: ClassVar[Needs] = None
    resets: ClassVar[bool] = True
    """Whether the accumulated statistic restarts at each mask update."""
    within_outputs: ClassVar[bool] = False
    """Whether weights are compared within each output unit only."""

    def compute(
        self,
        weight: np.ndarray,
        target: WeightTarget,
        statistic: Any,
        random_state: RandomState,
    ) -> np.ndarray:
        """Scores every weight of one target.

        Args:
            weight: The weight, as float.
            target: The target.
            statistic: The accumulated array if `needs` is "gradients"; the
                norms of the inputs, of shape `(fan_in, 1)` or
                `(fan_in, fan_out)`, if it is "activations"; else `None`.
            random_state: Seed and number of the update.

        Returns:
            Scores in the shape of the weight.
        """
        raise NotImplementedError

    def reason_to_skip(self, target: WeightTarget) -> str | None:
        """Returns why a target cannot be scored, `None` if it can.

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

    def compute(
        self,
        weight: np.ndarray,
        target: WeightTarget,
        statistic: Any,
        random_state: RandomState,
    ) -> np.ndarray:
        """Returns |w|."""
        return np.abs(weight)


@dataclass(frozen=True)
class Random(Score):
    """Random numbers, new at each update: the control arm of experiments."""

    name = "random"

    def compute(
        self,
        weight: np.ndarray,
        target: WeightTarget,
        statistic: Any,
        random_state: RandomState,
    ) -> np.ndarray:
        """Returns numbers in [0, 1), the same for the same seed and key."""
        drawn = random_state.generator(target.key).random(
            weight.shape, np.float32
        )
        return np.asarray(drawn)


@dataclass(frozen=True)
class Taylor(Score):
    """|w * g| summed since the last update: first-order Taylor expansion.

    Molchanov et al. 2016, arXiv 1611.06440. The sum gives the same ranking as
    the mean.
    """

    name = "taylor"
    needs = "gradients"

    def compute(
        self,
        weight: np.ndarray,
        target: WeightTarget,
        statistic: Any,
        random_state: RandomState,
    ) -> np.ndarray:
        """Returns the accumulated statistic."""
        return np.asarray(statistic)

    def accumulate(self, slot: Any, weight: Any, gradient: Any) -> Any:
        """Adds |w * g|."""
        return ops.add(slot, ops.abs(ops.multiply(weight, gradient)))


@dataclass(frozen=True)
class Movement(Score):
    """-g * w summed over all steps: weights that move away from zero are kept.

    Sanh et al. 2020, arXiv 2005.07683.
    """

    name = "movement"
    needs = "gradients"
    resets = False

    def compute(
        self,
        weight: np.ndarray,
        target: WeightTarget,
        statistic: Any,
        random_state: RandomState,
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

    def compute(
        self,
        weight: np.ndarray,
        target: WeightTarget,
        statistic: Any,
        random_state: RandomState,
    ) -> np.ndarray:
        """Returns |w| * ||x||."""
        view = target.view
        return view.from_2d(np.abs(view.to_2d(weight)) * statistic)

    def reason_to_skip(self, target: WeightTarget) -> str | None:
        """Skips weights whose layer input cannot be observed."""
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
    """A user-defined score.

    Args:
        function: A `callable(variable) -> array` of the variable's shape.
    """

    function: Callable[[keras.Variable], Any]

    name = "custom"

    def compute(
        self,
        weight: np.ndarray,
        target: WeightTarget,
        statistic: Any,
        random_state: RandomState,
    ) -> np.ndarray:
        """Calls the function and checks the shape of its result."""
        scores = np.asarray(
            ops.convert_to_numpy(self.function(target.variable))
        )
        if scores.shape != weight.shape:
            raise ValueError(
                f"Argument `score` must return an array of shape "
                f"{weight.shape} for `{target.key}`. "
                f"Received: shape={scores.shape}"
            )
        return scores


SCORES: dict[str, type[Score]] = {
    score.name: score for score in (Magnitude, Random, Taylor, Movement, Wanda)
}


def resolve_score(score: Any) -> Score:
    """Returns the `Score` for a name, a `Score` or a callable.

    Example:

    >>> resolve_score("magnitude").name
    'magnitude'
    >>> resolve_score(lambda variable: variable ** 2).name
    'custom'

    Args:
        score: A name, a `Score`, or a `callable(variable) -> array`.

    Returns:
        The score.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(score, Score):
        return score
    if isinstance(score, str) and score in SCORES:
        return SCORES[score]()
    if takes_one_argument(score):
        return Custom(score)
    names = ", ".join(repr(name) for name in SCORES)
    raise ValueError(
        f"Argument `score` must be one of {names}, or a callable(variable). "
        f"Received: score={score!r}"
    )
