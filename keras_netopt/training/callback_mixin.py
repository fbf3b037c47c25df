"""Mixin of every callback of this package."""

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_netopt.training import order
from keras_netopt.training.backup_folder import mend_backup
from keras_netopt.training.captured_arguments import CapturedArguments
from keras_netopt.warnings import NoEffectWarning, NotIntendedUseWarning


class CallbackMixin(CapturedArguments):
    """Adds order rules and warnings to a Keras callback.

    A subclass declares with which callbacks it can share a `fit` call. Each
    rule is the name of a class, its own or a parent's, optionally with one
    attribute, as in "EarlyStopping(restore_best_weights=True)". Subclasses
    inherit the rules.

    Attributes:
        must_follow: Callbacks that must be listed before this one, else a
            ValueError.
        should_precede: Callbacks that should be listed after this one, else
            a warning.
        conflicts_with: Callbacks that cannot be used in the same `fit` call.
        data_args: Arguments that hold data and are not saved.
        selector_args: Arguments that are selectors of layers or weights.
        log_keys: Keys that the callback adds to `logs`, with their meaning
            and unit. `<attr>` in a key stands for the value of the attribute
            `attr`. A second callback of the same class appends `_1`, a third
            one `_2`.
    """

    must_follow: tuple[str, ...] = ()
    should_precede: tuple[str, ...] = ()
    conflicts_with: tuple[str, ...] = ()
    log_keys: Mapping[str, str] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._warned: set[str] = set()

    def set_model(self, model: Any) -> None:
        """Called by Keras; repairs the backup that `fit` will restore."""
        super().set_model(model)  # type: ignore[misc]
        for callback in order.active_callbacks():
            if isinstance(callback, keras.callbacks.BackupAndRestore):
                epochs = order.find_fit_arguments(model).get("epochs")
                found = mend_backup(callback.backup_dir, epochs)
                if found is not None:
                    self.warn(NoEffectWarning, found)

    def check_order(self, callbacks: Sequence[Any]) -> None:
        """Applies the rules to all callbacks of a `fit` call, in list order."""
        order.refuse_conflicts(self, callbacks, self.conflicts_with)
        order.require_order(self, callbacks, self.must_follow)
        early = order.find_misplaced(
            self, callbacks, self.should_precede, after=False
        )
        if early:
            names = ", ".join(type(c).__name__ for c in early)
            self.warn(
                NotIntendedUseWarning,
                f"it should come before {names} in the list of callbacks, so "
                "that what they save and log is the current state.",
            )

    def log_names(self) -> tuple[str, ...]:
        """Returns the keys of `log_keys` with attributes filled in."""
        return tuple(
            re.sub(r"<(\w+)>", lambda match: getattr(self, match[1]), key)
            for key in self.log_keys
        )

    def report_error(self, missing: str) -> ValueError:
        """Returns the error of `report()` before there is a result."""
        return ValueError(
            f"{type(self).__name__} has no {missing} to report: pass the "
            f"callback to `fit` first. Received: {self!r}"
        )

    def warn(self, category: type[Warning], text: str) -> None:
        """Warns under the name of the class, once per `fit` call."""
        if text not in self._warned:
            self._warned.add(text)
            message = f"{type(self).__name__}: {text}"
            warnings.warn(message, category, stacklevel=2)
