"""The data on which architectures of a supernet are ranked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layers import walk_layers
from keras_netopt.search.bilevel_data import BilevelData
from keras_netopt.training.batches import iterate_batches
from keras_netopt.training.bilevel_optimizer import TRAIN, VALIDATION

CALIBRATED = 256  # Samples for the statistics of batch normalization.


@dataclass(frozen=True)
class SearchData:
    """Data of a `fit` call, as far as they are known.

    Args:
        bilevel: The data of `search.dataset`, if `fit` trains on them.
        validation: Inputs, targets and sample weights or `None`, or `None`
            instead of all.
        training: Some training inputs as arrays, batches that are read again,
            or `None`.
        batch_size: Samples per training step.
        given: What `fit` got as `validation_data`, for messages.
    """

    bilevel: BilevelData | None = None
    validation: tuple[Any, Any, Any] | None = None
    training: Any = None
    batch_size: int = 32
    given: str = "validation_data=None"

    @classmethod
    def find(
        cls, arguments: Mapping[str, Any], validation_data: Any
    ) -> "SearchData":
        """Reads the arguments of `fit`; `validation_data` is preferred."""
        x = arguments.get("x")
        bilevel = x if isinstance(x, BilevelData) else None
        own = arguments.get("validation_data")
        validation = _as_arrays(validation_data)
        if validation is None and bilevel is not None:
            validation = bilevel.half(VALIDATION)
        if validation is None:
            validation = _as_arrays(own)
        inputs = bilevel.half(TRAIN)[0] if bilevel is not None else x
        if _is_arrays(inputs):
            inputs = _take(inputs)
        elif not _is_batches(inputs):
            inputs = None
        size = bilevel.size if bilevel else arguments.get("batch_size")
        given = "validation_data=None"
        if own is not None:
            given = f"validation_data of type {type(own).__name__}"
        return cls(bilevel, validation, inputs, int(size or 32), given)

    def calibration(self) -> Any:
        """Returns inputs for the statistics of batch normalization.

        They are those of training; of batches, the first ones. It is called
        after the training, whose order of batches it must not change.
        """
        if self.training is None:
            return (
                None if self.validation is None else _take(self.validation[0])
            )
        if _is_arrays(self.training):
            return self.training
        found = iterate_batches(self.training, samples=CALIBRATED)
        parts = [x for x, _, _ in found]
        joined = keras.tree.map_structure(
            lambda *leaves: np.concatenate(leaves), *parts
        )
        return keras.tree.map_structure(lambda a: a[:CALIBRATED], joined)


def check_validation_data(value: Any) -> None:
    """Refuses what is no tuple of inputs, targets and weights."""
    if value is not None and _as_arrays(value) is None:
        raise TypeError(
            "Argument `validation_data` must be a tuple (x, y) of arrays. "
            f"Received: validation_data of type {type(value).__name__}"
        )


def has_batch_norm(model: keras.Model) -> bool:
    """Whether statistics are computed anew for each network."""
    norm = keras.layers.BatchNormalization
    return any(isinstance(one, norm) for one in walk_layers(model))


def _as_arrays(value: Any) -> tuple[Any, Any, Any] | None:
    if not isinstance(value, list | tuple) or not 2 <= len(value) <= 3:
        return None
    weight = value[2] if len(value) == 3 else None
    given = tuple(one for one in value if one is not None)
    return (value[0], value[1], weight) if _is_arrays(given) else None


def _is_batches(value: Any) -> bool:
    """Whether batches can be read without taking them from the training."""
    if isinstance(value, keras.utils.PyDataset):
        return True
    return hasattr(value, "__iter__") and not hasattr(value, "__next__")


def _is_arrays(value: Any) -> bool:
    leaves = keras.tree.flatten(value)
    return bool(leaves) and all(
        hasattr(leaf, "shape") and hasattr(leaf, "__getitem__")
        for leaf in leaves
    )


def _take(inputs: Any) -> Any:
    """Takes evenly spaced samples, so that sorted data are covered."""
    count = len(keras.tree.flatten(inputs)[0])
    rows = np.linspace(0, count - 1, min(count, CALIBRATED)).astype(int)
    return keras.tree.map_structure(lambda a: np.asarray(a)[rows], inputs)
