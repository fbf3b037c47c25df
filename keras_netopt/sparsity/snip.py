"""SNIP: connection sensitivity before training."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.serialization import export_class
from keras_netopt.sparsity.loss_saliency import CalibrationLoss, read_masked
from keras_netopt.sparsity.model_score import (
    Masks,
    Measure,
    ModelScore,
)
from keras_netopt.sparsity.selection import WeightTarget
from keras_netopt.training.double_precision import no_half_precision
from keras_netopt.training.normalization_modes import batch_statistics


@export_class
@dataclass(frozen=True)
class Snip(ModelScore):
    """Absolute value of weight times gradient before training (SNIP).

    The gradient is that of the compiled loss, the mean over the calibration
    samples. Batch normalization uses the batch; dropout is off. Short form:
    `score="snip"`.

    Example:

    >>> Snip(rounds=30).name
    'snip'

    Args:
        samples_per_class: Samples of each class that are used if the
            calibration data are arrays `(x, y)` with one class per sample;
            all data otherwise, or if `None`. Defaults to `25`.
        rounds: Rounds in which the sparsity grows; each measures the gradient
            with the masks of the last one. Defaults to `1`.

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If one is below 1.

    Reference:
        Lee et al., 2019, https://arxiv.org/abs/1810.02340; several rounds:
        de Jorge et al., 2021, https://arxiv.org/abs/2006.09081.
    """

    samples_per_class: int | None = 25
    rounds: int = 1

    name: ClassVar[str] = "snip"

    def __post_init__(self) -> None:
        if self.samples_per_class is not None:
            check_integer(
                self.samples_per_class, "samples_per_class", minimum=1
            )
        check_integer(self.rounds, "rounds", minimum=1)

    @property
    def data_form(self) -> str:
        """Inputs and targets."""
        return "(x, y)"

    @contextlib.contextmanager
    def open(
        self, model: keras.Model, targets: Sequence[WeightTarget], data: Any
    ) -> Iterator[Measure]:
        """Prepares the loss; see the base class."""
        variables = [target.variable for target in targets]
        with no_half_precision(model), batch_statistics(model):
            loss = CalibrationLoss.create(
                model,
                variables,
                data,
                samples_per_class=self.samples_per_class,
            )

            def measure(masks: Masks) -> list[np.ndarray]:
                weights = read_masked(variables, masks)
                return [
                    np.abs(weight * gradient)
                    for weight, gradient in zip(
                        weights, loss.gradient(weights), strict=True
                    )
                ]

            yield measure
