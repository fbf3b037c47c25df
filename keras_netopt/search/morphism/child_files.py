"""Saves children as `.keras` files and loads them, compiled as their parent.

Every child starts from a file, so that no edit can reach the model it
inherits from, and a resumed search starts from the same state.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_netopt.files import name_unreadable, write_aside
from keras_netopt.graph.layers import walk_layers
from keras_netopt.training.compiled_clone import compile_like
from keras_netopt.training.optimizers import (
    build_optimizer,
    find_slots,
    innermost_optimizer,
)
from keras_netopt.training.weights_file import check_room

REMEDY = (
    "Copy the file from elsewhere, or start the search again with "
    "`overwrite=True`; the results are in journal.json."
)
PARENT = "parent.keras"
Rebuild = Callable[[keras.Model], keras.Model]


class ChildFiles:
    """The files of a search.

    Args:
        folder: The folder of the project.
        parent: The compiled model from which the search starts; it is only
            read.
        rate: The learning rate of children; `None` is the parent's own.
    """

    def __init__(
        self, folder: Path, parent: keras.Model, rate: float | None
    ) -> None:
        self.folder = folder
        self._parent = parent
        self._rate = rate
        self._classes = {
            type(one).__name__: type(one) for one in walk_layers(parent)
        }

    def save(self, model: keras.Model, name: str) -> None:
        """Writes a file; a reader never sees half of it."""
        with write_aside(self.folder / name) as partial:
            check_room(model, partial)
            model.save(partial)

    def save_parent(self) -> None:
        """Writes the file of the parent, and checks that it can be loaded.

        Raises:
            ValueError: If the file does not restore the parent.
        """
        parent = self._parent
        try:
            self.save(parent, PARENT)
            copy = self.load(PARENT)
        # Layers of users raise errors of any type in `get_config`.
        except Exception as error:
            raise ValueError(
                "Argument `parent` must be a model that can be saved as a "
                f"`.keras` file and loaded again, but: {error}. Give its "
                "layers a complete `get_config`. "
                f"Received: parent={parent.name!r}"
            ) from error
        pairs = zip(copy.get_weights(), parent.get_weights(), strict=True)
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in pairs):
            raise ValueError(
                "Argument `parent` must be a model whose `.keras` file "
                f"restores all weights. Received: parent={parent.name!r}, "
                "whose weights differ after loading"
            )

    def load(
        self,
        name: str,
        *,
        rebuild: Rebuild | None = None,
        inherit: bool = True,
    ) -> keras.Model:
        """Loads a model, compiled, with the state of its optimizer.

        Args:
            name: The file.
            rebuild: Makes another model of the same layers before it is
                compiled. Defaults to `None`.
            inherit: Whether the weights and the optimizer's state are those
                of the file, or new. Defaults to `True`.
        """
        model = self._load(name)
        if not inherit:
            model = keras.models.clone_model(model)
        changed = model if rebuild is None else rebuild(model)
        self._compile(changed)
        if not inherit:
            return changed
        if changed is not model:
            self._compile(model)
        with warnings.catch_warnings():
            if name == PARENT:  # Its optimizer may be new: zero slots.
                warnings.filterwarnings("ignore", "Skipping variable loading")
            model.load_weights(self.folder / name)
        if changed is not model:
            _copy_slots(model, changed)
        return changed

    def _compile(self, model: keras.Model) -> None:
        compile_like(model, self._parent, self._rate)
        build_optimizer(model)

    def _load(self, name: str) -> Any:
        with (
            name_unreadable(self.folder / name, "a trained network", REMEDY),
            keras.saving.custom_object_scope(self._classes),
        ):
            return keras.saving.load_model(
                self.folder / name, compile=False, safe_mode=False
            )


def _copy_slots(source: keras.Model, target: keras.Model) -> None:
    """Gives the optimizer of a model the state of variables it shares."""
    target.optimizer.iterations.assign(source.optimizer.iterations)
    old, new = (innermost_optimizer(m.optimizer) for m in (source, target))
    new.iterations.assign(old.iterations)
    for variable in target.trainable_variables:
        pairs = zip(
            find_slots(source.optimizer, variable),
            find_slots(target.optimizer, variable),
            strict=True,
        )
        for one, other in pairs:
            other.assign(one)
