"""Tells graph models that Keras rebuilds layer by layer from others.

Private names of Keras 3.15: `Functional`, `functional_like_constructor`.
"""

from typing import Any

import keras
from keras.src.models.functional import Functional, functional_like_constructor

from keras_netopt.graph.model_graph import is_graph_model


def is_plain_graph(model: Any) -> bool:
    """Whether a graph model is saved as its list of layers and read as such.

    A class with constructor arguments of its own is rebuilt from those.
    """
    kind = type(model)
    if not is_graph_model(model):
        return False
    if isinstance(model, keras.Sequential):
        names = ("__init__", "get_config", "from_config")
        return all(_inherits(kind, keras.Sequential, name) for name in names)
    reads = (Functional, keras.Model)
    if not any(_inherits(kind, base, "from_config") for base in reads):
        return False
    if not functional_like_constructor(kind):
        return False
    return _inherits(kind, Functional, "get_config") or {
        "layers",
        "input_layers",
        "output_layers",
    } <= set(model.get_config())


def _inherits(kind: type, base: type, name: str) -> bool:
    one, other = getattr(kind, name), getattr(base, name)
    return getattr(one, "__func__", one) is getattr(other, "__func__", other)
