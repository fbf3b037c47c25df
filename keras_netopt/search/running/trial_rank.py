"""How trials of different lengths are ranked."""

import math
from typing import Any

from keras_netopt.search.reports.hyperparameter_record import INTERNAL
from keras_netopt.search.reports.project import STOPPED


def rank_training(trial: Any) -> tuple[bool, bool, float]:
    """Sorts trials by their training, before their scores are compared.

    As `Project.ranked`: complete trials come first, then the longest of those
    that were stopped, or that are lower rungs of Hyperband, and trials
    without a finite score last.
    """
    stopped = trial.metrics.exists(STOPPED)
    if stopped:
        epochs = trial.metrics.get_last_value(STOPPED)
    else:
        epochs = trial.hyperparameters.values.get(INTERNAL + "epochs", 0)
    return not has_finite_score(trial), stopped, -float(epochs)


def has_finite_score(trial: Any) -> bool:
    """Returns whether the score of a trial is a number."""
    return trial.score is not None and math.isfinite(trial.score)
