"""Writes the SavedModel that TensorFlow's converter reads."""

import functools
from typing import Any

import keras


def write_saved_model(
    model: keras.Model, signature: list[Any], folder: str
) -> None:
    """Writes what `model.export(format="litert")` converts.

    Requires the TensorFlow backend. `signature` is one structure of
    `keras.InputSpec` per positional argument.
    """
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serve",
        functools.partial(model.__call__, training=False),
        input_signature=signature,
    )
    archive.write_out(folder, verbose=False)
