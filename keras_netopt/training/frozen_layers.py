"""The layers of a model that a callback freezes and opens inside `fit`."""

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.training.trainable_flags import FlagMemory, set_frozen
from keras_netopt.training.weight_store import read

_ATTRIBUTE = "_netopt_frozen_layers"


class FrozenLayers:
    """Groups of layers, each of which is open or frozen.

    All groups are open at first. The model holds the object until
    `release_all`, so that a `fit` call that was interrupted can be followed
    by another one.
    """

    def __init__(
        self, model: keras.Model, groups: Sequence[Iterable[keras.Layer]]
    ) -> None:
        self._model = model
        self._memories = [FlagMemory(layers) for layers in groups]
        self._open = set(range(len(self._memories)))
        object.__setattr__(model, _ATTRIBUTE, self)

    def set_open(self, wanted: Iterable[int]) -> None:
        """Opens these groups and freezes the others."""
        new = set(wanted)
        changes = {
            memory: number not in new
            for number, memory in enumerate(self._memories)
            if (number in new) != (number in self._open)
        }
        if changes:
            set_frozen(self._model, changes)
        self._open = new

    def checksums(self) -> dict[str, int]:
        """Returns a checksum of every frozen weight, by path."""
        return {
            variable.path: zlib.crc32(read(variable).tobytes())
            for number, memory in enumerate(self._memories)
            if number not in self._open
            for variable in memory.weights
        }

    @staticmethod
    def release_all(model: keras.Model) -> None:
        """Opens every group of a model, and forgets them."""
        held = vars(model).get(_ATTRIBUTE)
        if held is not None:
            held.set_open(range(len(held._memories)))
            object.__delattr__(model, _ATTRIBUTE)


def count_trainable(model: Any) -> int:
    """Counts the trainable parameters of a model."""
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)
