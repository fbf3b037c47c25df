"""Networks that run fewer layers when they can."""

from keras_netopt.depth.add_stochastic import add_stochastic_depth
from keras_netopt.depth.extract import extract
from keras_netopt.depth.rates import linear_rates

__all__ = [
    "add_stochastic_depth",
    "extract",
    "linear_rates",
]
