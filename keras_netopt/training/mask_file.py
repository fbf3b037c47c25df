"""File format of masks: by position of the weight, one bit per entry."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_netopt.training.layers import variable_keys


def variables_by_name(
    model: keras.Model, names: Iterable[str]
) -> dict[str, Any]:
    """Finds the weights of masks in a file.

    Args:
        model: The model that the masks are for.
        names: Names of arrays as `MaskStore.save_state` gives them.

    Returns:
        Variables by key, see `variable_keys`.

    Raises:
        ValueError: If the model has fewer weights than the saved one.
    """
    keys, weights = variable_keys(model), model.weights
    found = {}
    for name in names:
        index = int(name[2:])
        if index >= len(weights):
            raise ValueError(
                f"The masks in the file belong to a model of more than "
                f"{index} weights. Received: model={model.name!r} with "
                f"{len(weights)} weights"
            )
        found[keys[id(weights[index])]] = weights[index]
    return found


def unpack_mask(bits: np.ndarray, variable: Any) -> np.ndarray:
    """Converts the bits of a file to the mask of a weight.

    Args:
        bits: Eight entries per byte, as `numpy.packbits` returns them.
        variable: The weight.

    Returns:
        Boolean array in the weight's shape.

    Raises:
        ValueError: If the weight has another size.
    """
    shape = tuple(variable.shape)
    size = int(np.prod(shape))
    if bits.size != (size + 7) // 8:
        raise ValueError(
            f"The mask of `{variable.path}` in the file has another size than "
            f"the weight. Received: shape={shape}, bytes={bits.size}"
        )
    return np.unpackbits(bits, count=size).astype(bool).reshape(shape)
