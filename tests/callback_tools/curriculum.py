"""Scores, a pacing function and warnings for the tests of `Curriculum`."""

import numpy as np

from keras_netopt.schedules import Linear

SCORES = np.random.default_rng(1).permutation(64).astype("float64")
HALF = Linear(initial=0.5, final=1.0, begin=0.5, end=1.0)


def messages_of(category, records):
    return [str(w.message) for w in records if issubclass(w.category, category)]
