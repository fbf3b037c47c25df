"""Handlers: how each layer type couples its channels.

`register` adds a handler for a custom layer.
"""

from keras_netopt.surgery.graph.coupled_axis import UnsupportedLayer
from keras_netopt.surgery.handlers import (  # noqa: F401
    applications,
    attention,
    convolution,
    dense,
    depthwise,
    elementwise,
    merging,
    nested,
    normalization,
    pooling,
    recurrent,
    reshaping,
    shape_ops,
    wrappers,
)
from keras_netopt.surgery.handlers.registry import (
    Handler,
    find_handler,
    register,
)

__all__ = ["Handler", "UnsupportedLayer", "find_handler", "register"]
