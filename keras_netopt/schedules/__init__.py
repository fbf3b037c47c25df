"""A value as a function of training progress.

One family serves every scheduled quantity: sparsity, curriculum fraction, drop
rate, temperature. Schedules are frozen, hashable and know no run: the same
object works in any `fit`, whose length is an argument.
"""

from keras_netopt.schedules.as_schedule import as_schedule
from keras_netopt.schedules.pacing import (
    ExponentialPacing,
    LogarithmicPacing,
    PowerPacing,
    Saturation,
)
from keras_netopt.schedules.ramps import (
    Cosine,
    Exponential,
    Linear,
    Polynomial,
    RootCompetence,
)
from keras_netopt.schedules.schedule import Schedule
from keras_netopt.schedules.stepwise import Constant, Cyclic, Steps

__all__ = [
    "Constant",
    "Cosine",
    "Cyclic",
    "Exponential",
    "Linear",
    "LogarithmicPacing",
    "Polynomial",
    "PowerPacing",
    "RootCompetence",
    "Saturation",
    "Schedule",
    "Steps",
    "ExponentialPacing",
    "as_schedule",
]
