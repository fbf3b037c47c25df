"""Handlers: how each layer type couples its channels.

Importing this package registers them; `surgery.register` adds one for a custom
layer.
"""

from keras_netopt.surgery.handlers import (  # noqa: F401
    applications,
    attention,
    conv_recurrent,
    convolution,
    dense,
    depthwise,
    elementwise,
    merging,
    normalization,
    pooling,
    recurrent,
    reshaping,
    shape_ops,
    wrappers,
)
