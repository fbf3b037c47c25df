"""Rewrites the config of a model: chosen layers instead of open decisions."""

from typing import Any

import keras

from keras_netopt.graph.symbolic import preserve_calls
from keras_netopt.search.supernet.searchable_layer import SearchableLayer

TENSOR = "__keras_tensor__"
Json = Any


class PlainConfig:
    """The config of a model without searchable layers.

    Args:
        layers: The searchable layers of the model by name.
        architecture: The index of the option per decision.

    Attributes:
        sources: The layer that takes the place of a searchable layer, by the
            name of the latter. Filled by `rewrite`.
        parts: The layers of a list that takes its place, likewise.
        links: The name of the `ArchitectureWeights` per choice that gets its
            weights as an input. Filled by `rewrite`.
    """

    def __init__(
        self, layers: dict[str, SearchableLayer], architecture: dict[str, int]
    ) -> None:
        self.layers = layers
        self.architecture = architecture
        self.sources: dict[str, keras.Layer] = {}
        self.parts: dict[str, list[keras.Layer]] = {}
        self.links: dict[str, str] = {}
        self._names = {
            keras.saving.get_registered_name(type(layer))
            for layer in layers.values()
        }
        self._shared = [n for n, one in layers.items() if one.is_weights_only]

    def rewrite(self, config: Json) -> Json:
        """Returns the config with chosen layers, whatever holds them."""
        if isinstance(config, list | tuple):
            return [self.rewrite(one) for one in config]
        if not isinstance(config, dict):
            return config
        if self._is_searchable(config):
            return self._chosen(config["config"]["name"])
        if "input_layers" in config and "layers" in config:
            return self._rewrite_graph(config, {})[0]
        return {key: self.rewrite(value) for key, value in config.items()}

    def _is_searchable(self, config: Json) -> bool:
        return (
            config.get("registered_name") in self._names
            and isinstance(config.get("config"), dict)
            and config["config"].get("name") in self.layers
        )

    def _chosen(self, name: str, shared: str | None = None) -> Json:
        """Returns the config of the layer that takes the place of one."""
        layer = self.layers[name]
        architecture = self.architecture
        if layer.gets_decision:
            if shared is None and len(self._shared) == 1:
                shared = self._shared[0]
            if shared is None:
                raise ValueError(
                    "Argument `model` must have graphs in which the second "
                    f"input of {name!r} comes from an `ArchitectureWeights`. "
                    f"Received: a model with {self._shared} of them"
                )
            if self.links.setdefault(name, shared) != shared:
                raise ValueError(
                    f"Layer {name!r} must get its weights from one "
                    "`ArchitectureWeights`. "
                    f"Received: {self.links[name]!r} and {shared!r}"
                )
            architecture = {**architecture, name: architecture[shared]}
        with preserve_calls(layer):
            if name not in self.sources:
                chosen = layer.chosen_layer(architecture)
                self.sources[name] = _one_layer(chosen)
                if isinstance(chosen, list):
                    self.parts[name] = chosen
            config = keras.saving.serialize_keras_object(self.sources[name])
        config = self.rewrite(config)
        config["config"] = {**config["config"], "name": name}
        return config

    def _rewrite_graph(
        self, config: Json, bound: dict[str, str]
    ) -> tuple[Json, list[int]]:
        """Rewrites the config of a Functional model.

        `bound` is the name of the `ArchitectureWeights` per input layer that
        carries its output. Returns also the positions of those inputs.
        """
        layers = []
        for entry in config["layers"]:
            name = entry["name"]
            is_searchable = self._is_searchable(entry)
            if name in bound or (
                is_searchable and self.layers[name].is_weights_only
            ):
                continue
            nodes = entry.get("inbound_nodes", [])
            kept: Json = {**entry}
            if is_searchable:
                shared = {self._weights_name(node, bound) for node in nodes}
                kept = self._chosen(name, *sorted(filter(None, shared)))
                nodes = [_first_input(node) for node in nodes]
            elif "input_layers" in entry.get("config", {}):
                inner = self._bind(entry, bound)
                kept["config"], dropped = self._rewrite_graph(
                    entry["config"], inner
                )
                nodes = [_drop_inputs(node, dropped) for node in nodes]
            else:
                kept["config"] = self.rewrite(entry.get("config"))
            layers.append({**kept, "name": name, "inbound_nodes": nodes})
        names = _input_names(config["input_layers"])
        dropped = [k for k, name in enumerate(names) if name in bound]
        inputs = config["input_layers"]
        if dropped:
            inputs = [one for k, one in enumerate(inputs) if k not in dropped]
        return {**config, "layers": layers, "input_layers": inputs}, dropped

    def _weights_name(self, node: Json, bound: dict[str, str]) -> str | None:
        """The layer that makes the second input of a call."""
        tensors = _tensors(node)
        if len(tensors) < 2:
            return None
        name = tensors[1]["config"]["keras_history"][0]
        return bound.get(name, name)

    def _bind(self, entry: Json, bound: dict[str, str]) -> dict[str, str]:
        """Finds which inputs of a nested model carry shared weights."""
        names = _input_names(entry["config"]["input_layers"])
        found: dict[str, str] = {}
        for node in entry["inbound_nodes"]:
            for name, tensor in zip(names, _tensors(node), strict=False):
                source = tensor["config"]["keras_history"][0]
                source = bound.get(source, source)
                if source in self._shared:
                    found[name] = source
        return found


def _one_layer(chosen: Any) -> keras.Layer:
    """Returns what takes the place of a layer, as one layer."""
    if not isinstance(chosen, list):
        return chosen
    if not chosen:
        return keras.layers.Identity()
    return chosen[0] if len(chosen) == 1 else keras.Sequential(chosen)


def _tensors(value: Json) -> list[Json]:
    """Lists the symbolic tensors of a call in the order of its arguments."""
    if isinstance(value, dict) and value.get("class_name") == TENSOR:
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [tensor for one in value for tensor in _tensors(one)]
    return []


def _first_input(node: Json) -> Json:
    """Returns a call with the first of its input tensors alone."""
    tensors = _tensors(node)
    return {**node, "args": tensors[:1], "kwargs": {}} if tensors else node


def _drop_inputs(node: Json, dropped: list[int]) -> Json:
    """Returns the call of a nested model without some of its inputs."""
    if not dropped:
        return node

    def keep(values: Json) -> Json:
        return [one for k, one in enumerate(values) if k not in dropped]

    kwargs = {
        key: keep(value) if key == "mask" and value else value
        for key, value in node["kwargs"].items()
    }
    return {**node, "args": [keep(node["args"][0])], "kwargs": kwargs}


def _input_names(inputs: Json) -> list[str]:
    """Lists the names of the input layers in a Functional config."""
    if isinstance(inputs, dict):
        inputs = list(inputs.values())
    if inputs and isinstance(inputs[0], str):
        return [inputs[0]]
    return [name for one in inputs for name in _input_names(one)]
