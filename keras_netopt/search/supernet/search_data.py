"""The data on which architectures of a supernet are ranked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.search.bilevel_data import BilevelData
from keras_netopt.training.bilevel_optimizer import TRAIN, VALIDATION

CALIBRATED = 256  # Samples for the statistics of batch normalization.


@dataclass(frozen=True)
class SearchData:
    """Data of a `fit` call, as far as they are known.

    Args:
        bilevel: The data of `search.dataset`, if `fit` trains on them.
        validation: Inputs and targets, or `None`.
        calibration: Training inputs, or `None`.
        batch_size: Samples per training step.
    """

    bilevel: BilevelData | None
    validation: tuple[Any, Any] | None
    calibration: Any
    batch_size: int

    @classmethod
    def find(
        cls, arguments: Mapping[str, Any], validation_data: Any
    ) -> "SearchData":
        """Reads the arguments of `fit`; `validation_data` is preferred."""
        x = arguments.get("x")
        bilevel = x if isinstance(x, BilevelData) else None
        validation = _as_pair(validation_data)
        if validation is None and bilevel is not None:
            validation = bilevel.half(VALIDATION)
        if validation is None:
            validation = _as_pair(arguments.get("validation_data"))
        inputs = bilevel.half(TRAIN)[0] if bilevel is not None else x
        if not _is_arrays(inputs):
            inputs = None if validation is None else validation[0]
        size = bilevel.size if bilevel else arguments.get("batch_size")
        return cls(bilevel, validation, _take(inputs), int(size or 32))


def check_validation_data(value: Any) -> None:
    """Refuses what is no pair of inputs and targets."""
    if value is not None and _as_pair(value) is None:
        raise TypeError(
            "Argument `validation_data` must be a tuple (x, y) of arrays. "
            f"Received: validation_data of type {type(value).__name__}"
        )


def _as_pair(value: Any) -> tuple[Any, Any] | None:
    if not isinstance(value, list | tuple) or not 2 <= len(value) <= 3:
        return None
    return (value[0], value[1]) if _is_arrays(tuple(value[:2])) else None


def _is_arrays(value: Any) -> bool:
    leaves = keras.tree.flatten(value)
    return bool(leaves) and all(
        hasattr(leaf, "shape") and hasattr(leaf, "__getitem__")
        for leaf in leaves
    )


def _take(inputs: Any) -> Any:
    """Takes evenly spaced samples, so that sorted data are covered."""
    if inputs is None:
        return None
    count = len(keras.tree.flatten(inputs)[0])
    rows = np.linspace(0, count - 1, min(count, CALIBRATED)).astype(int)
    return keras.tree.map_structure(lambda a: np.asarray(a)[rows], inputs)
