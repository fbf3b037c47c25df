"""A value as a function of training progress.

One family serves every scheduled quantity: sparsity, curriculum fraction, drop
rate, temperature. Schedules are frozen, hashable and know no run: the same
object works in any `fit`, whose length is an argument.
"""

from keras_netopt.schedules.base import Schedule
from keras_netopt.schedules.convert import as_schedule
from keras_netopt.schedules.growth import (
    Logarithmic,
    Power,
    Saturation,
    Surge,
)
from keras_netopt.schedules.levels import Constant, Cyclic, Steps
from keras_netopt.schedules.ramps import (
    Cosine,
    Exponential,
    Linear,
    Polynomial,
    Root,
)

__all__ = [
    "Constant",
    "Cosine",
    "Cyclic",
    "Exponential",
    "Linear",
    "Logarithmic",
    "Polynomial",
    "Power",
    "Root",
    "Saturation",
    "Schedule",
    "Steps",
    "Surge",
    "as_schedule",
]
