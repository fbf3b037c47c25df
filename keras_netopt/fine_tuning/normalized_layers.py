"""Finds the weight normalization of a model.

The class is imported by `keras_netopt.layers`, not by the modules here.
"""

from typing import Any

import keras

from keras_netopt.graph.check_model import check_model
from keras_netopt.graph.layers import walk_layers

REGISTERED_NAME = "keras_netopt>WeightNormalization"


def normalization_class() -> Any:
    """Returns the class `layers.WeightNormalization`."""
    return keras.saving.get_registered_object(REGISTERED_NAME)


def find_normalized(model: keras.Model) -> list[Any]:
    """Lists the `WeightNormalization` layers of a built model.

    Raises ValueError if there is none.
    """
    check_model(model)
    kind = normalization_class()
    found = [one for one in walk_layers(model) if isinstance(one, kind)]
    if not found:
        raise ValueError(
            "Argument `model` must have a `WeightNormalization` layer. "
            f"Received: model=<{type(model).__name__} name={model.name}>"
        )
    return found


def plain_weights(model: keras.Model) -> list[keras.Variable]:
    """Lists the weights of a model without each g, in its order."""
    kind = normalization_class()
    lengths = {
        id(g)
        for layer in walk_layers(model)
        if isinstance(layer, kind)
        for _, g, _ in layer.normalized_kernels()
    }
    return [v for v in model.weights if id(v) not in lengths]
