"""Lists every weight coupled to a layer's units."""

from typing import Any

import keras

from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.channels.coupling_report import CouplingReport


def explain(model: keras.Model, layer: Any, kind: str = "") -> CouplingReport:
    """Lists every weight that is coupled to the units of a layer.

    Residual connections, depthwise convolutions and concatenations couple the
    channels of distant layers, which can only be edited together.

    Example:

    >>> import keras
    >>> from keras_netopt import surgery
    >>> model = keras.Sequential([
    ...     keras.Input((4,)),
    ...     keras.layers.Dense(3, name="hidden"),
    ...     keras.layers.Dense(2, name="out"),
    ... ])
    >>> print(surgery.explain(model, "hidden"))
    hidden: 3 units, 3 groups
    layer    variable   axis   role
    hidden   kernel        1   out
    hidden   bias          0   out
    out      kernel        0   in

    Args:
        model: A built Functional or Sequential model.
        layer: The layer: its name, its path in nested models
            ("encoder/conv") or the layer object.
        kind: Kind of units, for layers with several kinds: attention has
            heads (`""`), `"key_size"` and `"value_size"`. Defaults to `""`.

    Returns:
        One row per coupled axis of a variable with its role: `out` for the
        axis that makes the units, `in` for an axis that takes them as input,
        `pass` for one parameter per unit (normalization, depthwise kernel);
        and the reasons against an edit. `print` it.

    Raises:
        TypeError: If `model` is not a `keras.Model`.
        ValueError: If the model has no graph, or no such layer or units.
    """
    return ChannelGraph(model).explain(layer, kind)
