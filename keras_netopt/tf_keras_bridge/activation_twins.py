"""Finds the function in tf_keras of an activation of Keras 3."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_netopt.tf_keras_bridge.obstacle import NoTwinError

_OTHER_NAMES = {"silu": "swish", "hard_swish": "hard_silu"}


def find_activation(function: Any, twins: Mapping[Any, Any]) -> Any:
    """Returns the name of an equal activation of tf_keras, or a function.

    `twins` are the user's. Raises NoTwinError if there is none.
    """
    from keras_netopt.tf_keras_bridge import tf_functions

    if function is None:
        return None
    try:
        if function in twins:
            return twins[function]
    except TypeError:
        pass  # Not hashable.
    name = getattr(function, "__name__", type(function).__name__)
    is_known = any(
        getattr(module, name, None) is function
        for module in (keras.activations, keras.ops)
    )
    name = _OTHER_NAMES.get(name, name)
    if is_known and name in tf_functions.FUNCTIONS:
        return tf_functions.FUNCTIONS[name]
    if is_known and (name in tf_functions.SAME or name == "swish"):
        return name
    raise NoTwinError(
        f"the activation {name!r} has no twin in tf_keras",
        "Use an activation of tf_keras, or pass `twins={function: "
        "tf_function}` with the same function in TensorFlow",
    )
