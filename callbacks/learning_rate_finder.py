"""Suggests a learning rate from one range test inside `fit`."""

import os
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_netopt.checks import (
    check_above,
    check_fraction,
    check_integer,
    check_positive,
)
from keras_netopt.learning_rate.learning_rate_report import LearningRateReport
from keras_netopt.learning_rate.range_test import RangeTest, sweep_rates
from keras_netopt.serialization import export_class
from keras_netopt.training import (
    CheckpointState,
    NoEffectWarning,
    ResumableCallback,
    learning_rates,
    optimizers,
    training_state,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_STEPS = 100


@export_class
class LearningRateFinder(ResumableCallback):
    """Runs a learning rate range test in `fit` and suggests a rate.

    The rate grows by the same factor at every batch; the loss first stays,
    then falls, then diverges. Use a separate `fit` call without validation:
    the callback ends it and restores, bit for bit, the state at the first
    epoch's begin: weights, optimizer, learning rate and random state of the
    layers. The metrics of that call have no meaning.

    Keras calls no callback after an exception or an interrupt: the next
    `fit` with a finder restores the model first, or call `restore()`.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(), "mse")
    >>> x = np.random.default_rng(0).normal(size=(320, 4)).astype("float32")
    >>> y = x @ np.array([[1.0], [-2.0], [0.5], [3.0]], "float32")
    >>> finder = netopt.callbacks.LearningRateFinder(1e-4)
    >>> _ = model.fit(x, y, epochs=10, verbose=0, callbacks=[finder])
    >>> 0.1 < finder.suggestion < 1.0
    True
    >>> model.optimizer.learning_rate = finder.suggestion

    Args:
        min_learning_rate: The first learning rate, above 0. Defaults to
            `1e-7`.
        max_learning_rate: The last learning rate, above `min_learning_rate`.
            Defaults to `10.0`.
        steps: Batches of the sweep, at least 2 and at most those of the
            `fit` call. Defaults to `None`: all of them, at most 100.
        smoothing: Decay of the bias-corrected running mean of the loss, in
            [0, 1). Defaults to `0.9`.
        stop_factor: The sweep ends once the smoothed loss exceeds this
            multiple of its lowest value, after the first 10 batches; above
            1. Defaults to `4.0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; if the
            optimizer's rate is a schedule, the `fit` call is too short, the
            model is not built, or another callback edits it, before the
            first step.

    Reference:
        Smith, "Cyclical learning rates for training neural networks", 2015,
        https://arxiv.org/abs/1506.01186 (LR range test). A tenth of the rate
        with the lowest loss is the rule of the fastai library.
    """

    must_follow = ("EarlyStopping(restore_best_weights=True)",)
    conflicts_with = ("ChannelPruning", "Growing", "Pruning")

    def __init__(
        self,
        min_learning_rate: float = 1e-7,
        max_learning_rate: float = 10.0,
        *,
        steps: int | None = None,
        smoothing: float = 0.9,
        stop_factor: float = 4.0,
    ) -> None:
        super().__init__()
        self.min_learning_rate = check_positive(
            min_learning_rate, "min_learning_rate"
        )
        self.max_learning_rate = check_above(
            max_learning_rate,
            "max_learning_rate",
            self.min_learning_rate,
            "`min_learning_rate`",
        )
        self.steps = steps
        if steps is not None:
            self.steps = check_integer(steps, "steps", minimum=2)
        self.smoothing = check_fraction(smoothing, "smoothing")
        self.stop_factor = check_above(stop_factor, "stop_factor", 1.0, "1")
        self._snapshot: dict[str, np.ndarray] | None = None
        self.reset()

    def reset(self) -> None:
        """Resets the state that belongs to one model."""
        self._test = RangeTest(self.smoothing, self.stop_factor)
        self._rates: list[float] = []
        self._snapshot = None
        self._first = self._epoch_begin = self._iterations = 0
        self._mean = 0.0
        self._is_mean: bool | None = None

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate with the lowest smoothed loss.

        `None` before a sweep, where the loss never falls, and where a tenth
        lies below `min_learning_rate`.
        """
        return self._test.suggestion

    @property
    def steepest(self) -> float | None:
        """The rate at which the smoothed loss falls fastest, or `None`."""
        return self._test.steepest

    @property
    def history(self) -> dict[str, list[float]]:
        """Learning rates, batch losses and smoothed losses of the sweep.

        One value per batch, or per execution with `steps_per_execution`.
        """
        return {
            "learning_rate": list(self._test.rates),
            "loss": list(self._test.losses),
            "smoothed_loss": list(self._test.smoothed),
        }

    def report(self) -> LearningRateReport:
        """Returns the result of the sweep.

        Returns:
            A printable report with `suggestion`, `steepest`, the `fall` of
            the smoothed loss, its `noise`, a `note` on what limits the
            result, and the sweep.

        Raises:
            ValueError: If there was no sweep yet.
        """
        history = self.history
        if not history["learning_rate"]:
            raise self.report_error("sweep")
        return LearningRateReport(
            self.suggestion,
            self.steepest,
            **history,
            fall=self._test.fall,
            noise=self._test.noise,
            note=self._test.note,
        )

    def plot(self, *, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Plots the loss against the learning rate; requires matplotlib.

        Args:
            path: Image file to write. Defaults to `None`: no file.

        Returns:
            A matplotlib `Figure`, which notebooks display.

        Raises:
            ImportError: If matplotlib is not installed.
            ValueError: If there was no sweep yet.
        """
        from keras_netopt import plots

        return plots.learning_rate_curve(
            self.history,
            suggestion=self.suggestion,
            steepest=self.steepest,
            note=self._test.note,
            path=path,
        )

    def restore(self) -> bool:
        """Restores the model after a `fit` that raised or was interrupted.

        A `fit` that ends normally restores the model itself, and so does the
        next `fit` with a finder. A model trained further since is not
        changed.

        Returns:
            Whether the model was restored.
        """
        kept, self._snapshot = self._snapshot, None
        if kept is None or self.model is None:
            return False
        trained = (
            optimizers.count_updates(self.model.optimizer) - self._iterations
        )
        # The step that raised may have updated the weights.
        if not 0 <= trained <= self.model.steps_per_execution:
            return False
        training_state.restore_training_state(self.model, kept)
        return True

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        for finder in (self, *self._interrupted()):
            finder.restore()
        super().on_train_begin(logs)
        if not self._attached:
            raise ValueError(
                "LearningRateFinder restores the weights at the end, so the "
                "model must be built before the first step: start it with "
                "`keras.Input`, or call `model.build(input_shape)`. Received: "
                f"model=<{type(self._model).__name__} "
                f"name={self._model.name}, built=False>"
            )

    def on_model_ready(self, model: keras.Model) -> None:
        """Checks that one optimizer with one learning rate trains the model."""
        held = list(optimizers.find_optimizers(model))
        if held != ["optimizer"]:
            raise ValueError(
                "LearningRateFinder sets the learning rate of "
                "`model.optimizer`, so a model must have no other optimizer: "
                "its `train_step` decides which one trains which weights. "
                "Compile the model with one optimizer for this `fit`, and let "
                "`train_step` use `self.optimizer`. "
                f"Received: optimizers={held}"
            )
        if learning_rates.find_learning_rate_variable(model.optimizer) is None:
            raise ValueError(
                "LearningRateFinder sets the learning rate of each batch, so "
                "the optimizer's rate must be a number: compile the model "
                "with a number such as learning_rate=1e-3 for this `fit`, "
                "with the schedule afterwards. Received: optimizer="
                f"{learning_rates.describe_optimizer(model.optimizer)}"
            )
        # TensorFlow creates the slots in the first step, too late to restore.
        with optimizers.variable_scope(model):
            optimizers.build_optimizer(model)

    def on_resume(self, model: keras.Model) -> None:
        """Copies the model's state, or continues the sweep of a resumed fit."""
        self.reset()
        saved = self.loaded_state()
        if saved is not None and saved[1]:
            state, self._snapshot = saved
            self._first = state["first"]
            steps = state["steps"]
            self._test.replay(state["rates"], state["losses"])
        else:
            self._snapshot = training_state.capture_training_state(model)
            self._first = self._progress.step
            steps = self._length()
        self._iterations = optimizers.count_updates(model.optimizer)
        self._rates = sweep_rates(
            self.min_learning_rate, self.max_learning_rate, steps
        )

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        super().on_epoch_begin(epoch, logs)
        self._epoch_begin, self._mean = self._progress.step, 0.0

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras: sets the rate of the next batch."""
        done = self._progress.step - self._first
        if done < len(self._rates):
            # On JAX, reading `self.model` syncs the state first.
            self.model.optimizer.learning_rate = self._rates[done]

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras: records the loss of the batch."""
        before = self._progress.step - self._epoch_begin
        super().on_train_batch_end(batch, logs)
        after = self._progress.step - self._epoch_begin
        done = self._epoch_begin + before - self._first
        if done >= len(self._rates) or after == before:
            return
        mean = self._logged_loss(logs or {}, before)
        loss = mean
        if self._is_mean:
            # Keras logs the mean of the epoch so far.
            loss = (after * mean - before * self._mean) / (after - before)
        self._mean = mean
        diverged = self._test.add(self._rates[done], loss)
        model = self.model
        self._iterations = optimizers.count_updates(model.optimizer)
        if diverged or done + after - before >= len(self._rates):
            model.stop_training = True

    def on_fit_end(self, model: keras.Model) -> None:
        """Restores the model and warns if no rate was found."""
        if self._snapshot is not None:
            training_state.restore_training_state(model, self._snapshot)
            self._snapshot = None
        if self.suggestion is None:
            note = self._test.note or "The sweep has no step."
            self.warn(NoEffectWarning, f"no suggestion. {note}")

    def get_state(self) -> dict[str, Any]:
        """Returns the sweep so far, for a resumed fit."""
        return {
            "first": self._first,
            "steps": len(self._rates),
            "rates": self._test.rates,
            "losses": self._test.losses,
        }

    def save_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Adds the model's initial state, as the process may end in a sweep."""
        state, _ = super().save_state()
        return state, dict(self._snapshot or {})

    def _logged_loss(self, logs: dict[str, Any], before: int) -> float:
        """Returns `loss` of the logs; finds out whether it is a mean."""
        if "loss" not in logs:
            self.restore()
            raise ValueError(
                "LearningRateFinder needs the loss of each batch: let "
                "`train_step` return it as `loss`. Received: logs with "
                f"{', '.join(sorted(logs)) or 'no keys'}"
            )
        loss = float(logs["loss"])
        if before and self._is_mean is None:
            # A `train_step` may return the loss of its batch instead.
            self._is_mean = any(
                np.isclose(float(metric.result()), loss, rtol=1e-4)
                for metric in self.model.metrics
                if isinstance(metric, keras.metrics.Mean)
            )
        return loss

    def _interrupted(self) -> list["LearningRateFinder"]:
        checkpoint_state = CheckpointState.find(self._model)
        if checkpoint_state is None:
            return []
        states = checkpoint_state.states.values()
        return [s for s in states if isinstance(s, LearningRateFinder)]

    def _length(self) -> int:
        total = self._progress.run.total
        if total is None:
            return self.steps or MOST_STEPS
        left = total - self._progress.step
        if left < max(2, self.steps or 0):
            raise ValueError(
                f"Argument `steps` must be at least 2 and at most the {left} "
                "batches of this `fit`: use smaller batches or more epochs. "
                f"Received: steps={self.steps!r}"
            )
        return self.steps or min(left, MOST_STEPS)
