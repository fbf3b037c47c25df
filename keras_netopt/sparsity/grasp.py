"""GraSP: gradient signal preservation before training."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from keras_netopt.checks import check_integer, check_positive
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
class Grasp(ModelScore):
    """Effect of a weight on the norm of the gradient (GraSP).

    The score is `w * (H g)` with gradient `g` and Hessian `H` of the compiled
    loss before training: weights whose removal would reduce the norm of the
    gradient most are kept. Batch normalization uses the batch; dropout is
    off. Short form: `score="grasp"`.

    Example:

    >>> Grasp(temperature=1.0).name
    'grasp'

    Args:
        temperature: Divisor of the outputs that the compiled loss reads as
            logits (`from_logits=True`); other outputs are not divided.
            Defaults to `200.0`.
        samples_per_class: Samples of each class that are used if the
            calibration data are arrays `(x, y)` with one class per sample;
            all data otherwise, or if `None`. Defaults to `25`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of range.

    Reference:
        Wang et al., 2020, https://arxiv.org/abs/2002.07376 (its S is the
        negative of this score, and the largest S are pruned).
    """

    temperature: float = 200.0
    samples_per_class: int | None = 25

    name: ClassVar[str] = "grasp"

    def __post_init__(self) -> None:
        check_positive(self.temperature, "temperature")
        if self.samples_per_class is not None:
            check_integer(
                self.samples_per_class, "samples_per_class", minimum=1
            )

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
                temperature=float(self.temperature),
            )

            def measure(masks: Masks) -> list[np.ndarray]:
                weights = read_masked(variables, masks)
                gradient = loss.gradient(weights)
                products = loss.hessian_product(weights, gradient)
                return [
                    weight * product
                    for weight, product in zip(weights, products, strict=True)
                ]

            yield measure
