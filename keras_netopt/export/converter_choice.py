"""Chooses the package that converts a model."""

import importlib.util

import keras

TENSORFLOW, LITERT_TORCH = CONVERTERS = ("tensorflow", "litert_torch")
INSTALL = 'pip install "keras-netopt[litert-torch]"'


def choose_converter(
    converter: str | None = None,
    *,
    sparse: bool = False,
    allow_select_tf_ops: bool = False,
) -> str:
    """Returns the name of an installed converter; the options must suit it.

    `None` stands for TensorFlow, and on the torch backend for litert-torch
    where TensorFlow is missing.
    """
    backend = keras.backend.backend()
    if converter not in (None, *CONVERTERS):
        raise ValueError(
            "Argument `converter` must be None, 'tensorflow' or "
            f"'litert_torch'. Received: converter={converter!r}"
        )
    if converter == LITERT_TORCH and backend != "torch":
        raise ValueError(
            "Argument `converter` must be 'tensorflow' unless Keras has the "
            f"torch backend. Received: converter={converter!r}, "
            f"backend={backend!r}"
        )
    has_tensorflow = importlib.util.find_spec(TENSORFLOW) is not None
    has_torch = importlib.util.find_spec(LITERT_TORCH) is not None
    if converter is None:
        uses_torch = backend == "torch" and has_torch and not has_tensorflow
        converter = LITERT_TORCH if uses_torch else TENSORFLOW
    if converter == TENSORFLOW:
        if not has_tensorflow:
            other = f", or `{INSTALL}`" if backend == "torch" else ""
            raise ImportError(
                "LiteRT files are converted by TensorFlow, on every backend, "
                "and TensorFlow is not installed. Run "
                f"`pip install tensorflow`{other}."
            )
        return TENSORFLOW
    if not has_torch:
        raise ImportError(
            "converter='litert_torch' requires the package litert-torch. Run "
            f"`{INSTALL}`."
        )
    if sparse or allow_select_tf_ops:
        name = "sparse" if sparse else "allow_select_tf_ops"
        raise ValueError(
            f"Argument `{name}` must be False for converter='litert_torch'. "
            f"Received: {name}=True. Pass converter='tensorflow'."
        )
    return LITERT_TORCH


def find_fixing(converter: str, target: str | None = None) -> str:
    """Returns the argument that requires inputs without free axes, or ""."""
    if target is not None:
        return f"target={target!r}"
    return f"converter={converter!r}" if converter == LITERT_TORCH else ""
