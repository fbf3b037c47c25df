"""Finds a learning rate in one short sweep and leaves the model as it was."""

import os
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_netopt.checks import (
    check_fraction,
    check_integer,
    check_number,
    check_positive,
)
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
    """Sweeps the learning rate once through `fit` and suggests one.

    The rate grows by the same factor at every batch; the loss first stays,
    then falls, then explodes. Give it a fit of its own, without validation:
    it ends that fit by itself and puts everything back to where it was at
    the first epoch begin, bit for bit: weights, optimizer, learning rate,
    random state of the layers. Metrics of that fit mean nothing.

    A fit that raises or is interrupted runs no callback any more; the next
    fit with a finder puts the model back first, or you call `restore()`.

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
        min_lr: The first learning rate, above 0. Defaults to `1e-7`.
        max_lr: The last learning rate, above `min_lr`. Defaults to `10.0`.
        steps: Batches of the sweep, at least 2 and no more than the fit has.
            Defaults to `None`: all batches of the fit, but 100 at most.
        smoothing: What the running mean of the loss keeps at a batch, in
            [0, 1); its start is corrected for. Defaults to `0.9`.
        stop_factor: The sweep is over where the smoothed loss is above this
            many times its lowest value, after the first 10 batches; above 1.
            Defaults to `4.0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; if the
            optimizer's rate is a schedule, the fit is too short, the model is
            not built, or a callback in the same fit edits it, before the
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
        min_lr: float = 1e-7,
        max_lr: float = 10.0,
        *,
        steps: int | None = None,
        smoothing: float = 0.9,
        stop_factor: float = 4.0,
    ) -> None:
        super().__init__()
        self.min_lr = check_positive(min_lr, "min_lr")
        self.max_lr = check_number(max_lr, "max_lr")
        _check_above(self.max_lr, "max_lr", self.min_lr, "`min_lr`")
        self.steps = steps
        if steps is not None:
            self.steps = check_integer(steps, "steps", minimum=2)
        self.smoothing = check_fraction(smoothing, "smoothing")
        self.stop_factor = check_number(stop_factor, "stop_factor")
        _check_above(self.stop_factor, "stop_factor", 1.0, "1")
        self._snapshot: dict[str, np.ndarray] | None = None
        self.reset()

    def reset(self) -> None:
        """Resets what belongs to one model."""
        self._test = RangeTest(self.smoothing, self.stop_factor)
        self._rates: list[float] = []
        self._snapshot = None
        self._first = self._epoch_begin = self._iterations = 0
        self._mean = 0.0

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate with the lowest smoothed loss.

        `None` before a sweep, and where the loss only rose.
        """
        return self._test.suggestion

    @property
    def steepest(self) -> float | None:
        """The rate at which the smoothed loss falls fastest, or `None`."""
        return self._test.steepest

    @property
    def history(self) -> dict[str, list[float]]:
        """The sweep: learning rates, losses of the batches, smoothed losses.

        The lists have one entry a batch, or one an execution with
        `steps_per_execution`.
        """
        return {
            "learning_rate": list(self._test.rates),
            "loss": list(self._test.losses),
            "smoothed_loss": list(self._test.smoothed),
        }

    def plot(self, *, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draws the loss over the learning rate; needs matplotlib.

        Args:
            path: Picture file to write. Defaults to `None`: no file.

        Returns:
            A matplotlib `Figure`, which notebooks show by themselves.

        Raises:
            ImportError: If matplotlib is not installed.
            ValueError: If there was no sweep yet.
        """
        from keras_netopt import plots

        return plots.learning_rate_curve(
            self.history,
            suggestion=self.suggestion,
            steepest=self.steepest,
            path=path,
        )

    def restore(self) -> bool:
        """Puts the model back after a fit that raised or was interrupted.

        A finished fit has done so by itself, and so does the next fit with a
        finder. A model that was trained on since is left as it is.

        Returns:
            Whether there was anything to put back.
        """
        kept, self._snapshot = self._snapshot, None
        if kept is None or self.model is None:
            return False
        trained = _steps_taken(self.model) - self._iterations
        # The step that raised may have been taken before we were told.
        if not 0 <= trained <= self.model.steps_per_execution:
            return False
        training_state.restore(self.model, kept)
        return True

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        for finder in (self, *self._interrupted()):
            finder.restore()
        super().on_train_begin(logs)
        if not self._attached:
            raise ValueError(
                "LearningRateFinder puts the weights back at the end, so they "
                "must be there before the first step: start the model with "
                "`keras.Input`, or call `model.build(input_shape)`. Received: "
                f"model=<{type(self._model).__name__} "
                f"name={self._model.name}, built=False>"
            )

    def on_model_ready(self, model: keras.Model) -> None:
        """Checks that there is one learning rate that can be set."""
        if learning_rates.settable_rate(model.optimizer) is None:
            raise ValueError(
                "LearningRateFinder sets the learning rate of each batch, so "
                "the optimizer must have one that is a number: compile the "
                "model with learning_rate=1e-3, say, for this fit, and with "
                "the schedule afterwards. Received: optimizer="
                f"{learning_rates.describe(model.optimizer)}"
            )
        # TensorFlow makes the slots in the first step: too late to be put back.
        with optimizers.variable_scope(model):
            optimizers.build(model)

    def on_resume(self, model: keras.Model) -> None:
        """Copies the model, or takes up the sweep of a resumed fit."""
        self.reset()
        saved = self.saved()
        if saved is not None and saved[1]:
            facts, self._snapshot = saved
            self._first = facts["first"]
            steps = facts["steps"]
            self._test.replay(facts["rates"], facts["losses"])
        else:
            self._snapshot = training_state.capture(model)
            self._first = self._progress.step
            steps = self._length()
        self._iterations = _steps_taken(model)
        self._rates = sweep_rates(self.min_lr, self.max_lr, steps)

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
            # Reading `self.model` is what makes it act on JAX.
            self.model.optimizer.learning_rate = self._rates[done]

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras: notes the loss of the batch."""
        before = self._progress.step - self._epoch_begin
        super().on_train_batch_end(batch, logs)
        after = self._progress.step - self._epoch_begin
        done = self._epoch_begin + before - self._first
        if done >= len(self._rates) or after == before:
            return
        mean = float((logs or {})["loss"])
        # Keras logs the mean of the epoch so far.
        loss = (after * mean - before * self._mean) / (after - before)
        self._mean = mean
        diverged = self._test.add(self._rates[done], loss)
        model = self.model
        self._iterations = _steps_taken(model)
        if diverged or done + after - before >= len(self._rates):
            model.stop_training = True

    def on_fit_end(self, model: keras.Model) -> None:
        """Puts everything back and says where nothing was found."""
        if self._snapshot is not None:
            training_state.restore(model, self._snapshot)
            self._snapshot = None
        if self.suggestion is None:
            self.warn(
                NoEffectWarning,
                f"looked from {self.min_lr:g} to {self.max_lr:g} for a "
                "learning rate at which the loss falls, found none; "
                "`suggestion` is None. Lower `min_lr`, and look at `plot()`.",
            )

    def get_state(self) -> dict[str, Any]:
        """Returns the sweep that a resumed fit takes up."""
        return {
            "first": self._first,
            "steps": len(self._rates),
            "rates": self._test.rates,
            "losses": self._test.losses,
        }

    def save_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Adds the untouched model, for the process may end in the sweep."""
        facts, _ = super().save_state()
        return facts, dict(self._snapshot or {})

    def _interrupted(self) -> list["LearningRateFinder"]:
        checkpoint_state = CheckpointState.find(self._model)
        entries = (
            checkpoint_state.states.values()
            if checkpoint_state is not None
            else ()
        )
        return [e for e in entries if isinstance(e, LearningRateFinder)]

    def _length(self) -> int:
        total = self._progress.run.total
        if total is None:
            return self.steps or MOST_STEPS
        left = total - self._progress.step
        if left < max(2, self.steps or 0):
            raise ValueError(
                f"Argument `steps` must be at most the {left} batches of this "
                "fit, and at least 2: use smaller batches or more epochs. "
                f"Received: steps={self.steps!r}"
            )
        return self.steps or min(left, MOST_STEPS)


def _steps_taken(model: keras.Model) -> int:
    # Keras cannot make an int of a variable that several devices share.
    return int(keras.ops.convert_to_numpy(model.optimizer.iterations))


def _check_above(value: float, name: str, limit: float, shown: str) -> None:
    if value <= limit:
        raise ValueError(
            f"Argument `{name}` must be above {shown}. "
            f"Received: {name}={value!r}"
        )
