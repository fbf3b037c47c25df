"""Puts the layers of nested models into the model around them."""

from collections.abc import Collection
from typing import Any

import keras

from keras_netopt.graph.model_graph import is_graph_model
from keras_netopt.graph.plain_graph import is_plain_graph


def inline_layers(model: keras.Model, names: Collection[str]) -> keras.Model:
    """Returns a model without the nested Sequential models of some names.

    Their layers are called in their place. The model has the same layer
    objects. Models whose `call` is their own stay as they are.
    """
    return _Inliner(names).rebuild(model)


class _Inliner:
    """Rebuilds graphs; a nested model that is called twice, once."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = set(names)
        self._rebuilt: dict[int, keras.Model] = {}

    def rebuild(self, model: Any) -> Any:
        if not is_plain_graph(model):
            return model
        if isinstance(model, keras.Sequential):
            inputs = keras.Input(**_input_config(model))
            layers = [one for x in model.layers for one in self._flat(x)]
            return keras.Sequential([inputs, *layers], name=model.name)
        return keras.models.clone_model(
            model, clone_function=lambda layer: layer, call_function=self._call
        )

    def _call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        flat = self._flat(layer)
        if flat == [layer]:
            return layer(*args, **kwargs)
        x: Any = args[0]
        for one in flat:
            x = one(x)
        return x

    def _flat(self, layer: Any) -> list[Any]:
        if isinstance(layer, keras.Sequential) and layer.name in self._names:
            return list(layer.layers)
        if not is_graph_model(layer):
            return [layer]
        if id(layer) not in self._rebuilt:
            self._rebuilt[id(layer)] = self.rebuild(layer)
        return [self._rebuilt[id(layer)]]


def _input_config(model: keras.Model) -> dict[str, Any]:
    (inputs,) = model.inputs
    return {
        "batch_shape": inputs.shape,
        "dtype": inputs.dtype,
        "name": inputs.name,
    }
