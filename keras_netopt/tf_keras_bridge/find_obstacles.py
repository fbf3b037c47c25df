"""Lists what keeps a model from crossing into tf_keras."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_netopt.graph.check_model import check_model
from keras_netopt.graph.model_graph import graph_inputs, is_graph_model
from keras_netopt.tf_keras_bridge.bridge_error import BridgeError
from keras_netopt.tf_keras_bridge.flat_call import flatten_model
from keras_netopt.tf_keras_bridge.import_tf_keras import import_tf_keras
from keras_netopt.tf_keras_bridge.obstacle import Obstacle
from keras_netopt.tf_keras_bridge.twin_builder import TwinBuilder


def find_obstacles(
    model: keras.Model, *, twins: Mapping[Any, Any] | None = None
) -> list[Obstacle]:
    """Lists the layers and ops of a model that have no twin in tf_keras.

    Example:

    >>> import keras
    >>> inputs = keras.Input((4,))
    >>> model = keras.Model(inputs, keras.layers.RMSNormalization()(inputs))
    >>> [obstacle.layer for obstacle in find_obstacles(model)]
    ['rms_normalization']

    Args:
        model: A built model.
        twins: As in `export.tfmot`. Defaults to `None`.

    Returns:
        One obstacle per layer, in the order of the calls; none if the model
        crosses.
    """
    check_model(model)
    import_tf_keras()
    own = check_twins(twins)
    found = find_model_obstacles(model)
    return found or TwinBuilder(flatten_model(model), own).obstacles


def check_twins(twins: Any) -> dict[Any, Any]:
    """Checks the argument `twins`: callables by class or function."""
    if twins is None:
        return {}
    if not isinstance(twins, Mapping):
        raise TypeError(
            "Argument `twins` must be a dict from a Keras class or function "
            f"to its twin in tf_keras. Received: twins={twins!r}"
        )
    for key, value in twins.items():
        if not callable(key) or not callable(value):
            raise TypeError(
                "Argument `twins` must hold classes or functions. "
                f"Received: twins={{{key!r}: {value!r}}}"
            )
    return dict(twins)


def find_model_obstacles(model: keras.Model) -> list[Obstacle]:
    """Lists what is wrong with a model as a whole."""
    if not is_graph_model(model):
        return [
            Obstacle(
                model.name,
                f"{type(model).__name__} has a `call` of its own",
                "Build it as a Functional or Sequential model",
            )
        ]
    return [
        Obstacle(
            f"input {number}",
            "the input is sparse or ragged",
            "Use a dense `keras.Input`",
        )
        for number, tensor in enumerate(graph_inputs(model))
        if getattr(tensor, "sparse", False) or getattr(tensor, "ragged", False)
    ]


def check_obstacles(obstacles: list[Obstacle], model: keras.Model) -> None:
    """Raises BridgeError that lists all obstacles, if there are any."""
    if obstacles:
        lines = "\n".join(f"- {one}" for one in obstacles)
        raise BridgeError(
            f"The model '{model.name}' does not cross into tf_keras, because "
            f"of {len(obstacles)} layers or ops:\n{lines}"
        )
