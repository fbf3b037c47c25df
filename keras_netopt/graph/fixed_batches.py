"""Batch sizes that the code of a model fixes."""

from typing import Any

import keras

from keras_netopt.graph.model_graph import has_graph
from keras_netopt.graph.recorded_calls import list_calls


def fixed_batches(model: keras.Model, specs: list[Any]) -> list[int]:
    """Lists batch sizes that the code of a model may fix, such as a reshape.

    They are the sizes of first axes that the inputs leave free.
    """
    is_free = any(
        not one.shape or one.shape[0] is None
        for one in keras.tree.flatten(specs)
    )
    if not is_free or not has_graph(model):
        return []
    sizes = {
        tensor.shape[0]
        for node in list_calls(model)
        for tensor in node.outputs
        if tensor.shape and tensor.shape[0] not in (None, 1)
    }
    return sorted(sizes)[:8]
