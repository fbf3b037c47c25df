"""Makes the chosen network of a supernet a plain Keras model."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.build_layer import build_layer
from keras_netopt.graph.check_model import check_model
from keras_netopt.graph.layers import own_variables, sublayers, walk_layers
from keras_netopt.search.supernet.architecture import (
    check_architecture,
    read_architecture,
)
from keras_netopt.search.supernet.elastic_units import ElasticUnits
from keras_netopt.search.supernet.inline_layers import inline_layers
from keras_netopt.search.supernet.masked_units import cut_masked_units
from keras_netopt.search.supernet.plain_config import PlainConfig
from keras_netopt.search.supernet.searchable_layer import (
    Architecture,
    SearchableLayer,
    find_decisions,
)
from keras_netopt.surgery.cutting.recalibrate_batch_norm import (
    recalibrate_batch_norm,
)
from keras_netopt.training.backend import sync_variables
from keras_netopt.training.compiled_clone import compile_like


@dataclass(frozen=True)
class PlainNetwork:
    """A network of plain layers, in which masked units are still there.

    Args:
        model: The network.
        layers: The searchable layers of the supernet by name.
        parts: The layers that took the place of a searchable layer, in call
            order, by its name. Choices and what is not used are left out.
        copies: The new layer by the `id` of the layer that it is from.
    """

    model: keras.Model
    layers: dict[str, SearchableLayer]
    parts: dict[str, list[keras.Layer]]
    copies: dict[int, keras.Layer]


def extract(
    model: keras.Model,
    architecture: Architecture | None = None,
    *,
    calibration_data: Any = None,
) -> keras.Model:
    """Returns one network of a supernet as a plain Keras model.

    Every searchable layer, also in nested models and inside other layers, is
    replaced by the chosen layer with its trained weights. The new model is
    ready for `fit`, saving, `surgery` and export; `model` does not change.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> candidates = [
    ...     keras.layers.Dense(8, activation="relu", name="wide"),
    ...     keras.layers.Identity(name="skip"),
    ... ]
    >>> choice = netopt.layers.Choice(candidates, name="edge")
    >>> model = keras.Sequential([keras.Input((8,)), choice])
    >>> small = netopt.search.extract(model, {"edge": 1})
    >>> [(layer.name, type(layer).__name__) for layer in small.layers]
    [('edge', 'Identity')]

    Args:
        model: A built model with searchable layers, such as `layers.Choice`.
        architecture: A dictionary from the name of a decision to the index
            of the chosen option. Defaults to `None`, and for decisions that
            it leaves out: the option with the largest weight, or the fixed
            one.
        calibration_data: Inputs, `(x, y)` or batches for new moving averages
            of batch normalization, which are those of all networks together
            after a search with weight sharing. Defaults to `None`: they are
            kept.

    Returns:
        The new model with its own weights. It is compiled if `model` is, with
        a new optimizer. A chosen layer has the name of the layer that held
        it.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the model has no searchable layer, if `architecture`
            does not fit, if a layer turns the zeros of masked units into
            other values, or if a class that makes searchable layers in its
            own `__init__` holds one.
    """
    check_model(model)
    found = find_decisions(model)
    given = check_architecture(
        found, {} if architecture is None else architecture
    )
    small = extract_uncompiled(model, {**read_architecture(model), **given})
    if calibration_data is not None:
        recalibrate_batch_norm(small, calibration_data)
    if model.compiled:
        compile_like(small, model)
    return small


def extract_uncompiled(
    model: keras.Model, architecture: dict[str, int]
) -> keras.Model:
    """Returns the network of a complete architecture."""
    network = plain_network(model, architecture)
    units = {
        name: (layer, network.parts[name])
        for name, layer in network.layers.items()
        if isinstance(layer, ElasticUnits) and name in network.parts
    }
    if not units:
        return network.model
    widths = {
        id(parts[0]): layer.chosen_width(architecture)
        for layer, parts in units.values()
    }
    flat = inline_layers(network.model, network.parts)
    return cut_masked_units(flat, widths, [p for _, p in units.values()])


def plain_network(
    model: keras.Model, architecture: dict[str, int]
) -> PlainNetwork:
    """Returns the network of a complete architecture with all its units."""
    sync_variables(model)
    plain = PlainConfig(searchable_layers(model), architecture)
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    config = plain.rewrite(config)
    small = _deserialize(model, config)
    build_layer(small, model.get_build_config())
    rest = [x for x in walk_layers(small) if isinstance(x, SearchableLayer)]
    if rest:
        raise ValueError(_no_config(model, [layer.name for layer in rest]))
    copies: dict[int, keras.Layer] = {}
    _inherit(model, small, plain.sources, copies)
    parts = {
        name: [copies[id(one)] for one in chosen]
        for name, chosen in plain.parts.items()
    }
    return PlainNetwork(small, plain.layers, parts, copies)


def find_links(model: keras.Model) -> dict[str, str]:
    """Returns the `ArchitectureWeights` of choices that share weights."""
    layers = searchable_layers(model)
    if not any(layer.is_weights_only for layer in layers.values()):
        return {}
    plain = PlainConfig(layers, dict.fromkeys(find_decisions(model), 0))
    plain.rewrite(keras.saving.serialize_keras_object(model))
    return plain.links


def searchable_layers(model: keras.Model) -> dict[str, SearchableLayer]:
    """Returns the searchable layers of a model by name, which is unique."""
    layers: dict[str, SearchableLayer] = {}
    for layer in walk_layers(model):
        if not isinstance(layer, SearchableLayer):
            continue
        if layer.name in layers:
            raise ValueError(
                "Argument `model` must hold searchable layers with different "
                f"names, but two have the name {layer.name!r}. Give them a "
                "`name`. "
                f"Received: model=<{type(model).__name__} name={model.name}>"
            )
        layers[layer.name] = layer
    return layers


def _deserialize(model: keras.Model, config: Any) -> Any:
    """Makes a model from its config, also one of classes without a name."""
    try:
        return keras.saving.deserialize_keras_object(config, safe_mode=False)
    # Layers of users raise errors of any type.
    except Exception:
        classes = {type(one).__name__: type(one) for one in walk_layers(model)}
    try:
        with keras.saving.custom_object_scope(classes):
            return keras.saving.deserialize_keras_object(
                config, safe_mode=False
            )
    except Exception as error:
        names = list(searchable_layers(model))
        raise ValueError(_no_config(model, names)) from error


def _no_config(model: keras.Model, names: list[str]) -> str:
    return (
        "Argument `model` must be built of layers that stand in its config. "
        f"If a class makes its searchable layers, such as {names[0]!r}, in "
        "`__init__`, its `call` cannot be rewritten. Use the Functional API, "
        "or pass the layers to the constructor and return them in "
        "`get_config`. "
        f"Received: model=<{type(model).__name__} name={model.name}>"
    )


def _inherit(
    source: Any, target: Any, sources: dict[str, Any], copies: dict[int, Any]
) -> None:
    """Copies the weights of a layer and of all layers inside it.

    `copies` becomes the new layer by the `id` of the layer that it is from.
    """
    copies[id(source)] = target
    own = own_variables(source), own_variables(target)
    for old, new in zip(*own, strict=True):
        # A copy: JAX may give the memory of an array away in `fit`.
        new.assign(np.array(keras.ops.convert_to_numpy(old)))
    children: list[tuple[str, Any]] = []
    for child in sublayers(source):
        name = child.name
        while isinstance(child, SearchableLayer) and child.name in sources:
            child = sources[child.name]
        if not isinstance(child, SearchableLayer | keras.layers.InputLayer):
            children.append((name, child))
    inner = [
        child
        for child in sublayers(target)
        if not isinstance(child, keras.layers.InputLayer)
    ]
    by_name = {child.name: child for child in inner}
    if len(by_name) == len(inner) and set(by_name) == {n for n, _ in children}:
        inner = [by_name[name] for name, _ in children]
    for (_, old), new in zip(children, inner, strict=True):
        _inherit(old, new, sources, copies)
