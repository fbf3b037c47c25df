"""Schedules: a value as a function of training progress.

They serve every scheduled quantity: sparsity, share of the training data, drop
rate, temperature. Schedules are frozen and hashable, and independent of the
length of a `fit`, which is an argument of their methods.
"""

from keras_netopt.schedules.as_schedule import as_schedule
from keras_netopt.schedules.pacing import (
    ExponentialPacing,
    LogarithmicPacing,
    PowerPacing,
    RootCompetence,
    Saturation,
)
from keras_netopt.schedules.ramps import (
    Cosine,
    Exponential,
    Linear,
    Polynomial,
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
