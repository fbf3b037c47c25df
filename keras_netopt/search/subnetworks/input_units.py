"""The features of a model's inputs as units."""

import numpy as np

from keras_netopt.graph.model_graph import graph_inputs, is_graph_model
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.coupled_axis import IN

INPUTS = "inputs"


def find_input_groups(graph: ChannelGraph) -> np.ndarray:
    """Returns the channel groups of all inputs, in order.

    Raises:
        ValueError: If an input has other axes than samples and features, or
            units of a layer are coupled to a feature.
    """
    inputs = graph_inputs(graph.model) if is_graph_model(graph.model) else ()
    if not inputs:
        raise ValueError(
            "Argument `mask_inputs` must be False for a subclassed model. "
            "Received: mask_inputs=True"
        )
    found = []
    for tensor in inputs:
        if len(tensor.shape) != 2 or not tensor.shape[1]:
            raise ValueError(
                "Argument `mask_inputs` must be False for a model whose inputs "
                "have other axes than (samples, features): flatten the data "
                "before the model. Received: mask_inputs=True, an input of "
                f"shape {tuple(tensor.shape)}"
            )
        ids = graph.channels(tensor, 1)
        # A layer that is not traced has asked for no units.
        found.append(ids[ids < len(graph.group_of)])
    groups = np.unique(graph.group_of[np.concatenate(found)])
    made = [graph.units(key) for key in graph.producers]
    read = [
        graph.group_of[axis.ids]
        for axis in graph.coupled_axes
        if axis.role == IN
    ]
    if (
        not len(groups)
        or np.isin(groups, _flat(made)).any()
        or not np.isin(groups, _flat(read)).all()
    ):
        raise ValueError(
            "Argument `mask_inputs` must be False for a model that adds its "
            "inputs to the outputs of a layer, or whose first layers cannot "
            "be traced. Received: mask_inputs=True"
        )
    return groups


def _flat(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, int), *parts])
