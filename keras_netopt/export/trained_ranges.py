"""What trained activation ranges do in an export."""

import contextlib
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.cost.tflite_model import list_scales
from keras_netopt.export.converter_choice import LITERT_TORCH
from keras_netopt.quantization.placement import RangePlace
from keras_netopt.quantization.ranges import ActivationRanges
from keras_netopt.report import Report

TOLERANCE = 1e-6  # Relative, of a scale.


@dataclass(frozen=True)
class TrainedRanges(Report):
    """Whether a file has the trained activation ranges of its model.

    Example:

    >>> print(TrainedRanges(6, missing=("conv",)))
    5 of 6 tensors

    Args:
        tensors: Number of tensors with a trained range in the model.
        missing: Paths of the layers whose range is no scale of the file.
    """

    tensors: int
    missing: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """Says which ranges the converter replaced."""
        if not self.missing:
            return []
        names = ", ".join(self.missing[:5])
        return [
            f"trained ranges: {self}; the converter chose other scales for "
            f"the outputs of {names}."
        ]

    def __str__(self) -> str:
        return f"{self.tensors - len(self.missing)} of {self.tensors} tensors"


def has_trained_ranges(model: Any, quantize: str | None) -> bool:
    """Returns whether a file gets the activation ranges of a model.

    Raises ValueError if no batch has set them.
    """
    if quantize != "int8" or not isinstance(model, keras.Model):
        return False
    ranges = ActivationRanges.of(model)
    if ranges is None:
        return False
    if not ranges.are_set:
        raise ValueError(
            "The activation ranges of a model must be set by a batch of "
            f"training before its export. Received: model={model.name!r}. "
            "Train it, or remove the ranges with `quantization.remove_ranges`."
        )
    return True


def check_converter(converter: str) -> None:
    """Refuses the converter that knows no trained ranges."""
    if converter == LITERT_TORCH:
        raise ValueError(
            "Argument `converter` must be 'tensorflow' for quantize='int8' of "
            "a model with trained activation ranges. Received: "
            f"converter={converter!r}. Or remove the ranges with "
            "`quantization.remove_ranges` and pass `calibration_data`."
        )


def copy_ranges(model: keras.Model, clone: keras.Model) -> None:
    """Gives a clone of a model the ranges of the model, if it has any."""
    ranges = ActivationRanges.of(model)
    if ranges is not None:
        ActivationRanges.attach(clone).assign(ranges.values())


def use_ranges(
    model: keras.Model, quantize: str | None
) -> contextlib.ExitStack:
    """Opens the context of an export, in which the model is traced and run.

    The ranges are constants for `"int8"`; other files have other activations,
    so that the model computes without ranges.
    """
    ranges = ActivationRanges.of(model)
    if ranges is None:
        return contextlib.ExitStack()
    return ranges.frozen() if quantize == "int8" else ranges.suspended()


def active_ranges(model: Any) -> np.ndarray | None:
    """Returns the ranges with which a model is to be traced, if any."""
    ranges = ActivationRanges.of(model)
    if ranges is None or ranges.is_suspended:
        return None
    return ranges.values()


def apply_ranges(
    model: keras.Model, values: np.ndarray | None
) -> contextlib.ExitStack:
    """Gives a rebuilt model the ranges of the original, as constants."""
    if values is None:
        return contextlib.ExitStack()
    ranges = ActivationRanges.attach(model)
    ranges.assign(values)
    return ranges.frozen()


def match_ranges(model: keras.Model, path: str) -> TrainedRanges:
    """Compares the trained ranges of a model with the scales of its file.

    A range from `min` to `max` is the scale `(max - min) / 255`.
    """
    ranges: Any = ActivationRanges.of(model)
    stored = np.array([*list_scales(path, "int8"), np.inf])
    missing, least = [], ranges.least_width
    for place, (low, high) in zip(ranges.places, ranges.values(), strict=True):
        # Where training saw zeros only, any scale is right.
        scale = (float(high) - float(low)) / 255
        scale = max(scale, least / 255) if scale else 0.0
        if scale and np.abs(stored - scale).min() > TOLERANCE * scale:
            missing.append(_describe(place))
    return TrainedRanges(len(ranges.places), tuple(missing))


def _describe(place: RangePlace) -> str:
    return f"input {place.index}" if place.kind == "input" else place.path
