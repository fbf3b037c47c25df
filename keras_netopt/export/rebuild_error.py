"""The error of a model that another process cannot rebuild."""

import re

import keras

from keras_netopt.export.export_error import ExportError

LONGEST = 300


def explain_rebuild_error(kind: str, text: str) -> ExportError:
    """Names the reason and the remedy; `kind` is the error's class."""
    return ExportError(
        f"On the {keras.backend.backend()} backend a model is exported from a "
        "copy that is rebuilt under TensorFlow, and this model could not be "
        f"rebuilt: {kind}: {find_reason(text)}. Its classes must have a "
        "complete `get_config`, create all weights in `__init__` or `build`, "
        "and compute with `keras.ops`."
    )


def find_reason(text: str) -> str:
    """Returns the innermost reason in an error of Keras, on one line.

    Example:

    >>> find_reason("Not deserialized.\\n\\nException encountered: no\\nsize")
    'no size'
    """
    text = re.sub(r"\x1b\[\d+m", "", text)
    text = re.split(r"(?:Exception|Error) encountered:", text)[-1]
    for end in ("\n\nArguments received by", "\n\nExample:", "\n\nFull object"):
        text = text.partition(end)[0]
    return " ".join(text.split()).rstrip(".")[:LONGEST]
