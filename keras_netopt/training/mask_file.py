"""File format of masks: by position of the weight, one bit per entry."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layers import variable_keys


def variables_by_name(
    model: keras.Model, names: Iterable[str]
) -> dict[str, Any]:
    """Finds the weights of masks in a file, by key (see `variable_keys`).

    `names` are those of the arrays that `MaskStore.save_state` returns.
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
    """Converts the bits of a file to the boolean mask of a weight.

    `bits` holds eight entries per byte, as `numpy.packbits` returns them.
    """
    shape = tuple(variable.shape)
    size = int(np.prod(shape))
    if bits.size != (size + 7) // 8:
        raise ValueError(
            f"The mask of `{variable.path}` in the file has another size than "
            f"the weight. Received: shape={shape}, bytes={bits.size}"
        )
    return np.unpackbits(bits, count=size).astype(bool).reshape(shape)


def check_masks(model: keras.Model, state: Mapping[str, np.ndarray]) -> None:
    """Raises ValueError unless the masks of a file fit the model."""
    for name, bits in state.items():
        if name.startswith("m:"):
            unpack_mask(bits, *variables_by_name(model, [name]).values())
