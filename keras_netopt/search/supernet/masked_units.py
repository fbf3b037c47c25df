"""Units of a plain model that elastic layers have masked."""

from collections.abc import Collection, Mapping

import keras
import numpy as np

from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.edits.apply_plan import apply_plan
from keras_netopt.surgery.edits.edit_plan import EditPlan


def kept_groups(
    graph: ChannelGraph,
    widths: Mapping[int, int],
    absent: Collection[int] = (),
) -> np.ndarray:
    """Returns which channel groups of a model are left, a boolean array.

    A group is removed if every layer that makes it masks it, nothing protects
    it and no normalization computes over it: the outputs do not change.

    Args:
        graph: The graph of a model in which masked units are zero.
        widths: The number of units that are not masked, by `id(layer)`.
            Other layers mask none.
        absent: `id(layer)` of layers that the model does not run. Defaults to
            none.
    """
    kept: np.ndarray = np.zeros(graph.group_count, bool)
    made: np.ndarray = np.zeros(graph.group_count, bool)
    for key in graph.producers:
        layer = key[0] if isinstance(key, tuple) else key
        units = graph.group_of[graph.producers[key]]
        made[units] = True
        if id(layer) not in absent:
            kept[units[: widths.get(id(layer), len(units))]] = True
    kept[~made] = True
    kept[[*graph.protected, *graph.normalized_by]] = True
    return kept


def cut_masked_units(
    model: keras.Model, widths: Mapping[int, int]
) -> keras.Model:
    """Returns a model without the masked units of another.

    Args:
        model: A plain model, which changes.
        widths: As in `kept_groups`.

    Returns:
        A new model with weights of its own and no trace of the edit.
    """
    graph = ChannelGraph(model)
    kept = kept_groups(graph, widths)
    if kept.all():
        return model
    apply_plan(model, graph, EditPlan(graph, kept.astype("int64")))
    small = keras.models.clone_model(model)
    small.set_weights(model.get_weights())
    return small
