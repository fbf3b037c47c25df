"""Runs, and schedules of every kind."""

from keras_netopt.points import RunLength
from keras_netopt.schedules import (
    Constant,
    Cosine,
    Cyclic,
    Exponential,
    ExponentialPacing,
    Linear,
    LogarithmicPacing,
    Polynomial,
    PowerPacing,
    RootCompetence,
    Saturation,
    Steps,
)

RUN = RunLength(steps_per_epoch=100, epochs=10)
ENDLESS = RunLength(steps_per_epoch=None, epochs=10)
WINDOW = {"begin": 0.2, "end": 0.7}
# Values without a short binary form, so that exact equality is a test.
RAMPS = [
    Polynomial(initial=0.1, final=0.9, **WINDOW),
    Polynomial(initial=0.9, final=0.1, power=0.5, **WINDOW),
    Linear(initial=0.1, final=0.7, **WINDOW),
    Cosine(initial=0.3, final=0.0, **WINDOW),
    Exponential(initial=0.1, final=0.7, **WINDOW),
    Exponential(initial=0.0, final=0.97, of="complement", **WINDOW),
    RootCompetence(initial=0.01, final=0.9, **WINDOW),
    RootCompetence(initial=0.7, final=0.1, degree=3, **WINDOW),
    PowerPacing(initial=0.1, final=0.9, power=2, **WINDOW),
    PowerPacing(initial=0.7, final=0.1, **WINDOW),
    Saturation(initial=0.1, final=0.7, **WINDOW),
    ExponentialPacing(initial=0.1, final=0.7, **WINDOW),
    LogarithmicPacing(initial=0.1, final=0.7, **WINDOW),
]
JUMPS = [
    Constant(0.8, begin=0.2),
    Steps({0.2: 0.5, "5ep": 0.8, 700: 0.6}, initial=0.1),
    Cyclic(final=0.9, initial=0.1, **WINDOW),
]


def name_of(schedule):
    return type(schedule).__name__
