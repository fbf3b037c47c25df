"""Tells what hangs on a layer."""

from typing import Any

import keras

from keras_netopt.surgery.graph.channel_graph import ChannelGraph
from keras_netopt.surgery.graph.groups import Group


def explain(model: keras.Model, layer: Any, kind: str = "") -> Group:
    """Lists every weight that has to change with the units of a layer.

    Look here before an edit: a residual stream, a depthwise convolution or a
    concatenation ties layers together that stand far apart.

    Example:

    >>> import keras
    >>> from keras_netopt import surgery
    >>> model = keras.Sequential([
    ...     keras.Input((4,)),
    ...     keras.layers.Dense(3, name="hidden"),
    ...     keras.layers.Dense(2, name="out"),
    ... ])
    >>> print(surgery.explain(model, "hidden"))
    hidden: 3 units, 3 classes
    layer    variable   axis   role
    hidden   kernel        1   out
    hidden   bias          0   out
    out      kernel        0   in

    Args:
        model: A built Functional or Sequential model.
        layer: A layer, its name, or its path in nested models.
        kind: Which units, where a layer has several kinds: attention has
            heads (`""`), `"key_size"` and `"value_size"`. Defaults to `""`.

    Returns:
        The group, one row a coupled axis of a variable with its role: `out`
        makes the units, `in` reads them, `pass` stands on the way; and the
        reasons against a change. `print` it.

    Raises:
        TypeError: If `model` is not a `keras.Model`.
        ValueError: If the model has no graph, or no such layer or units.
    """
    return ChannelGraph(model).explain(layer, kind)
