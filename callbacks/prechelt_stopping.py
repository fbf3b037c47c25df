"""Ends `fit` by the rules of Prechelt."""

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
    order,
)
from keras_netopt.training.order import LOGGERS

# How names of metrics end that are better the higher they are.
_RISING = re.compile(
    r"(^|_)(acc|accuracy|auc|precision|recall|f1_score|fbeta_score|r2_score|io_?u"
    r"|sensitivity|specificity|true_positives|true_negatives"
    r"|precision_at_recall|recall_at_precision|sensitivity_at_specificity"
    r"|specificity_at_sensitivity|similarity|correlation)(_\d+)?$"
)


@export_class
class PrecheltStopping(ResumableCallback):
    """Ends `fit` where the validation loss has risen too far above its best.

    Keras' `EarlyStopping` counts epochs without a new best value. These rules
    look at how much is lost, and "PQ" weighs it against what the training
    loss still gains:

    - "GL": the generalization loss, in percent above the lowest validation
      loss so far, exceeds `threshold`, at any epoch;
    - "PQ": at the end of a strip of epochs, it exceeds `threshold` times the
      progress of the training loss in that strip, in thousandths;
    - "UP": at the end of a strip, the validation loss has risen over
      `threshold` strips in a row, however little.

    No rule is sure to end a fit: `epochs` does. It restores no weights: put
    `keras.callbacks.ModelCheckpoint(path, save_best_only=True)` beside it,
    or `BestCheckpoint` beside `Pruning`. `generalization_loss` is in the
    logs of every epoch. `stopped_epoch` is the epoch at which the fit was
    ended, from 0, or `None`; `best_epoch` the one with the lowest value.

    Epochs without the monitored value (`validation_freq`) do not count, nor
    do those at whose end a `Pruning` or `ChannelPruning` is still on its way:
    a loss that rises as weights are taken is no overfitting. Where the model
    changes its shape, as under `Growing`, the record begins anew, and with it
    `best_epoch`. In epochs that do not count the log says `nan`.

    A value that is NaN or infinite ends the fit at once. Ratios to a loss
    below 0 mean nothing: "GL" and "PQ" then warn and let the fit run, "UP"
    only compares and works.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> layer = keras.layers.Dense(1, kernel_initializer="zeros")
    >>> model = keras.Sequential([keras.Input((1,)), layer])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((64, 1), "float32")  # Held-out data say the opposite.
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
        strip: Epochs of a strip, at least 1, and 2 for "PQ"; "GL" has none.
            Defaults to `5`.
        monitor: Key of the logs, a loss. Defaults to `"val_loss"`.
        train_monitor: Key of the logs, a loss; only "PQ" reads it. Defaults
            to `"loss"`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or a metric is named that
            is better the higher it is.

    Reference:
        Prechelt, "Early stopping - but when?", in *Neural Networks: Tricks of
        the Trade*, 1998, https://doi.org/10.1007/3-540-49430-8_3 (alpha and s
        are `threshold`, k is `strip`).
    """

    should_precede = LOGGERS
    log_keys = {
        "generalization_loss": "`monitor` above its lowest value, in percent"
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
        """Resets what belongs to one model."""
        self.stopped_epoch: int | None = None
        self._heard = False
        self._noted: int | None = None
        self._begin_epoch_record()
        self._begin_record()

    @property
    def best_epoch(self) -> int | None:
        """The epoch with the lowest value, from 0; `None` before any."""
        if not self._losses:
            return None
        return self._epochs[self._losses.index(min(self._losses))]

    def on_resume(self, model: keras.Model) -> None:
        """Begins a record, or takes up that of a resumed fit."""
        self.reset()
        saved = self.loaded_state()
        if saved is not None:
            facts = saved[0]
            self._epochs.extend(facts["epochs"])
            self._losses.extend(facts["losses"])
            self._training.extend(facts["training"])
            self._heard = facts["heard"]

    def after_edit(self, model: keras.Model) -> None:
        """Begins the record anew: the losses were another network's."""
        self._begin_record()

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras: notes the losses and applies the rule."""
        super().on_epoch_end(epoch, logs)
        logs = {} if logs is None else logs
        self._note(epoch, logs)
        self._add_logs(logs, {"generalization_loss": self._loss_now})
        if self._counts and self._is_due():
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_fit_end(self, model: keras.Model) -> None:
        """Says where there was nothing to decide by."""
        if not self._heard:
            wanted = f"`{self.monitor}`"
            if self.rule == "PQ":
                wanted += f" and `{self.train_monitor}`"
            self.warn(
                NoEffectWarning,
                f"looked for {wanted} in the logs of the epochs, found none "
                "in this fit. Pass `validation_data` to `fit`, or name "
                "another loss with `monitor`.",
            )
        elif not self._losses and self.stopped_epoch is None:
            self.warn(
                NoEffectWarning,
                "looked for epochs of the finished network, found none: it "
                "was pruned or edited up to the end. Train longer, or let "
                "the schedule end earlier.",
            )

    def get_state(self) -> dict[str, Any]:
        """Returns the record that a resumed fit takes up."""
        ending = order.find_ending_epoch()
        if ending is not None:  # What saves may stand before us in the list.
            self._note(*ending)
        return {
            "epochs": list(self._epochs),
            "losses": list(self._losses),
            "training": list(self._training),
            "heard": self._heard,
        }

    def _begin_record(self) -> None:
        self._epochs: list[int] = []
        self._losses: list[float] = []
        self._training: list[float] = []

    def _note(self, epoch: int, logs: dict[str, Any]) -> None:
        """Takes the losses of an epoch, once."""
        if self._noted == epoch:
            return
        self._begin_epoch_record()
        found = self._found(logs)
        if not found:
            return
        self._noted, self._heard = epoch, True
        if self._is_being_pruned():
            return
        self._counts = True
        self._diverged = not all(map(math.isfinite, found))
        if self._diverged:
            return
        self._epochs.append(epoch)
        self._losses.append(found[0])
        self._training.append(found[-1])
        self._loss_now = prechelt_rules.generalization_loss(self._losses)
        self._check_sign(min(found))

    def _begin_epoch_record(self) -> None:
        self._counts = self._diverged = False
        self._loss_now = math.nan

    def _found(self, logs: dict[str, Any]) -> list[float]:
        names = [self.monitor]
        if self.rule == "PQ":
            names.append(self.train_monitor)
        if any(logs.get(name) is None for name in names):
            return []
        return [float(logs[name]) for name in names]

    def _is_due(self) -> bool:
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
                f'the rule "{self.rule}" takes ratios of losses, which mean '
                f"nothing below 0; found {value:g}. The fit goes on to its "
                'last epoch: use rule="UP", which only compares.',
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
            f"Argument `{name}` must be a loss, the lower the better, for "
            "the rules compare by ratios to the lowest value. Name the loss "
            "itself, or use keras.callbacks.EarlyStopping for this metric. "
            f"Received: {name}={value!r}"
        )
    return value
