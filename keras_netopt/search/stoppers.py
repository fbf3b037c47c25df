"""Rules that stop a trial before its last epoch.

They need neither Keras nor KerasTuner. Values are losses: lower is better.
"""

import math
import warnings
from typing import Any

import numpy as np

from keras_netopt.checks import check_at_least_zero, check_integer
from keras_netopt.warnings import NoEffectWarning


class Stopper:
    """Decides after each epoch whether a trial stops.

    Subclasses override `should_stop`. Pass an instance as `stopper` to a
    tuner of this package.
    """

    def on_search_begin(self, epochs: int) -> None:
        """Called when a search begins.

        Args:
            epochs: Epochs of a complete trial.
        """

    def should_stop(self, trial_id: str, epoch: int, value: float) -> bool:
        """Stores a value and returns whether the trial should stop.

        Args:
            trial_id: Id of the trial.
            epoch: Number of epochs trained, from 1.
            value: The objective as a loss; NaN if training diverged.
        """
        raise NotImplementedError

    def on_trial_complete(self, trial_id: str) -> None:
        """Called when a trial has trained all epochs."""

    def reset_trial(self, trial_id: str) -> None:
        """Called when a trial restarts from its first epoch."""

    def get_state(self) -> dict[str, Any]:
        """Returns the JSON-safe state for a resumed search."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores a saved state."""


