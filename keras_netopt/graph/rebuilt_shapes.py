"""Builds a layer from its config without creating weights.

Private Keras name used here (tested on Keras 3.15): the list of uninitialized
variables in `keras.src.backend.common.global_state`.
"""

import random
from typing import Any

import keras
from keras.src.backend.common import global_state

from keras_netopt.graph.build_layer import build_layer
from keras_netopt.graph.symbolic import preserve_layer_history

_PENDING = "uninitialized_variables"


def rebuilt_shapes(layer: Any) -> list[tuple[int, ...]]:
    """Returns the shapes of the weights that a layer's config describes.

    The weights are declared, not initialized. May raise any error of the
    layer's code.
    """
    copy = declare_copy(layer, layer.get_config())
    return [tuple(variable.shape) for variable in copy.variables]


def declare_copy(layer: Any, config: dict[str, Any]) -> Any:
    """Returns a layer of a config whose weights have no values.

    They have shapes and initializers. May raise any error of the layer's
    code.
    """
    pending = list(global_state.get_global_attribute(_PENDING) or [])
    # Keras takes the seeds of unseeded initializers from Python's generator.
    numbers = random.getstate()
    with (
        preserve_layer_history(layer),
        keras.StatelessScope(initialize_variables=False),
    ):
        try:
            return rebuild_layer(layer, config)
        finally:
            random.setstate(numbers)
            global_state.set_global_attribute(_PENDING, pending)


def rebuild_layer(layer: Any, config: dict[str, Any]) -> Any:
    """Returns a layer of a config, built as another layer, with new values.

    May raise any error of the layer's code.
    """
    copy = type(layer).from_config(config)
    build_layer(copy, layer.get_build_config())
    return copy
