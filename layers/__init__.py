"""Drop-in Keras layers, installed as `keras_netopt.layers`."""

if __name__ != "keras_netopt.layers":
    raise ImportError(
        "Import `keras_netopt.layers`, not the source folder. "
        f"Received: __name__={__name__!r}"
    )

from keras_netopt.layers.early_exit import EarlyExit
from keras_netopt.layers.stochastic_depth import StochasticDepth

__all__ = ["EarlyExit", "StochasticDepth"]
