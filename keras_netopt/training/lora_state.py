"""LoRA pairs in checkpoints.

Keras saves a layer with LoRA as one kernel, the product of the pair added, and
sets the pair to zero when it loads that. Of two zero matrices neither has a
gradient: a resumed training would leave the layer as it is.
"""

import warnings
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layers import own_variables, walk_paths
from keras_netopt.training.checkpoint_state import Arrays, CheckpointState
from keras_netopt.training.weight_store import read
from keras_netopt.warnings import NotIntendedUseWarning

ENTRY = "lora"


class LoraState:
    """The weights of all layers with LoRA, as they are in training.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> model.layers[0].enable_lora(2)
    >>> _, arrays = LoraState(model).save_state()
    >>> [array.shape for array in arrays.values()]
    [(4, 3), (3,), (4, 2), (2, 3)]

    Args:
        model: A built model.
    """

    def __init__(self, model: keras.Model) -> None:
        self._adapted = [
            (path or model.name, layer)
            for path, layer in walk_paths(model)
            if getattr(layer, "lora_enabled", False)
        ]
        self._has_warned = False

    @classmethod
    def attach(cls, model: keras.Model) -> None:
        """Adds the state to what is saved with a model that has LoRA."""
        states = CheckpointState.of(model).states
        states.pop(ENTRY, None)
        found = cls(model)
        if found._adapted:
            states[ENTRY] = found

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Returns the weights by the number of the layer and of the weight."""
        found = {
            f"{k}.{i}": read(variable)
            for k, (_, layer) in enumerate(self._adapted)
            for i, variable in enumerate(own_variables(layer))
        }
        return {"layers": [path for path, _ in self._adapted]}, found

    @staticmethod
    def find(model: keras.Model) -> "LoraState | None":
        """Returns the state of a model that has LoRA, or `None`."""
        found = CheckpointState.of(model).states.get(ENTRY)
        return found if isinstance(found, LoraState) else None

    def restore(self, arrays: Arrays) -> None:
        """Assigns what `save_state` returned, also of another process.

        Raises:
            ValueError: If other layers have LoRA now, or with another rank.
        """
        shapes = {
            key: array.shape for key, array in self.save_state()[1].items()
        }
        saved = {key: array.shape for key, array in arrays.items()}
        if shapes != saved:
            raise ValueError(
                "The checkpoint holds LoRA pairs of other layers or of another "
                f"rank: weights of shapes {list(saved.values())}. Enable LoRA "
                "as before, or remove the checkpoint. Received: "
                f"{[path for path, _ in self._adapted]} with shapes "
                f"{list(shapes.values())}"
            )
        for k, (_, layer) in enumerate(self._adapted):
            for i, variable in enumerate(own_variables(layer)):
                variable.assign(arrays[f"{k}.{i}"])

    def warn_dead(self) -> None:
        """Warns, once, of pairs of zeros, which cannot train."""
        dead = [
            path
            for path, layer in self._adapted
            if not any(
                np.any(read(variable))
                for variable in own_variables(layer)
                if variable.name.startswith("lora_")
            )
        ]
        if dead and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"The LoRA pair of {', '.join(dead)} is zero and has no "
                "gradient: Keras sets both matrices to zero when weights are "
                "loaded. Use `sparsity.enable_lora`, whose layers train on, or "
                "load the weights before `layer.enable_lora`.",
                NotIntendedUseWarning,
                stacklevel=4,
            )
