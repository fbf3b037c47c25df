"""The size of a model as a proxy: the controls of every other proxy."""

import keras

from keras_netopt.cost.summarize import count_model_macs
from keras_netopt.graph.layers import walk_layers

_LAYERS = keras.layers
CONVOLUTIONS = (
    *(_LAYERS.Conv1D, _LAYERS.Conv2D, _LAYERS.Conv3D),
    *(_LAYERS.Conv1DTranspose, _LAYERS.Conv2DTranspose),
    *(_LAYERS.Conv3DTranspose, _LAYERS.DepthwiseConv1D),
    *(_LAYERS.DepthwiseConv2D, _LAYERS.SeparableConv1D),
    _LAYERS.SeparableConv2D,
)


def params(model: keras.Model) -> float:
    """Returns the number of parameters."""
    return float(model.count_params())


def conv_count(model: keras.Model) -> float:
    """Returns the number of convolution layers."""
    return float(sum(isinstance(v, CONVOLUTIONS) for v in walk_layers(model)))


def macs(model: keras.Model) -> float:
    """Returns the multiply-accumulates of one sample, as far as counted."""
    return float(count_model_macs(model)[0])
