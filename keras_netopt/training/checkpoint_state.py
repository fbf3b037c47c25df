"""State of this package in a model's weights file.

Keras saves the attributes of a model in `save_weights`, `.keras` files and
`BackupAndRestore`; this module adds one attribute. A model without it ignores
the group in the file, and a file without the group loads no state.
Private names of Keras 3.15: `KerasSaveable`, `_obj_type`.
"""

import contextlib
import io
import json
import os
import weakref
import zipfile
from typing import Any, Protocol

import keras
import numpy as np

from keras_netopt.files import name_unreadable
from keras_netopt.training import order, randomness
from keras_netopt.training.optimizers import count_updates

# The base class that Keras' saving code requires, found by the public
# `keras.layers.Layer`.
_KerasSaveable: Any = next(
    base
    for base in keras.layers.Layer.__mro__
    if base.__name__ == "KerasSaveable"
)
_ATTRIBUTE = "_netopt"
_META = "meta"
_RANDOM = "random"
POSITION = "position"

Arrays = dict[str, np.ndarray]
State = tuple[dict[str, Any], Arrays]


class Stateful(Protocol):
    """An object whose state is saved.

    One that acts at the end of an epoch has a method `complete_epoch(epoch,
    logs)` too: it is called before the states are saved by a callback that is
    listed earlier, and does then what would be done later.
    """

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Returns JSON-safe values and arrays; changes nothing."""
        ...


class CheckpointState(_KerasSaveable):
    """The attribute that this package adds to a model.

    It holds stateful objects by name (the mask store, each callback), saves
    their state with the weights, and holds loaded states until their owners
    take them. `loads` counts the files that held such states.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = weakref.ref(model)
        self.states: dict[str, Stateful] = {}
        self.loads = 0
        self._loaded: dict[str, State] = {}
        self._repeated: tuple[int, Arrays] | None = None

    @classmethod
    def of(cls, model: keras.Model) -> "CheckpointState":
        """Returns the checkpoint state of a model; creates it if missing."""
        found = cls.find(model)
        if found is None:
            found = cls(model)
            object.__setattr__(model, _ATTRIBUTE, found)
        return found

    @classmethod
    def find(cls, model: keras.Model) -> "CheckpointState | None":
        """Returns the checkpoint state of a model or `None`."""
        found = vars(model).get(_ATTRIBUTE)
        return found if isinstance(found, cls) else None

    def peek_values(self, name: str) -> dict[str, Any] | None:
        """Returns the JSON values of a loaded state and keeps the state."""
        found = self._loaded.get(name)
        return None if found is None else found[0]

    def take_loaded(self, name: str) -> State | None:
        """Returns values and arrays of a loaded state, once, or `None`."""
        return self._loaded.pop(name, None)

    def restore_random(self, *, repeat_in_fit: bool = False) -> None:
        """Restores the random state that was loaded from a file, once.

        A callback calls it at its first `on_epoch_begin`, after which nothing
        draws random numbers before the first batch. With `repeat_in_fit` the
        next `fit` call restores it again: on torch `fit` draws numbers before
        its first epoch, so a state that is restored before `fit` changes.
        """
        model, random = self._model(), self._loaded.pop(_RANDOM, None)
        if random is not None and model is not None:
            randomness.restore_random_state(model, random[1])
            if repeat_in_fit:
                self._repeated = (count_updates(model.optimizer), random[1])

    def repeat_restore_random(self) -> None:
        """Called at the first epoch begin; drops a state from before steps."""
        model, repeated = self._model(), self._repeated
        self._repeated = None
        if repeated is not None and model is not None:
            if count_updates(model.optimizer) == repeated[0]:
                randomness.restore_random_state(model, repeated[1])

    def read(self, path: str | os.PathLike[str], needs: str = "") -> bool:
        """Reads this package's group of a `.keras` or `.weights.h5` file.

        Nothing changes if the file lacks the state `needs`. Returns whether
        states were read.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file cannot be read; the state does not change.
        """
        import h5py

        remedy = "Save the model again, or pass an older file."
        with (
            name_unreadable(path, "weights of a Keras model", remedy),
            contextlib.ExitStack() as stack,
        ):
            source: Any = os.fspath(path)
            if zipfile.is_zipfile(source):
                archive = stack.enter_context(zipfile.ZipFile(source))
                source = io.BytesIO(archive.read("model.weights.h5"))
            file = stack.enter_context(h5py.File(source, "r"))
            group = file.get(f"{_ATTRIBUTE}/vars", {})
            found = _unpack({k: group[k][()] for k in group})
        return self._hold(found, needs)

    def _obj_type(self) -> str:
        # Keras saves an attribute of a model if it is a `KerasSaveable`, and
        # raises for a type that is not one of its own. The type only selects
        # the attributes that are not visited. "Loss" is the type without
        # variables and children: Keras calls `save_own_variables` and
        # `load_own_variables` of this object and does nothing else.
        return "Loss"

    def save_own_variables(self, store: Any) -> None:
        """Writes every state; called by Keras."""
        if not self.states:
            return
        model = self._model()
        self._complete_epoch()
        states = {name: e.save_state() for name, e in self.states.items()}
        if model is not None:
            states[_RANDOM] = ({}, randomness.capture_random_state(model))
            complete = order.find_complete_epochs(model)
            if complete is not None:
                # A callback has ended the fit, at the end of this epoch.
                stops = order.find_ending_epoch() and model.stop_training
                position = {"epochs": complete, "stops": bool(stops)}
                states[POSITION] = (position, {})
        meta: dict[str, Any] = {}
        for name, (values, arrays) in states.items():
            meta[name] = {"values": values, "arrays": list(arrays)}
            for i, array in enumerate(arrays.values()):
                store[f"{name}.{i}"] = array
        text = json.dumps(meta, sort_keys=True).encode()
        store[_META] = np.frombuffer(text, dtype="uint8")

    def _complete_epoch(self) -> None:
        """A resumed `fit` call does not repeat an epoch that is ending."""
        ending = order.find_ending_epoch()
        if ending is None:
            return
        for state in list(self.states.values()):
            complete = getattr(state, "complete_epoch", None)
            if complete is not None:
                complete(*ending)

    def load_own_variables(self, store: Any) -> None:
        """Holds loaded states until their owners take them; called by Keras."""
        self._hold(_unpack(store))

    def _hold(self, found: dict[str, State], needs: str = "") -> bool:
        if not found or (needs and needs not in found):
            return False
        self.loads += 1
        self._loaded = found
        return True


def _unpack(store: Any) -> dict[str, State]:
    """Returns values and arrays of each state in a file."""
    if _META not in store.keys():
        return {}
    meta = json.loads(np.asarray(store[_META]).tobytes().decode())
    return {
        name: (
            state["values"],
            {
                key: np.array(store[f"{name}.{i}"])
                for i, key in enumerate(state["arrays"])
            },
        )
        for name, state in meta.items()
    }


def read_position(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Reads at which point of a `fit` call weights were saved.

    "epochs" is the number of complete epochs, "stops" whether a callback had
    ended the training. Returns `None` if the file holds no such state.
    """
    import h5py

    with h5py.File(path, "r") as file:
        meta = file.get(f"{_ATTRIBUTE}/vars/{_META}")
        if meta is None:
            return None
        states = json.loads(meta[()].tobytes().decode())
    return states.get(POSITION, {}).get("values")
