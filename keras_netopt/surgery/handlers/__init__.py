"""One small handler a layer family: what it does with its channels.

`register` opens the table for layers of your own.
"""

from keras_netopt.surgery.graph.units import Unsupported
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
    ops_shape,
    pooling,
    recurrent,
    reshaping,
    wrappers,
)
from keras_netopt.surgery.handlers.registry import Handler, lookup, register

__all__ = ["Handler", "Unsupported", "lookup", "register"]
