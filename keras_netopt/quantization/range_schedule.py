"""When a fit begins to train activation ranges."""

from typing import Any

import keras

from keras_netopt.points import (
    Point,
    RunLength,
    check_point,
    resolve_point,
)
from keras_netopt.quantization.placement import check_graph
from keras_netopt.quantization.ranges import ActivationRanges
from keras_netopt.training.checkpoint_state import Arrays

# Share of the fit. Ranges of an untrained model lag behind its activations.
DEFAULT_BEGIN = 0.8


class RangeSchedule:
    """Attaches activation ranges to a model at a point of a fit.

    Args:
        activations: `False`: never; `True`: at 80 % of the fit; or a point.

    Raises:
        TypeError: If `activations` is of another type.
        ValueError: If the point is out of range.
    """

    def __init__(self, activations: Any) -> None:
        if not isinstance(activations, bool):
            check_point(activations, "activations")
        self.is_on = activations is not False
        self._point: Point = activations
        self._is_attached = False
        self.begin = 0

    def prepare(self, model: keras.Model, run: RunLength) -> None:
        """Checks a model, and computes the first step with ranges.

        Raises:
            ValueError: If the model takes no ranges, or the point is after
                the end of the fit.
        """
        self._is_attached = ActivationRanges.of(model) is not None
        if self.is_on and not self._is_attached:
            check_graph(model)
        self.set_length(run)

    def set_length(self, run: RunLength) -> None:
        """Computes the first step with ranges, as far as it is known."""
        if not self.is_on:
            return
        if self._point is not True:
            self.begin = resolve_point(self._point, run, "activations")
        elif run.total is None:
            self.begin = resolve_point(DEFAULT_BEGIN, run, "activations")
        else:  # The shortest fit has a step with ranges.
            self.begin = int(DEFAULT_BEGIN * run.total)

    def is_due(self, step: int) -> bool:
        """Whether ranges must be attached now."""
        return self.is_on and not self._is_attached and step >= self.begin

    def attach(self, model: keras.Model) -> None:
        """Attaches the ranges; the next batch sets them."""
        ActivationRanges.attach(model)
        self._is_attached = True

    def rewind(self, model: keras.Model) -> None:
        """Removes ranges that were attached after a checkpoint was saved."""
        ranges = ActivationRanges.of(model)
        if self.is_on and ranges is not None:
            ranges.detach()
            self._is_attached = False

    def load(self, model: keras.Model, arrays: Arrays) -> None:
        """Attaches the ranges of a checkpoint."""
        self.attach(model)
        ranges: Any = ActivationRanges.of(model)
        ranges.load_state(arrays)

    def finish(self, model: keras.Model) -> bool:
        """Removes ranges that no batch has set; returns whether none are on."""
        ranges = ActivationRanges.of(model)
        if not self.is_on or (ranges is not None and ranges.are_set):
            return False
        if ranges is not None:
            ranges.detach()
            self._is_attached = False
        return True

    @property
    def is_complete(self) -> bool:
        """Whether the model has its ranges, if it gets any."""
        return self._is_attached or not self.is_on
