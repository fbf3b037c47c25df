"""SynFlow: synaptic flow of a network, without data."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.graph.symbolic import input_specs
from keras_netopt.serialization import export_class
from keras_netopt.sparsity.model_score import (
    Masks,
    Measure,
    ModelScore,
)
from keras_netopt.sparsity.selection import WeightTarget
from keras_netopt.training.batches import iterate_batches
from keras_netopt.training.synaptic_flow import SynapticFlow, open_flow

FREE_AXIS = 32
# All weights are scaled by one of these until R fits into float64.
FACTORS = (1.0, *(0.25 ** (2**k) for k in range(7)))


@export_class
@dataclass(frozen=True)
class SynFlow(ModelScore):
    """Share of a weight in the flow through all paths of the network.

    The score is `w * dR/dw`, where R is the sum of the outputs of the network
    with absolute weights for inputs of ones, in inference mode and without
    normalization. No data are needed. The density falls exponentially over
    `rounds`, each of which measures the flow with the masks of the last one:
    this is what keeps every layer alive. Short form: `score="synflow"`.

    Example:

    >>> SynFlow().rounds
    100

    Args:
        rounds: Number of rounds, at least 1. Defaults to `100`.

    Raises:
        TypeError: If `rounds` is not an integer.
        ValueError: If it is below 1.

    Reference:
        Tanaka et al., 2020, https://arxiv.org/abs/2006.05467.
    """

    rounds: int = 100

    name: ClassVar[str] = "synflow"

    def __post_init__(self) -> None:
        check_integer(self.rounds, "rounds", minimum=1)

    @contextlib.contextmanager
    def open(
        self, model: keras.Model, targets: Sequence[WeightTarget], data: Any
    ) -> Iterator[Measure]:
        """Prepares the model; see the base class.

        Of `data` only the shapes count.
        """
        variables = [target.variable for target in targets]
        with open_flow(model, _read_inputs(model, data), variables) as run:
            factors = list(FACTORS)
            last: list[np.ndarray] = []

            def measure(masks: Masks) -> list[np.ndarray]:
                flow = run(masks, factors[0])
                while not flow.is_finite and len(factors) > 1:
                    del factors[0]
                    flow = run(masks, factors[0])
                if not last:
                    _check_response(model, flow)
                if flow.response > 0:
                    last[:] = _scores(flow)
                return list(last)  # The last ones once no path is left.

            yield measure


def _scores(flow: SynapticFlow) -> list[np.ndarray]:
    return [
        np.abs(weight * (gradient / flow.response))
        for weight, gradient in zip(flow.weights, flow.gradients, strict=True)
    ]


def _check_response(model: keras.Model, flow: SynapticFlow) -> None:
    if flow.is_finite and flow.response > 0:
        return
    raise ValueError(
        "Score 'synflow' needs a finite, positive response of the model to "
        "inputs of ones with absolute weights: no path may be cut by a factor "
        "of zero, and no layer may subtract. Choose another score. Received: "
        f"response={flow.response} of model {model.name!r}"
    )


def _read_inputs(model: keras.Model, data: Any) -> Any:
    """Returns arrays or specifications in the structure of the inputs."""
    if data is not None:
        return next(iterate_batches(data, samples=1))[0]
    specs = input_specs(model)
    return keras.tree.map_structure(_fix_axes, specs[0])


def _fix_axes(spec: Any) -> keras.KerasTensor:
    sizes = [FREE_AXIS if size is None else size for size in spec.shape[1:]]
    return keras.KerasTensor((1, *sizes), dtype=spec.dtype)
