"""The arguments of a training on all samples."""

from typing import Any

import keras_tuner

from keras_netopt.search.reports.hyperparameter_record import INTERNAL
from keras_netopt.search.running.fit_arguments import declared_arguments
from keras_netopt.search.running.oracle_proxy import EPOCHS


def refit_arguments(tuner: Any, trial: Any) -> dict[str, Any]:
    """Returns those arguments of `HyperModel.fit` that `refit` adds.

    `callbacks` is a list, as in `search`. `epochs` is the number of epochs of
    the trial up to its score. A `fit` of the user, which `search` gave no
    `epochs`, decides them itself.
    """
    found: dict[str, Any] = {"callbacks": []}
    planned = trial.hyperparameters.values.get(INTERNAL + "epochs")
    reported = f"epoch/{tuner.oracle.objective.name}"
    if trial.metrics.exists(EPOCHS):
        epochs = int(trial.best_step) + 1
    elif trial.metrics.exists(reported):  # `fit` has returned the score.
        epochs = trial.metrics.get_history(reported)[-1].step + 1
    else:
        epochs = int(planned or tuner.search_epochs or 1)
    overridden = type(tuner.hypermodel).fit is not keras_tuner.HyperModel.fit
    if not overridden or tuner.search_epochs is not None or planned:
        found["epochs"] = epochs
    return declared_arguments(tuner.hypermodel.fit, found)
