"""When a fit begins to train activation ranges."""

from typing import Any

import keras

from keras_netopt.points import Point, RunLength, check_point, resolve_point
from keras_netopt.quantization.placement import check_graph
from keras_netopt.quantization.ranges import ActivationRanges

# Share of the fit. Ranges from the start of an untrained model lag behind.
DEFAULT_BEGIN = 0.8


class RangeSchedule:
    """Attaches the activation ranges of a model at a point of the fit.

    Args:
        activations: `False`: never; `True`: at 80 % of the fit; or a point.
    """

    def __init__(self, activations: bool | Point) -> None:
        if not isinstance(activations, bool):
            check_point(activations, "activations")
        self.is_on = activations is not False
        self._point = DEFAULT_BEGIN if activations is True else activations
        self.begin = 0

    def prepare(self, model: keras.Model, run: RunLength) -> None:
        """Checks a model and the point before the first step.

        Raises:
            ValueError: If the model takes no ranges, or the point is after
                the end of the fit.
        """
        if self.is_on:
            if ActivationRanges.of(model) is None:
                check_graph(model)
            self.begin = resolve_point(self._point, run, "activations")

    def advance(self, model: keras.Model, step: int) -> bool:
        """Attaches the ranges if it is time; returns whether they are on."""
        if not self.is_on:
            return False
        if step >= self.begin:
            ActivationRanges.attach(model)
        return ActivationRanges.of(model) is not None

    def restore(self, model: keras.Model, values: Any) -> None:
        """Sets the ranges that a checkpoint holds."""
        ActivationRanges.attach(model).load_state(values)