class ASHA(Stopper):
    """Asynchronous successive halving (ASHA), in its stopping variant.

    Rungs are at `min_epochs * eta ** k` epochs. A trial continues after a
    rung if it is among the best `max(1, n // eta)` of the n values reported
    there, its own included. Promotion is asynchronous, so the first trial at
    a rung always continues. Where no value is reported at a rung, as with
    `validation_freq=2`, the next one counts. Use it if early epochs predict
    the final ranking.

    Example:

    >>> rule = ASHA(eta=2)
    >>> rule.on_search_begin(epochs=4)
    >>> rule.rungs
    (1, 2)
    >>> [rule.should_stop(f"{k}", 1, loss) for k, loss in enumerate([3, 1, 2])]
    [False, False, True]

    Args:
        eta: Reduction factor: one in `eta` trials continues, at least 2.
            Defaults to `3`.
        min_epochs: Epochs of the first rung, at least 1. Defaults to `1`.
        max_epochs: Epochs of a complete trial. Defaults to `None`: `epochs`
            of `search`.
        min_trials: Values reported at a rung before it stops a trial.
            Defaults to `0`.

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If an argument is too small, or, when the search begins,
            if `min_epochs` exceeds a complete trial.

    Reference:
        Li et al., "A system for massively parallel hyperparameter tuning",
        2020, https://arxiv.org/abs/1810.05934 (r is `min_epochs`, R is
        `max_epochs`).
    """

    def __init__(
        self,
        eta: int = 3,
        min_epochs: int = 1,
        *,
        max_epochs: int | None = None,
        min_trials: int = 0,
    ) -> None:
        self.eta = check_integer(eta, "eta", minimum=2)
        self.min_epochs = check_integer(min_epochs, "min_epochs", minimum=1)
        if max_epochs is not None:
            check_integer(max_epochs, "max_epochs", minimum=1)
        self.max_epochs = max_epochs
        self.min_trials = check_integer(min_trials, "min_trials")
        self.rungs: tuple[int, ...] = ()
        self.values: dict[int, dict[str, float]] = {}

    def on_search_begin(self, epochs: int) -> None:
        """Computes the rungs."""
        whole = self.max_epochs or epochs
        if self.min_epochs > whole:
            raise ValueError(
                "Argument `min_epochs` must be at most the epochs of a "
                f"complete trial, {whole}. "
                f"Received: min_epochs={self.min_epochs}"
            )
        rungs = []
        at = self.min_epochs
        while at < whole:
            rungs.append(at)
            at *= self.eta
        self.rungs = tuple(rungs)
        if not rungs:
            warnings.warn(
                f"`ASHA` has no rung below the {whole} epochs of a complete "
                "trial and stops no trial. Train longer, or lower "
                "`min_epochs`.",
                NoEffectWarning,
                stacklevel=4,
            )

    def should_stop(self, trial_id: str, epoch: int, value: float) -> bool:
        """Stores a value and returns whether the trial should stop."""
        if not math.isfinite(value):
            value = math.inf
        rung = max((one for one in self.rungs if one <= epoch), default=None)
        if rung is None:
            return value == math.inf
        seen = self.values.setdefault(rung, {})
        if rung < epoch and trial_id in seen:  # It has passed the rung.
            return value == math.inf
        seen[trial_id] = value
        kept = max(1, len(seen) // self.eta)
        if value == math.inf:
            return True
        if len(seen) < self.min_trials:
            return False
        return value > sorted(seen.values())[kept - 1]

    def reset_trial(self, trial_id: str) -> None:
        """Removes the trial from all rungs."""
        for seen in self.values.values():
            seen.pop(trial_id, None)

    def get_state(self) -> dict[str, Any]:
        """Returns the values of each rung."""
        return {"rungs": {str(k): dict(v) for k, v in self.values.items()}}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores a saved state."""
        self.values = {int(k): dict(v) for k, v in state["rungs"].items()}


class _CurveStopper(Stopper):
    """Stores the learning curve of each trial."""

    def __init__(self) -> None:
        self.curves: dict[str, dict[int, float]] = {}

    def add_value(self, trial_id: str, epoch: int, value: float) -> None:
        """Adds a value to the curve of a trial."""
        value = value if math.isfinite(value) else math.inf
        self.curves.setdefault(trial_id, {})[epoch] = value

    def reset_trial(self, trial_id: str) -> None:
        """Removes the curve of a trial."""
        self.curves.pop(trial_id, None)

    def get_state(self) -> dict[str, Any]:
        """Returns all curves."""
        return {
            "curves": {
                trial: {str(k): v for k, v in curve.items()}
                for trial, curve in self.curves.items()
            }
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores a saved state."""
        self.curves = {
            trial: {int(k): v for k, v in curve.items()}
            for trial, curve in state["curves"].items()
        }


class MedianStopping(_CurveStopper):
    """The median stopping rule.

    A trial stops when its best value so far is worse than the median of the
    values of complete trials at the same epoch.

    Example:

    >>> rule = MedianStopping(n_startup_trials=1)
    >>> rule.should_stop("a", 1, 0.5)
    False
    >>> rule.on_trial_complete("a")
    >>> rule.should_stop("b", 1, 0.6), rule.should_stop("c", 1, 0.4)
    (True, False)

    Args:
        n_startup_trials: Complete trials before any trial is stopped. Defaults
            to `5`.
        n_warmup_epochs: Epochs that every trial trains. Defaults to `0`.
        interval_epochs: Epochs between two checks. Defaults to `1`.
        n_min_trials: Complete trials with a value at the epoch, for a trial
            to be stopped. Defaults to `1`.

    Raises:
        TypeError: If an argument is not an integer.
        ValueError: If an argument is too small.

    Reference:
        Golovin et al., "Google Vizier", 2017.
    """

    def __init__(
        self,
        n_startup_trials: int = 5,
        *,
        n_warmup_epochs: int = 0,
        interval_epochs: int = 1,
        n_min_trials: int = 1,
    ) -> None:
        super().__init__()
        self.n_startup_trials = check_integer(
            n_startup_trials, "n_startup_trials"
        )
        self.n_warmup_epochs = check_integer(n_warmup_epochs, "n_warmup_epochs")
        self.interval_epochs = check_integer(
            interval_epochs, "interval_epochs", minimum=1
        )
        self.n_min_trials = check_integer(
            n_min_trials, "n_min_trials", minimum=1
        )
        self.finished: list[str] = []

    def should_stop(self, trial_id: str, epoch: int, value: float) -> bool:
        """Stores a value and returns whether the trial should stop."""
        known = self.curves.get(trial_id, {})
        before = max((one for one in known if one < epoch), default=0)
        self.add_value(trial_id, epoch, value)
        if not math.isfinite(value):
            return True
        if len(self.finished) < max(1, self.n_startup_trials):
            return False
        if self._count_checks(epoch) == self._count_checks(before):
            return False
        others = [
            self.curves[other][epoch]
            for other in self.finished
            if other != trial_id and epoch in self.curves.get(other, {})
        ]
        if len(others) < self.n_min_trials:
            return False
        best = min(self.curves[trial_id].values())
        return best > float(np.median(others))

    def _count_checks(self, epoch: int) -> int:
        """Counts the checks up to an epoch, whether it is reported or not."""
        past = epoch - self.n_warmup_epochs - 1
        return max(0, past + self.interval_epochs) // self.interval_epochs

    def on_trial_complete(self, trial_id: str) -> None:
        """Adds the trial to those that others are compared with."""
        if trial_id not in self.finished:
            self.finished.append(trial_id)

    def reset_trial(self, trial_id: str) -> None:
        """Removes the curve of a trial."""
        super().reset_trial(trial_id)
        if trial_id in self.finished:
            self.finished.remove(trial_id)

    def get_state(self) -> dict[str, Any]:
        """Returns all curves and the complete trials."""
        return {**super().get_state(), "finished": list(self.finished)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores a saved state."""
        super().set_state(state)
        self.finished = list(state["finished"])


class PatienceStopping(_CurveStopper):
    """Stops trials that do not improve for `patience` epochs.

    Like `keras.callbacks.EarlyStopping`, but for the objective of the search,
    and stopped trials are ranked after complete ones.

    Example:

    >>> rule = PatienceStopping(2)
    >>> [rule.should_stop("a", epoch, 0.5) for epoch in (1, 2, 3)]
    [False, False, True]

    Args:
        patience: Epochs without improvement, at least 1. Defaults to `5`.
        min_delta: Minimum improvement, at least 0. Defaults to `0.0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    def __init__(self, patience: int = 5, *, min_delta: float = 0.0) -> None:
        super().__init__()
        self.patience = check_integer(patience, "patience", minimum=1)
        self.min_delta = check_at_least_zero(min_delta, "min_delta")

    def should_stop(self, trial_id: str, epoch: int, value: float) -> bool:
        """Stores a value and returns whether the trial should stop."""
        self.add_value(trial_id, epoch, value)
        if not math.isfinite(value):
            return True
        best, since = math.inf, epoch
        for at, seen in sorted(self.curves[trial_id].items()):
            if seen < best - self.min_delta or best == math.inf:
                best, since = seen, at
        return epoch - since >= self.patience
