"""Rebuilds a saved model under TensorFlow, in the converter's process."""

import os
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import keras

from keras_netopt.export.portable_model import MODEL, PARTS
from keras_netopt.export.saved_model import write_saved_model
from keras_netopt.export.trained_ranges import apply_ranges


def rebuild_model(
    folder: str, target: str, report: Callable[[str], None]
) -> None:
    """Writes a SavedModel of the model that `save_portable` saved.

    `report` is called with what is done next.
    """
    report("rebuilt the model under TensorFlow")
    with open(os.path.join(folder, PARTS), "rb") as file:
        objects = pickle.load(file)
        parts = pickle.load(file)
    for name, value in parts["settings"].items():
        getattr(keras.config, f"set_{name}")(value)
    with warnings.catch_warnings(), keras.saving.custom_object_scope(objects):
        warnings.simplefilter("ignore")
        path = os.path.join(folder, MODEL)
        model = keras.saving.load_model(path, compile=False, safe_mode=False)
        if _shapes(model) != parts["shapes"]:
            # Keras records the shapes of one positional argument alone.
            model(*keras.tree.map_structure(_zeros, parts["signature"]))
            model.load_weights(path)
    if _shapes(model) != parts["shapes"]:
        raise ValueError(
            f"the rebuilt model has {len(model.weights)} weights instead of "
            f"{len(parts['shapes'])}, or other shapes"
        )
    report("traced the model")
    with apply_ranges(model, parts["ranges"]):
        write_saved_model(model, parts["signature"], target)


def _shapes(model: keras.Model) -> list[tuple[int, ...]]:
    return [tuple(variable.shape) for variable in model.weights]


def _zeros(spec: keras.InputSpec) -> Any:
    return keras.ops.zeros([axis or 1 for axis in spec.shape], spec.dtype)
