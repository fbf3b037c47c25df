"""Rules that end a trial before its last epoch. Pure: no Keras, no KerasTuner.

Values are losses: the tuner hands them over so that lower is better.
"""

import math
import warnings
from typing import Any

import numpy as np

from keras_netopt.checks import check_at_least_zero, check_integer
from keras_netopt.warnings import NoEffectWarning


class Stopper:
    """Decides after each epoch whether a trial is worth going on with.

    Subclasses override `report`. `search.Tuner(stopper=...)` calls them; a
    tuner of KerasTuner itself would ignore what they say.
    """

    def prepare(self, epochs: int) -> None:
        """Called when a search begins.

        Args:
            epochs: Epochs of a whole trial.
        """

    def report(self, trial_id: str, epoch: int, value: float) -> bool:
        """Takes note of a value and says whether the trial should stop.

        Args:
            trial_id: Name of the trial.
            epoch: Epochs that it has trained, from 1.
            value: Its objective, lower is better; NaN where it diverged.
        """
        raise NotImplementedError

    def finish(self, trial_id: str) -> None:
        """Called when a trial has trained all of its epochs."""

    def forget(self, trial_id: str) -> None:
        """Called when a trial is run again from its first epoch."""

    def get_state(self) -> dict[str, Any]:
        """Returns what a resumed search needs, JSON-safe."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a saved state."""


class ASHA(Stopper):
    """Keeps the best of each rung: asynchronous successive halving.

    Rungs lie at `min_epochs * eta ** k` epochs. A trial that reaches one goes
    on if it is among the best `max(1, n // eta)` of the n values seen there,
    its own included. Nobody waits for anybody, so the first trial at a rung
    always passes. Use it where the first epochs already tell good from bad.

    Example:

    >>> rule = ASHA(eta=2)
    >>> rule.prepare(epochs=4)
    >>> rule.rungs
    (1, 2)
    >>> [rule.report(f"{k}", 1, loss) for k, loss in enumerate([3, 1, 2])]
    [False, False, True]

    Args:
        eta: One of so many goes on, at least 2. Defaults to `3`.
        min_epochs: Epochs of the first rung, at least 1. Defaults to `1`.
        max_epochs: Epochs of a whole trial. Defaults to `None`: those of
            `search`.
        min_trials: Values that a rung must have seen before it stops
            anybody. Defaults to `0`.

    Raises:
        TypeError: If an argument is no integer.
        ValueError: If an argument is too small, or, when the search begins,
            if `min_epochs` is more than a whole trial.

    Reference:
        Li et al., "A system for massively parallel hyperparameter tuning",
        2020, https://arxiv.org/abs/1810.05934 (r is `min_epochs`, R is
        `max_epochs`), in the form that stops.
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

    def prepare(self, epochs: int) -> None:
        """Lays out the rungs."""
        whole = self.max_epochs or epochs
        if self.min_epochs > whole:
            raise ValueError(
                "Argument `min_epochs` must be at most the epochs of a whole "
                f"trial, {whole}. Received: min_epochs={self.min_epochs}"
            )
        rungs = []
        at = self.min_epochs
        while at < whole:
            rungs.append(at)
            at *= self.eta
        self.rungs = tuple(rungs)
        if not rungs:
            warnings.warn(
                f"ASHA has no rung below the {whole} epochs of a whole trial "
                "and stops nobody. Train longer, or lower `min_epochs`.",
                NoEffectWarning,
                stacklevel=4,
            )

    def report(self, trial_id: str, epoch: int, value: float) -> bool:
        """Takes note of a value and says whether the trial should stop."""
        if not math.isfinite(value):
            value = math.inf
        if epoch not in self.rungs:
            return value == math.inf
        seen = self.values.setdefault(epoch, {})
        seen[trial_id] = value
        kept = max(1, len(seen) // self.eta)
        if value == math.inf:
            return True
        if len(seen) < self.min_trials:
            return False
        return value > sorted(seen.values())[kept - 1]

    def forget(self, trial_id: str) -> None:
        """Takes the trial off all rungs."""
        for seen in self.values.values():
            seen.pop(trial_id, None)

    def get_state(self) -> dict[str, Any]:
        """Returns the values of each rung."""
        return {"rungs": {str(k): dict(v) for k, v in self.values.items()}}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a saved state."""
        self.values = {int(k): dict(v) for k, v in state["rungs"].items()}


