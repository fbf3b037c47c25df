"""Splits activations from layers that `BatchNormalization` follows."""

from typing import Any

import keras

from keras_netopt.tf_keras_bridge.activation_twins import find_activation
from keras_netopt.tf_keras_bridge.flat_call import (
    FlatCall,
    FlatGraph,
    find_consumers,
)
from keras_netopt.tf_keras_bridge.layer_config import Crossing


def find_splits(graph: FlatGraph) -> dict[int, Any]:
    """Returns the calls whose activation becomes a layer, by `id` of the layer.

    They are of layers with a kernel and an activation, and a
    `BatchNormalization` takes their output.
    """
    return {
        id(call.operation): call
        for call in graph.calls
        if _is_activated(call.operation)
        and any(
            isinstance(one.operation, keras.layers.BatchNormalization)
            for one in find_consumers(graph, call.outputs[0])
        )
    }


def make_activation(call: FlatCall, name: str, crossing: Crossing) -> Any:
    """Returns the layer of tf_keras with the activation of a layer."""
    import tf_keras

    function = find_activation(call.operation.activation, crossing.twins)
    crossing.rewrites.append(
        f"{name}: its activation before BatchNormalization is the layer "
        f"{name}_activation"
    )
    return tf_keras.layers.Activation(function, name=f"{name}_activation")


def _is_activated(layer: Any) -> bool:
    function = getattr(layer, "activation", None)
    has_kernel = hasattr(layer, "kernel") or hasattr(layer, "pointwise_kernel")
    return has_kernel and function not in (None, keras.activations.linear)
