"""Saves the best epoch that has reached the target sparsity."""

import os
from typing import Any

from keras_netopt.checks import check_fraction
from keras_netopt.graph.layers import has_all_weights
from keras_netopt.serialization import export_class
from keras_netopt.training import (
    Arrays,
    CheckpointState,
    NoEffectWarning,
    order,
)
from keras_netopt.training.callback_mixin import CallbackMixin
from keras_netopt.training.checkpoint_writer import CheckpointWriter
from keras_netopt.training.current_logs import current_logs

_TOLERANCE = 1e-6


@export_class
class BestCheckpoint(CallbackMixin, CheckpointWriter):
    """Saves the best epoch among those that have reached the target sparsity.

    The monitored metric is usually best in early epochs, when the model is
    still dense, and `ModelCheckpoint(save_best_only=True)` saves one of those.
    This callback compares only epochs after the end of the pruning schedule.
    List it after `Pruning`. A file is written beside its place and replaces
    the former one when it is whole.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(50)])
    >>> model.compile("adam", "mse")
    >>> x, y = np.random.normal(size=(64, 8)), np.zeros((64, 50))
    >>> best = netopt.callbacks.BestCheckpoint("best.keras", monitor="loss")
    >>> _ = model.fit(x, y, epochs=4, verbose=0, callbacks=[
    ...     netopt.callbacks.Pruning(0.9), best])
    >>> saved = keras.saving.load_model("best.keras")
    >>> float(np.mean(saved.layers[0].get_weights()[0] == 0))
    0.9

    Args:
        filepath: Where to save, ending in `.keras`, or in `.weights.h5` with
            `save_weights_only`.
        monitor: Key in `logs` to compare. Defaults to `"val_loss"`.
        mode: "min", "max" or "auto" (by the name). Defaults to `"auto"`.
        sparsity: Smallest `selected_sparsity` in `logs` of an epoch that is
            compared, the value that `Pruning(sparsity)` aims at, or
            `sparsity` where another callback logs only that; a float in
            [0, 1). Defaults to `None`: an epoch is compared if
            every `Pruning` and `ChannelPruning` of the `fit` call has reached
            the end of its schedule.
        save_weights_only: Whether to save weights only. Defaults to `False`.
        verbose: 1 prints a line per saved file. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; if the
            callback is listed before a `Pruning`, before the first step.
    """

    must_follow = ("Pruning",)

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        *,
        monitor: str = "val_loss",
        mode: str = "auto",
        sparsity: float | None = None,
        save_weights_only: bool = False,
        verbose: int = 0,
    ) -> None:
        _check_types(filepath, monitor, save_weights_only, verbose)
        if not isinstance(mode, str) or mode not in ("auto", "min", "max"):
            raise ValueError(
                "Argument `mode` must be 'auto', 'min' or 'max'. "
                f"Received: mode={mode!r}"
            )
        if sparsity is not None:
            sparsity = check_fraction(sparsity, "sparsity")
        super().__init__(
            filepath,
            monitor=monitor,
            mode=mode,
            verbose=verbose,
            save_best_only=True,
            save_weights_only=save_weights_only,
        )
        self.mode = mode
        self.sparsity = sparsity
        self._saved_epoch: int | None = None
        self._compared_epoch: int | None = None
        self._is_first_epoch = True

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras: resets the best value."""
        self._warned.clear()
        callbacks = order.active_callbacks()
        if callbacks:
            self.check_order(callbacks)
        super().on_train_begin(logs)
        self.best = None
        self._saved_epoch = self._compared_epoch = None
        self._is_first_epoch = True
        CheckpointState.of(self.model).states[type(self).__name__] = self

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras: a resumed `fit` call reads the saved file."""
        super().on_epoch_begin(epoch, logs)
        if self._is_first_epoch and epoch > 0 and os.path.exists(self.filepath):
            self._read_best()
        self._is_first_epoch = False

    def _read_best(self) -> None:
        saved = CheckpointState(self.model)
        try:
            saved.read(self.filepath)
        except ValueError as error:
            self.warn(
                NoEffectWarning,
                "the best value until now is unknown, so that the comparison "
                "starts anew and the next eligible epoch replaces the file: "
                f"{error}",
            )
            return
        values = saved.peek_values(type(self).__name__) or {}
        if values.get("monitor") == self.monitor:
            self.best, self._saved_epoch = values["best"], values["epoch"]

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Called whenever weights are saved, also by this callback."""
        best = None if self.best is None else float(self.best)
        epoch = getattr(self, "_current_epoch", None)
        return {"monitor": self.monitor, "best": best, "epoch": epoch}, {}

    def complete_epoch(self, epoch: int, logs: dict[str, Any]) -> None:
        """Called before weights are saved at the end of an epoch.

        A backup that is listed before this callback says that the epoch is
        complete: a resumed `fit` does not compare it again.
        """
        is_ours = any(one is self for one in order.active_callbacks())
        if is_ours and self.monitor in logs:
            self._compare(epoch, logs)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras: saves the epoch if it is eligible and the best."""
        self._compare(epoch, {} if logs is None else logs)

    def _compare(self, epoch: int, logs: dict[str, Any]) -> None:
        """Compares an epoch, once."""
        if epoch == self._compared_epoch or not self._is_eligible(logs):
            return
        self._compared_epoch = epoch
        model: Any = self.model
        if not model.built and has_all_weights(model):
            # Keras saves no other model. One that is never called as a whole,
            # such as a GAN, keeps the flag of a model without weights.
            model.built = True
        best = self.best
        super().on_epoch_end(epoch, logs)
        if self.best is not best:
            self._saved_epoch = epoch

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras: warns if no epoch reached the target sparsity.

        A process that was killed behind its last backup has no epoch left.
        """
        if self._is_first_epoch and os.path.exists(self.filepath):
            super().on_epoch_begin(self.params["epochs"] - 1)
            self._read_best()
        super().on_train_end(logs)
        states = CheckpointState.of(self.model).states
        if states.get(type(self).__name__) is self:
            del states[type(self).__name__]
        if self._saved_epoch is None:
            self.warn(
                NoEffectWarning,
                "no epoch reached the target sparsity with a "
                f"value of `{self.monitor}`, nothing was saved. Train longer "
                "or end the schedule earlier.",
            )

    def _is_eligible(self, logs: dict[str, Any]) -> bool:
        if self.sparsity is not None:
            logs = {**current_logs(self.model), **logs}
            reached = logs.get("selected_sparsity", logs.get("sparsity"))
            return reached is not None and bool(
                reached >= self.sparsity - _TOLERANCE
            )
        states = CheckpointState.of(self.model).states.values()
        return all(getattr(state, "is_complete", True) for state in states)


def _check_types(
    filepath: Any, monitor: Any, save_weights_only: Any, verbose: Any
) -> None:
    for name, value, kinds, words in (
        ("filepath", filepath, (str, os.PathLike), "a string or a path"),
        ("monitor", monitor, str, "a string, a key in `logs`"),
        ("save_weights_only", save_weights_only, bool, "a bool"),
        ("verbose", verbose, int, "0 or 1"),
    ):
        if not isinstance(value, kinds):
            raise TypeError(
                f"Argument `{name}` must be {words}. Received: {name}={value!r}"
            )
