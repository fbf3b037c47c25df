"""Importance scores of single weights: the lowest are pruned first."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import keras
import numpy as np
from keras import ops

from keras_netopt.sparsity.kernel_view import CONVOLUTIONS, TRANSPOSED
from keras_netopt.sparsity.selection import WeightTarget

Needs = Literal["gradients", "activations", "model"] | None


@dataclass(frozen=True, eq=False)
class ScoreInputs:
    """The inputs from which one weight is scored.

    Args:
        weight: The values, as float.
        target: The target.
        statistic: The accumulated array if the score needs "gradients"; the
            norms of the inputs, of shape `(fan_in, 1)` or
            `(fan_in, fan_out)`, if it needs "activations"; the measured
            scores if it needs the "model"; else `None`.
        rng: A generator of random numbers, the same in every process.
    """

    weight: np.ndarray
    target: WeightTarget
    statistic: Any
    rng: np.random.Generator


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
    repeats: ClassVar[bool] = False
    """Whether `compute` is quick and gives the same scores in each call."""

    @property
    def data_form(self) -> str | None:
        """The form of the calibration data, `None` if none are necessary."""
        forms = {"gradients": "(x, y)", "activations": "x"}
        return None if self.needs is None else forms.get(self.needs)

    def compute(self, inputs: ScoreInputs) -> np.ndarray:
        """Returns the scores in the shape of the weight."""
        raise NotImplementedError

    def reason_to_skip(self, target: WeightTarget) -> str | None:
        """Returns why a target cannot be scored, `None` if it can."""
        return None

    def accumulate(self, slot: Any, weight: Any, gradient: Any) -> Any:
        """Updates the statistic with the gradient of one step, in `keras.ops`.

        `slot` is zero at the start, `weight` the value before the step; the
        gradient includes masked positions.
        """
        raise NotImplementedError


class Magnitude(Score):
    """The absolute value of the weight (Han et al. 2015, arXiv 1506.02626)."""

    name = "magnitude"
    repeats = True

    def compute(self, inputs: ScoreInputs) -> np.ndarray:
        """Returns |w|."""
        return np.abs(inputs.weight)


class Random(Score):
    """Random numbers, new at each update: the control arm of experiments."""

    name = "random"
    repeats = True

    def compute(self, inputs: ScoreInputs) -> np.ndarray:
        """Returns numbers in [0, 1), the same for the same seed and key."""
        return inputs.rng.random(inputs.weight.shape, np.float32)


class _GradientScore(Score):
    """Base class of scores that are accumulated from gradients."""

    needs = "gradients"
    repeats = True

    def compute(self, inputs: ScoreInputs) -> np.ndarray:
        """Returns the accumulated statistic."""
        return np.asarray(inputs.statistic)


class Taylor(_GradientScore):
    """|w * g| summed since the last update: first-order Taylor expansion.

    Molchanov et al. 2016, arXiv 1611.06440. The sum gives the same ranking as
    the mean.
    """

    name = "taylor"

    def accumulate(self, slot: Any, weight: Any, gradient: Any) -> Any:
        """Adds |w * g|."""
        return ops.add(slot, ops.abs(ops.multiply(weight, gradient)))


class Movement(_GradientScore):
    """-g * w summed over all steps: weights that move away from zero are kept.

    Sanh et al. 2020, arXiv 2005.07683.
    """

    name = "movement"
    resets = False

    def accumulate(self, slot: Any, weight: Any, gradient: Any) -> Any:
        """Subtracts g * w."""
        return ops.subtract(slot, ops.multiply(gradient, weight))


class Wanda(Score):
    """|w| times the norm of its input, compared within each output unit.

    Sun et al. 2023, arXiv 2306.11695.
    """

    name = "wanda"
    needs = "activations"
    within_outputs = True

    def compute(self, inputs: ScoreInputs) -> np.ndarray:
        """Returns |w| * ||x||."""
        view = inputs.target.view
        matrix = np.abs(view.to_2d(inputs.weight))
        return view.from_2d(matrix * inputs.statistic)

    def reason_to_skip(self, target: WeightTarget) -> str | None:
        """Skips weights whose layer input cannot be observed."""
        known = (
            keras.layers.Dense,
            keras.layers.EinsumDense,
            *CONVOLUTIONS,
            *TRANSPOSED,
        )
        if isinstance(target.layer, known) and target.variable.name == "kernel":
            return None
        return "no calibration activations reach this weight"


@dataclass(frozen=True)
class Custom(Score):
    """A user-defined score: a `callable(variable) -> array` of equal shape."""

    function: Callable[[keras.Variable], Any]

    name = "custom"

    def compute(self, inputs: ScoreInputs) -> np.ndarray:
        """Calls the function and checks the shape of its result."""
        target, shape = inputs.target, inputs.weight.shape
        scores = np.asarray(
            ops.convert_to_numpy(self.function(target.variable))
        )
        if scores.shape != shape:
            raise ValueError(
                f"Argument `score` must return an array of shape "
                f"{shape} for `{target.key}`. "
                f"Received: shape={scores.shape}"
            )
        return scores
