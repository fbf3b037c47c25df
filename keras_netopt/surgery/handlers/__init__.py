"""Handlers: how each layer type couples its channels.

Importing this package registers them; `surgery.register` adds one for a custom
layer.
"""

from keras_netopt.surgery.handlers import (  # noqa: F401
    activations,
    applications,
    attention,
    attention_layers,
    attention_ops,
    axis_ops,
    contraction,
    conv_recurrent,
    convolution,
    dense,
    depthwise,
    elementwise,
    index_ops,
    merging,
    mixing,
    normalization,
    pooling,
    preprocessing,
    recurrent,
    reshaping,
    wrappers,
)
