"""Checks the parts of which a tuner is made."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras
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
    is_builder = _takes_hp(hypermodel)
    if hypermodel is not None and not (
        is_builder or isinstance(hypermodel, keras_tuner.HyperModel)
    ):
        raise TypeError(
            "Argument `hypermodel` must be a function of `hp` that returns a "
            "model, or a `keras_tuner.HyperModel`. "
            f"Received: hypermodel={hypermodel!r}"
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


def _takes_hp(value: Any) -> bool:
    """Whether a value can be called with one argument; a class may be.

    A layer is not: it is called with tensors.
    """
    if not callable(value) or isinstance(value, keras.layers.Layer):
        return False
    try:
        inspect.signature(value).bind(None)
    except TypeError:
        return False
    except ValueError:
        return True  # A builtin without a signature.
    return True


def check_of_keras_tuner(given: Mapping[str, Any]) -> None:
    """Refuses arguments of `keras_tuner.Tuner` that it does not check."""
    tuner_id = given.get("tuner_id")
    if not isinstance(tuner_id, str | None):
        raise TypeError(
            "Argument `tuner_id` must be a string or None. "
            f"Received: tuner_id={tuner_id!r}"
        )
    strategy = given.get("distribution_strategy")
    if strategy is not None and not hasattr(strategy, "extended"):
        raise TypeError(
            "Argument `distribution_strategy` must be a `tf.distribute."
            f"Strategy` or None. Received: distribution_strategy={strategy!r}"
        )