class _Curves(Stopper):
    """Keeps the values of each trial by epoch."""

    def __init__(self) -> None:
        self.curves: dict[str, dict[int, float]] = {}

    def note(self, trial_id: str, epoch: int, value: float) -> None:
        """Adds a value to the curve of a trial."""
        value = value if math.isfinite(value) else math.inf
        self.curves.setdefault(trial_id, {})[epoch] = value

    def forget(self, trial_id: str) -> None:
        """Drops the curve of a trial."""
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
        """Goes on from a saved state."""
        self.curves = {
            trial: {int(k): v for k, v in curve.items()}
            for trial, curve in state["curves"].items()
        }


class Median(_Curves):
    """Stops trials that are worse than half of the finished ones.

    A trial stops when its best value so far is worse than the median of the
    values that finished trials had at the same epoch.

    Example:

    >>> rule = Median(startup_trials=1)
    >>> rule.report("a", 1, 0.5)
    False
    >>> rule.finish("a")
    >>> rule.report("b", 1, 0.6), rule.report("c", 1, 0.4)
    (True, False)

    Args:
        startup_trials: Finished trials before the first one is stopped.
            Defaults to `5`.
        warmup_epochs: Epochs that every trial may train. Defaults to `0`.
        interval: Epochs between two looks. Defaults to `1`.
        min_trials: Finished trials that must have a value at the epoch.
            Defaults to `1`.

    Raises:
        TypeError: If an argument is no integer.
        ValueError: If an argument is too small.

    Reference:
        Golovin et al., "Google Vizier", 2017.
    """

    def __init__(
        self,
        startup_trials: int = 5,
        *,
        warmup_epochs: int = 0,
        interval: int = 1,
        min_trials: int = 1,
    ) -> None:
        super().__init__()
        self.startup_trials = check_integer(startup_trials, "startup_trials")
        self.warmup_epochs = check_integer(warmup_epochs, "warmup_epochs")
        self.interval = check_integer(interval, "interval", minimum=1)
        self.min_trials = check_integer(min_trials, "min_trials", minimum=1)
        self.finished: list[str] = []

    def report(self, trial_id: str, epoch: int, value: float) -> bool:
        """Takes note of a value and says whether the trial should stop."""
        self.note(trial_id, epoch, value)
        if not math.isfinite(value):
            return True
        if len(self.finished) < max(1, self.startup_trials):
            return False
        if epoch <= self.warmup_epochs:
            return False
        if (epoch - self.warmup_epochs - 1) % self.interval:
            return False
        others = [
            self.curves[other][epoch]
            for other in self.finished
            if other != trial_id and epoch in self.curves.get(other, {})
        ]
        if len(others) < self.min_trials:
            return False
        best = min(self.curves[trial_id].values())
        return best > float(np.median(others))

    def finish(self, trial_id: str) -> None:
        """Lets others be compared with the trial."""
        if trial_id not in self.finished:
            self.finished.append(trial_id)

    def forget(self, trial_id: str) -> None:
        """Drops the curve of a trial."""
        super().forget(trial_id)
        if trial_id in self.finished:
            self.finished.remove(trial_id)

    def get_state(self) -> dict[str, Any]:
        """Returns all curves, and whose are finished."""
        return {**super().get_state(), "finished": list(self.finished)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a saved state."""
        super().set_state(state)
        self.finished = list(state["finished"])


class Patience(_Curves):
    """Stops trials that have not become better for some epochs.

    Unlike `keras.callbacks.EarlyStopping` it needs no callback in `build`,
    and stopped trials are told from whole ones.

    Example:

    >>> rule = Patience(2)
    >>> [rule.report("a", epoch, 0.5) for epoch in (1, 2, 3)]
    [False, False, True]

    Args:
        epochs: Epochs without a better value, at least 1. Defaults to `5`.
        min_delta: How much better counts as better, at least 0. Defaults to
            `0.0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    def __init__(self, epochs: int = 5, *, min_delta: float = 0.0) -> None:
        super().__init__()
        self.epochs = check_integer(epochs, "epochs", minimum=1)
        self.min_delta = check_at_least_zero(min_delta, "min_delta")

    def report(self, trial_id: str, epoch: int, value: float) -> bool:
        """Takes note of a value and says whether the trial should stop."""
        self.note(trial_id, epoch, value)
        if not math.isfinite(value):
            return True
        best, since = math.inf, epoch
        for at, seen in sorted(self.curves[trial_id].items()):
            if seen < best - self.min_delta or best == math.inf:
                best, since = seen, at
        return epoch - since >= self.epochs
