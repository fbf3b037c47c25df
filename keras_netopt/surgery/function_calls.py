"""Traces functions of one tensor, such as activations."""

from collections.abc import Callable
from typing import Any

import keras

from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.recorded_calls import trace_back
from keras_netopt.graph.symbolic import preserve_names


def list_function_calls(
    function: Callable[[Any], Any],
) -> list[GraphNode] | None:
    """Lists the calls of a function that keeps the shape of a tensor.

    Returns `None` for another function, and for one that cannot be traced.

    Example:

    >>> calls = list_function_calls(lambda x: x * keras.ops.sigmoid(x))
    >>> [type(call.operation).__name__ for call in calls]
    ['Sigmoid', 'Multiply']
    """
    with preserve_names():
        tensor = keras.Input(batch_shape=(2, 3, 5))
        try:
            output = function(tensor)
        # The code of a user's function may raise any error.
        except Exception:
            return None
        is_tensor = isinstance(output, keras.KerasTensor)
        if not is_tensor or output.shape != tensor.shape:
            return None
        return trace_back([output], {id(tensor)})
