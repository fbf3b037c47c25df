"""Imports tf_keras, or says how to install it."""

from typing import Any

INSTALL = "pip install tf_keras tensorflow-model-optimization"


def import_tf_keras() -> Any:
    """Returns the module tf_keras.

    Raises ImportError with the command that installs it.
    """
    try:
        import tf_keras
    except ImportError as error:
        raise ImportError(
            "The bridge to tensorflow-model-optimization requires tf_keras "
            f"and tensorflow. Run `{INSTALL}`."
        ) from error
    return tf_keras
