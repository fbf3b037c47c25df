"""Base class of callbacks that can be resumed."""

import copy
import json
import weakref
from collections.abc import Callable
from typing import Any

import keras

from keras_netopt.graph.layers import has_all_weights
from keras_netopt.points import RunLength, UnknownLengthError
from keras_netopt.training import order
from keras_netopt.training.callback_mixin import CallbackMixin
from keras_netopt.training.checkpoint_state import (
    POSITION,
    Arrays,
    CheckpointState,
)
from keras_netopt.training.lora_state import ENTRY, LoraState
from keras_netopt.training.progress import Progress
from keras_netopt.training.unknown_length import explain_unknown_length


class ResumableCallback(CallbackMixin, keras.callbacks.Callback):
    """Base class of callbacks whose state is part of every checkpoint.

    A subclass overrides four hooks. `on_model_ready` runs once per `fit` call
    as soon as the model is built, before the first step if possible, and
    raises all errors. `on_resume` runs at the first `on_epoch_begin`, after
    every other callback has restored its state; a resumed `fit` call that has
    no epoch left runs it before `on_fit_end`. `on_steps` runs after every
    execution of the training step, `on_fit_end` at the end of a `fit` call
    that did not raise.
    """

    def __init__(self) -> None:
        super().__init__()
        self._progress = Progress(RunLength(None, 0))
        self._attached = False
        self._started = False
        self._state_name = type(self).__name__
        self._log_suffix = ""
        self._loads_before = 0
        self._seen_model: weakref.ref[Any] | None = None
        self._trained: weakref.ref[Any] | None = None

    def on_model_ready(self, model: keras.Model) -> None:
        """Checks the settings against the model and prepares it."""

    def on_resume(self, model: keras.Model) -> None:
        """Continues at the position at which the `fit` call begins."""

    def on_length_known(self, model: keras.Model) -> None:
        """Continues once the first epoch of unknown length has ended.

        `self._progress.run` holds the length; `on_steps` follows.
        """

    def on_steps(self, before: int, after: int) -> None:
        """Acts on the points `before < u <= after`, in training steps."""

    def on_fit_end(self, model: keras.Model) -> None:
        """Completes the work of the callback."""

    def progress_logs(self) -> dict[str, float]:
        """Returns the values to add to the logs of batches and epochs."""
        return {}

    def get_state(self) -> dict[str, Any]:
        """Returns the JSON-safe state that a resumed `fit` call needs."""
        return {}

    def set_model(self, model: Any) -> None:
        """Called by Keras for `fit`, `evaluate` and `predict` alike."""
        super().set_model(model)
        seen = self._seen_model
        if model is None or (seen is not None and seen() is model):
            return
        self._seen_model = weakref.ref(model)
        self._loads_before = CheckpointState.of(model).loads

    def reset(self) -> None:
        """Resets the state of one model; called when another is trained."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        self._warned.clear()
        if self._trained is None or self._trained() is not self._model:
            self._trained = weakref.ref(self._model)
            self.reset()
        self._attached = self._started = False
        self._check_json()
        epochs = self.params["epochs"]
        self._progress = Progress(RunLength(self.params["steps"], epochs))
        callbacks = order.active_callbacks()
        self._choose_names(callbacks)
        if callbacks:
            self.check_order(callbacks)
        self._register_state(callbacks)
        if has_all_weights(self._model):
            self._attach()

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        if self._started:
            self._progress.begin_epoch(epoch)
        else:
            self._begin_fit(epoch)

    def _begin_fit(self, epoch: int) -> None:
        """Takes the position and all states of a resumed `fit` call."""
        self._started = True
        saved = self._saved_position()
        if self._progress.run.steps_per_epoch is None and saved.get("length"):
            self._progress.run = RunLength(
                saved["length"], self._progress.run.epochs
            )
            if self._attached:
                self.on_length_known(self.model)
        self._progress.begin_epoch(epoch, step=saved.get("step"))
        checkpoint_state = CheckpointState.of(self.model)
        checkpoint_state.repeat_restore_random()
        if checkpoint_state.loads > self._loads_before:
            checkpoint_state.restore_random()
        if self._attached:
            self._resume_lora()
            self.on_resume(self.model)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras. Reading `self.model` takes time on JAX: avoided."""
        before, after = self._progress.end_batch(batch)
        if not self._attached:
            self._attach()
            self.on_resume(self.model)
        self.on_steps(before, after)
        self._add_logs(logs, self.progress_logs())

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        if self._progress.learn_length() and self._attached:
            self.on_length_known(self.model)
            self.on_steps(self._progress.step, self._progress.step)
        self._add_logs(logs, self.progress_logs())

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras, but not when `fit` raises.

        A process that was killed behind its last backup has no epoch left.
        """
        state = CheckpointState.of(self._model)
        is_new = state.loads > self._loads_before
        if self._attached and not self._started and is_new:
            at = state.peek_values(POSITION) or self.params
            self._begin_fit(at["epochs"])
        if self._attached and self._started:
            self.on_fit_end(self.model)

    @property
    def is_complete(self) -> bool:
        """Whether the callback has made its last change to the model."""
        return True

    def loaded_state(self) -> tuple[dict[str, Any], Arrays] | None:
        """Returns this callback's state of a loaded checkpoint, once.

        It holds the values and arrays that `save_state` gave, and is `None`
        if no file was loaded since `set_model`.
        """
        found = self._take_loaded(self._state_name)
        if found is not None:
            self._check_settings(found[0].get("settings"))
        return found

    def load_state_of(self, name: str, load: Callable[[Arrays], Any]) -> None:
        """Passes the loaded arrays of another state to a function, if any."""
        found = self._take_loaded(name)
        if found is not None:
            load(found[1])

    def other_callbacks(self, model: keras.Model) -> list[Any]:
        """Lists the other resumable callbacks of this `fit` call."""
        states = CheckpointState.of(model).states.values()
        return [
            state
            for state in states
            if isinstance(state, ResumableCallback) and state is not self
        ]

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Called by `CheckpointState` whenever the weights are saved."""
        progress = copy.copy(self._progress)
        if order.find_ending_epoch() is not None:
            progress.learn_length()  # Saved before this callback's turn.
        values = {"settings": self._settings(), "step": progress.step}
        if self.params.get("steps") is None:
            values["length"] = progress.run.steps_per_epoch
        return {**values, **self.get_state()}, {}

    def _check_json(self) -> None:
        """Raises an error if a setting is not JSON-safe."""
        try:
            json.dumps(self._settings())
        except TypeError as error:
            raise TypeError(
                f"The settings of {type(self).__name__} must be JSON-safe, "
                "because checkpoints hold them: register functions and "
                "classes with keras.saving.register_keras_serializable. "
                f"Received: {self!r}"
            ) from error

    def _register_state(self, callbacks: list[Any]) -> None:
        states = CheckpointState.of(self._model).states
        for name, state in list(states.items()):
            if isinstance(state, ResumableCallback) and all(
                state is not c for c in callbacks
            ):
                del states[name]  # A callback of an earlier `fit` call.
        states[self._state_name] = self

    def _attach(self) -> None:
        try:
            self.on_model_ready(self.model)
        except UnknownLengthError as error:
            text = explain_unknown_length(self, self._progress.run)
            raise (ValueError(text) if text else error) from None
        LoraState.attach(self.model)
        self._attached = True

    def _resume_lora(self) -> None:
        state = LoraState.find(self.model)
        if state is None:
            return
        loaded = self._take_loaded(ENTRY)
        if loaded is not None:
            state.restore(loaded[1])
        state.warn_dead()

    def _take_loaded(self, name: str) -> tuple[dict[str, Any], Arrays] | None:
        checkpoint_state = CheckpointState.of(self._model)
        is_new = checkpoint_state.loads > self._loads_before
        return checkpoint_state.take_loaded(name) if is_new else None

    def _saved_position(self) -> dict[str, Any]:
        checkpoint_state = CheckpointState.of(self._model)
        if checkpoint_state.loads <= self._loads_before:
            return {}
        return checkpoint_state.peek_values(self._state_name) or {}

    def _add_logs(
        self, logs: dict[str, Any] | None, values: dict[str, float]
    ) -> None:
        if logs is not None:
            logs.update({k + self._log_suffix: v for k, v in values.items()})

    def _choose_names(self, callbacks: list[Any]) -> None:
        name = type(self).__name__
        own = [c for c in callbacks if type(c).__name__ == name]
        where = next((i for i, c in enumerate(own) if c is self), 0)
        self._state_name = f"{name}{where or ''}"
        keys = self.log_keys or object()  # Without keys there is no number.
        same = [c for c in callbacks if getattr(c, "log_keys", None) is keys]
        own = [c for c in same if c.log_names() == self.log_names()]
        where = next((i for i, c in enumerate(own) if c is self), 0)
        self._log_suffix = f"_{where}" if where else ""

    def _check_settings(self, saved: dict[str, Any] | None) -> None:
        own = json.loads(json.dumps(self._settings()))
        if saved is None or saved == own:
            return
        names = [k for k in {**own, **saved} if own.get(k) != saved.get(k)]
        was = ", ".join(f"{k}={saved.get(k)!r}" for k in names)
        now = ", ".join(f"{k}={own.get(k)!r}" for k in names)
        raise ValueError(
            f"The saved state belongs to a {type(self).__name__} with other "
            f"settings: {was}. Use the same ones, or remove the checkpoint. "
            f"Received: {now}"
        )
