"""Rebuilds a network of searchable layers with plain Keras layers."""

from typing import Any

import keras

from keras_netopt.graph.layers import walk_layers
from keras_netopt.graph.model_graph import is_graph_model
from keras_netopt.search.supernet.searchable_layer import (
    Architecture,
    SearchableLayer,
)


class PlainTwin:
    """A model that computes one architecture with plain layers.

    Elastic layers keep all their units; masked units are 0.

    Args:
        model: A built Functional or Sequential model.
        architecture: The index of the option of every decision.

    Attributes:
        model: The new model, with weights of its own.
        layers: The plain layers of a layer of the old model, in call order,
            by `id(layer)`; none for a block that is not run.
    """

    def __init__(self, model: keras.Model, architecture: Architecture) -> None:
        self._architecture = architecture
        self._models: dict[int, keras.Model] = {}
        self.layers: dict[int, list[keras.Layer]] = {}
        self.model = self._rebuild(model)

    def _rebuild(self, model: keras.Model) -> keras.Model:
        graph: Any = model
        if isinstance(model, keras.Sequential):
            # As tensors: a list would be the structure of the inputs.
            (inputs,), (outputs,) = model.inputs, model.outputs
            graph = keras.Model(inputs, outputs, name=model.name)
        return keras.models.clone_model(
            graph, clone_function=lambda layer: layer, call_function=self._call
        )

    def _call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        if is_graph_model(layer) and _holds_choice(layer):
            if id(layer) not in self._models:
                self._models[id(layer)] = self._rebuild(layer)
            self.layers[id(layer)] = [self._models[id(layer)]]
            return self._models[id(layer)](*args, **kwargs)
        if hasattr(layer, "chosen_blocks"):
            (x,) = args
            for block in layer.chosen_blocks(self._architecture):
                outputs = self._call(block, x)
                residual = layer.residual
                x = keras.layers.Add()([x, outputs]) if residual else outputs
            return x
        if isinstance(layer, SearchableLayer):
            (x,) = args
            for one in self._chosen_layers(layer):
                x = one(x)
            return x
        return self._copy(layer)(*args, **kwargs)

    def _chosen_layers(self, layer: SearchableLayer) -> list[keras.Layer]:
        if id(layer) not in self.layers:
            found = layer.chosen_layer(self._architecture)
            self.layers[id(layer)] = found
        return self.layers[id(layer)]

    def _copy(self, layer: keras.Layer) -> keras.Layer:
        """Returns a copy of a layer without decisions, with its weights."""
        if id(layer) not in self.layers:
            copy = type(layer).from_config(layer.get_config())
            if layer.built and layer.weights:
                copy.build_from_config(layer.get_build_config())
                copy.set_weights(layer.get_weights())
            self.layers[id(layer)] = [copy]
        return self.layers[id(layer)][0]


def _holds_choice(model: keras.Layer) -> bool:
    return any(isinstance(x, SearchableLayer) for x in walk_layers(model))
