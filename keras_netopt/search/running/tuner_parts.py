"""Checks the parts of which a tuner is made."""

from typing import Any

import keras_tuner

from keras_netopt.search.running.trial_trainer import TrialTrainer
from keras_netopt.search.stoppers import Stopper


def check_parts(
    hypermodel: Any, oracle: Any, stopper: Any, tuner: type[TrialTrainer]
) -> None:
    """Refuses arguments of the wrong type, or in the wrong place."""
    if isinstance(hypermodel, keras_tuner.Oracle):
        raise TypeError(
            "Argument `hypermodel` must be a function of `hp` or a "
            "`HyperModel`. Pass the oracle by name: "
            "`search.Tuner(build, oracle=...)`. "
            f"Received: hypermodel={type(hypermodel).__name__}"
        )
    if not isinstance(oracle, keras_tuner.Oracle):
        raise TypeError(
            "Argument `oracle` must be an oracle, as in "
            '`search.TPEOracle("val_loss", max_trials=50)`. '
            f"Received: oracle={oracle!r}"
        )
    if stopper is not None and not isinstance(stopper, Stopper):
        raise TypeError(
            "Argument `stopper` must be `search.ASHA()`, `MedianStopping()`, "
            "`PatienceStopping()` or a `Stopper`. "
            f"Received: stopper={stopper!r}"
        )
    if hypermodel is None and tuner.run_trial is TrialTrainer.run_trial:
        raise ValueError(
            "Argument `hypermodel` must be given, unless a subclass overrides "
            "`run_trial`. Received: hypermodel=None"
        )
