"""Drop-in Keras layers, installed as `keras_netopt.layers`."""

if __name__ != "keras_netopt.layers":
    raise ImportError(
        "Import `keras_netopt.layers`, not the source folder. "
        f"Received: __name__={__name__!r}"
    )

from keras_netopt.layers.adaptive_computation import AdaptiveComputation
from keras_netopt.layers.architecture_weights import ArchitectureWeights
from keras_netopt.layers.choice import Choice
from keras_netopt.layers.early_exit import EarlyExit
from keras_netopt.layers.elastic_conv2d import ElasticConv2D
from keras_netopt.layers.elastic_dense import ElasticDense
from keras_netopt.layers.elastic_depth import ElasticDepth
from keras_netopt.layers.frozen_column import FrozenColumn
from keras_netopt.layers.lateral_connection import LateralConnection
from keras_netopt.layers.layer_drop import LayerDrop
from keras_netopt.layers.mixture_of_depths import MixtureOfDepths
from keras_netopt.layers.skip_gate import SkipGate
from keras_netopt.layers.stochastic_depth import StochasticDepth
from keras_netopt.layers.weight_normalization import WeightNormalization

__all__ = [
    "AdaptiveComputation",
    "ArchitectureWeights",
    "Choice",
    "EarlyExit",
    "ElasticConv2D",
    "ElasticDense",
    "ElasticDepth",
    "FrozenColumn",
    "LateralConnection",
    "LayerDrop",
    "MixtureOfDepths",
    "SkipGate",
    "StochasticDepth",
    "WeightNormalization",
]
