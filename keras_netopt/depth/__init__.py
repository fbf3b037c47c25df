"""Networks that run fewer layers when they can."""

from keras_netopt.depth.rates import linear_rates

__all__ = ["linear_rates"]
