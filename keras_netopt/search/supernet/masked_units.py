"""Units of a plain model that elastic layers have masked."""

from collections.abc import Collection, Mapping, Sequence

import keras
import numpy as np

from keras_netopt.graph.plain_graph import is_plain_graph
from keras_netopt.search.supernet.zero_units import check_zeros
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
    model: keras.Model,
    widths: Mapping[int, int],
    parts: Sequence[Sequence[keras.Layer]],
) -> keras.Model:
    """Returns a model without the masked units of another.

    Args:
        model: A plain model, which changes.
        widths: As in `kept_groups`.
        parts: The layers of each elastic layer, in call order.

    Returns:
        A new model with weights of its own and no trace of the edit; the same
        model if its graph is no list of layers.

    Raises:
        ValueError: If a layer turns zeros into other values.
    """
    graph = ChannelGraph(model)
    kept = kept_groups(graph, widths)
    check_zeros(graph, kept, widths, parts)
    if not kept.all():
        apply_plan(model, graph, EditPlan(graph, kept.astype("int64")))
    if not is_plain_graph(model):
        return model
    small = keras.models.clone_model(model)
    small.set_weights(model.get_weights())
    return small
