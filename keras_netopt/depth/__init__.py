"""Networks that run fewer layers when they can."""

from keras_netopt.depth.extract import extract
from keras_netopt.depth.rates import linear_rates

__all__ = [
    "extract",
    "linear_rates",
]
