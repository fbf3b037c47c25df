"""Early stopping by the generalization loss (Prechelt)."""

import math
import re
from typing import Any

import keras

from keras_netopt import prechelt_rules
from keras_netopt.checks import (
    check_at_least_zero,
    check_choice,
    check_integer,
)
from keras_netopt.serialization import export_class
from keras_netopt.training import (
    NoEffectWarning,
    NotIntendedUseWarning,
    ResumableCallback,
)
from keras_netopt.training.current_logs import current_logs
from keras_netopt.training.order import LOGGERS

# Endings of names of metrics where higher is better.
_RISING = re.compile(
    r"(^|_)(acc|accuracy|auc|precision|recall|f1_score|fbeta_score|r2_score|io_?u"
    r"|sensitivity|specificity|true_positives|true_negatives"
    r"|precision_at_recall|recall_at_precision|sensitivity_at_specificity"
    r"|specificity_at_sensitivity|similarity|correlation)(_\d+)?$"
)


@export_class
class PrecheltStopping(ResumableCallback):
    """Stops training early by the generalization loss (Prechelt).

    Keras' `EarlyStopping` stops after `patience` epochs without a new best
    value. Prechelt's rules stop by the increase of the validation loss:

    - "GL": the generalization loss, in percent above the lowest validation
      loss so far, exceeds `threshold`, at any epoch;
    - "PQ": at the end of a strip of epochs, the generalization loss exceeds
      `threshold` times the training progress (in thousandths) of the strip;
    - "UP": at the end of a strip, the validation loss has increased over
      `threshold` successive strips.

    No rule bounds the length of the training; `epochs` does. Weights are not
    restored: add `keras.callbacks.ModelCheckpoint(path, save_best_only=True)`,
    or `BestCheckpoint` with `Pruning`. `generalization_loss` is in the logs
    of every epoch. `stopped_epoch` is the epoch of the stop, or `None`;
    `best_epoch` is the epoch with the lowest value. Both count from 0; the
    printed `report()` counts from 1, as Keras prints epochs.

    Epochs without the monitored value (`validation_freq`) are ignored, as are
    epochs before `Pruning` or `ChannelPruning` has finished, whose loss rises
    without overfitting. When the model's shape changes, as with `Growing`,
    the curves restart, and with them `best_epoch`. The log of an ignored
    epoch is `nan`.

    A NaN or infinite value stops training at once. Ratios to a loss below 0
    are undefined: "GL" and "PQ" warn and do not stop; "UP" only compares and
    is not affected.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> layer = keras.layers.Dense(1, kernel_initializer="zeros")
    >>> model = keras.Sequential([keras.Input((1,)), layer])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((64, 1), "float32")  # Validation targets are opposite.
    >>> stopping = netopt.callbacks.PrecheltStopping("GL", 5.0)
    >>> _ = model.fit(x, x, epochs=9, verbose=0, validation_data=(x, -x),
    ...     callbacks=[stopping])
    >>> stopping.best_epoch, stopping.stopped_epoch
    (0, 1)

    Args:
        rule: "GL", "PQ" or "UP". Defaults to `"UP"`.
        threshold: Percent for "GL" and a quotient for "PQ", at least 0; a
            number of strips for "UP", at least 1. Defaults to `None`: 2.0
            for "GL", 0.75 for "PQ", 2 for "UP".
        strip: Epochs per strip, at least 1, for "PQ" at least 2; not used by
            "GL". Defaults to `5`.
        monitor: Key of the logs, a loss. Defaults to `"val_loss"`.
        train_monitor: Key of the logs, a loss; only "PQ" reads it. Defaults
            to `"loss"`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or `monitor` or
            `train_monitor` is a metric where higher is better.

    Reference:
        Prechelt, "Early stopping - but when?", in *Neural Networks: Tricks of
        the Trade*, 1998, https://doi.org/10.1007/3-540-49430-8_3 (alpha and s
        are `threshold`, k is `strip`).
    """

    should_precede = LOGGERS
    log_keys = {
        "generalization_loss": "percent by which `monitor` is above its "
        "lowest value so far; `nan` in ignored epochs"
    }

    def __init__(
        self,
        rule: str = "UP",
        threshold: float | None = None,
        *,
        strip: int = 5,
        monitor: str = "val_loss",
        train_monitor: str = "loss",
    ) -> None:
        super().__init__()
        check_choice(rule, "rule", prechelt_rules.THRESHOLDS)
        self.rule = rule
        self.threshold = _threshold(rule, threshold)
        self.strip = check_integer(strip, "strip", minimum=1 + (rule == "PQ"))
        self.monitor = _loss_name(monitor, "monitor")
        self.train_monitor = _loss_name(train_monitor, "train_monitor")
        self._limit = (
            prechelt_rules.THRESHOLDS[rule]
            if self.threshold is None
            else self.threshold
        )
        self.reset()

    def reset(self) -> None:
        """Resets the state that belongs to one model."""
        self.stopped_epoch: int | None = None
        self._has_values = False
        self._recorded_epoch: int | None = None
        self._clear_epoch()
        self._clear_curves()

    @property
    def best_epoch(self) -> int | None:
        """The epoch with the lowest value, from 0; `None` before any."""
        if not self._losses:
            return None
        return self._epochs[self._losses.index(min(self._losses))]

    def report(self) -> prechelt_rules.EarlyStoppingReport:
        """Returns the best and the last epoch of the last `fit`.

        Returns:
            A printable report.

        Raises:
            ValueError: If no epoch was recorded yet.
        """
        if self.best_epoch is None:
            raise self.report_error("epoch with `validation_data`")
        return prechelt_rules.EarlyStoppingReport(
            rule=self.rule,
            threshold=self._limit,
            monitor=self.monitor,
            best_epoch=self.best_epoch,
            best_value=min(self._losses),
            stopped_epoch=self.stopped_epoch,
        )

    def on_resume(self, model: keras.Model) -> None:
        """Starts empty curves, or continues those of a resumed fit."""
        self.reset()
        saved = self.loaded_state()
        if saved is not None:
            state = saved[0]
            self._epochs.extend(state["epochs"])
            self._losses.extend(state["losses"])
            self._training.extend(state["training"])
            self._has_values = state["has_values"]
            self.stopped_epoch = state.get("stopped_epoch")

    def after_edit(self, model: keras.Model) -> None:
        """Restarts the curves: the losses belong to another network."""
        self._clear_curves()

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras: records the losses and applies the rule."""
        super().on_epoch_end(epoch, logs)
        logs = {} if logs is None else logs
        self._judge(epoch, logs)
        self._add_logs(logs, {"generalization_loss": self._loss_now})

    def on_fit_end(self, model: keras.Model) -> None:
        """Warns if no epoch could be judged."""
        if not self._has_values:
            wanted = f"`{self.monitor}`"
            if self.rule == "PQ":
                wanted += f" and `{self.train_monitor}`"
            self.warn(
                NoEffectWarning,
                f"found no {wanted} in the logs of this `fit`. Pass "
                "`validation_data` to `fit`, or name another loss with "
                "`monitor`.",
            )
        elif not self._losses and self.stopped_epoch is None:
            self.warn(
                NoEffectWarning,
                "found no epoch of the final network, which was pruned or "
                "edited up to the last one. Train longer, or let the "
                "schedule end earlier.",
            )

    def complete_epoch(self, epoch: int, logs: dict[str, Any]) -> None:
        """Judges an epoch before it is saved by an earlier callback."""
        self._judge(epoch, {**current_logs(self.model), **logs})

    def get_state(self) -> dict[str, Any]:
        """Returns the curves, for a resumed fit."""
        return {
            "epochs": list(self._epochs),
            "losses": list(self._losses),
            "training": list(self._training),
            "has_values": self._has_values,
            "stopped_epoch": self.stopped_epoch,
        }

    def _clear_curves(self) -> None:
        self._epochs: list[int] = []
        self._losses: list[float] = []
        self._training: list[float] = []

    def _judge(self, epoch: int, logs: dict[str, Any]) -> None:
        """Records an epoch and stops the training if the rule says so."""
        self._record(epoch, logs)
        if self._is_counted and self._should_stop():
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _record(self, epoch: int, logs: dict[str, Any]) -> None:
        """Appends the losses of an epoch to the curves, once."""
        if self._recorded_epoch == epoch:
            return
        self._clear_epoch()
        found = self._monitored(logs)
        if not found:
            return
        self._recorded_epoch, self._has_values = epoch, True
        if self._is_being_pruned():
            return
        self._is_counted = True
        self._diverged = not all(map(math.isfinite, found))
        if self._diverged:
            return
        self._epochs.append(epoch)
        self._losses.append(found[0])
        self._training.append(found[-1])
        self._loss_now = prechelt_rules.generalization_loss(self._losses)
        self._check_sign(min(found))

    def _clear_epoch(self) -> None:
        self._is_counted = self._diverged = False
        self._loss_now = math.nan

    def _monitored(self, logs: dict[str, Any]) -> list[float]:
        names = [self.monitor]
        if self.rule == "PQ":
            names.append(self.train_monitor)
        if any(logs.get(name) is None for name in names):
            return []
        return [float(logs[name]) for name in names]

    def _should_stop(self) -> bool:
        return self._diverged or prechelt_rules.should_stop(
            self.rule,
            self._losses,
            self._training,
            threshold=self._limit,
            strip=self.strip,
        )

    def _is_being_pruned(self) -> bool:
        others = self.other_callbacks(self.model)
        return not all(callback.is_complete for callback in others)

    def _check_sign(self, value: float) -> None:
        if value < 0.0 and self.rule != "UP":
            self.warn(
                NotIntendedUseWarning,
                f'the rule "{self.rule}" uses ratios of losses, which are '
                f"undefined below 0; found {value:g}. The rule does not stop "
                'training: use rule="UP", which only compares.',
            )


def _threshold(rule: str, value: float | None) -> float | None:
    if value is None:
        return None
    if rule == "UP":
        return check_integer(value, "threshold", minimum=1)
    return check_at_least_zero(value, "threshold")


def _loss_name(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(
            f"Argument `{name}` must be a string, a key of the logs. "
            f"Received: {name}={value!r}"
        )
    if _RISING.search(value):
        raise ValueError(
            f"Argument `{name}` must be a loss, where lower is better: the "
            "rules use ratios to the lowest value. Name the loss, or use "
            "keras.callbacks.EarlyStopping for this metric. "
            f"Received: {name}={value!r}"
        )
    return value
