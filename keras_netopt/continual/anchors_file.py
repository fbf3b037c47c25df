"""Files of anchors, for further tasks in another process."""

import json
from pathlib import Path

import keras
import numpy as np

from keras_netopt.continual.anchors import Anchors
from keras_netopt.files import name_unreadable, write_aside

REMEDY = "Consolidate the task again and call `save`."


def save_anchors(
    anchors: Anchors, filepath: str | Path, model: keras.Model
) -> None:
    """Writes the anchors of a model's weights to an ".npz" file."""
    values, arrays = anchors.to_state(model)
    if not values["places"]:
        raise ValueError(
            "Argument `model` must hold consolidated weights. "
            f"Received: model={model.name!r}, which holds none"
        )
    text = np.frombuffer(json.dumps(values).encode(), "uint8")
    with write_aside(filepath) as partial, open(partial, "wb") as file:
        np.savez(file, **{"meta": text, **arrays})


def load_anchors(filepath: str | Path, model: keras.Model) -> Anchors:
    """Reads the anchors of a model's weights."""
    with (
        name_unreadable(filepath, "anchors of weights", REMEDY),
        open(filepath, "rb") as file,  # Numpy leaves a damaged one open.
        np.load(file) as held,
    ):
        arrays = dict(held)
        values = json.loads(arrays.pop("meta").tobytes().decode())
    return Anchors.from_state(model, values, arrays)
