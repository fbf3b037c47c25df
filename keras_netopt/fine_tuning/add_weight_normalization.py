"""Adds weight normalization to the layers of a model."""

from typing import Any

import keras

from keras_netopt import selectors
from keras_netopt.fine_tuning.normalized_kernel import (
    find_kernels,
    find_zero_initializer,
)
from keras_netopt.fine_tuning.normalized_layers import (
    normalization_class,
    plain_weights,
)
from keras_netopt.graph.check_model import check_model
from keras_netopt.graph.layers import walk_layers, walk_paths
from keras_netopt.graph.model_graph import is_graph_model
from keras_netopt.selectors import Selector
from keras_netopt.training.compiled_clone import compile_like
from keras_netopt.training.rebuild_model import copy_constants

L = keras.layers
_HOLDERS = (L.RNN, L.TimeDistributed, L.Bidirectional)


def add_weight_normalization(
    model: keras.Model,
    include: Selector | None = None,
    *,
    exclude: Selector | None = None,
) -> keras.Model:
    """Returns a model with weight-normalized layers and the same outputs.

    Each selected layer is wrapped in `layers.WeightNormalization` under its
    own name, so that `remove_weight_normalization` restores the names.
    `model` is not modified, and the two share no weights.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([
    ...     keras.Input((4,)),
    ...     keras.layers.Dense(8, activation="relu", name="hidden"),
    ...     keras.layers.Dense(3, name="out"),
    ... ])
    >>> normalized = netopt.fine_tuning.add_weight_normalization(
    ...     model, exclude="last")
    >>> [type(layer).__name__ for layer in normalized.layers]
    ['WeightNormalization', 'Dense']

    Args:
        model: A built Functional or Sequential model, trained or not.
        include: Layers to wrap: a regular expression searched in the layer's
            path, "first" or "last", a layer, a layer class, a
            `callable(layer) -> bool`, or a list of those. Defaults to `None`:
            every layer of the model and of its nested models with a kernel.
            Layers inside other layers, as in `MultiHeadAttention`, are not
            wrapped.
        exclude: Layers not to wrap, in the same form; takes precedence over
            `include`. Defaults to `None`.

    Returns:
        The new model; compiled like `model`, with a new optimizer, if `model`
        is compiled.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If the model is not built or is subclassed, a selector
            matches nothing, no layer is left, or a selected layer cannot be
            normalized, as one whose kernel holds zeros only.

    Reference:
        Salimans and Kingma, "Weight normalization", 2016,
        https://arxiv.org/abs/1602.07868.
    """
    check_model(model)
    selectors.check_selector(include, "include")
    selectors.check_selector(exclude, "exclude")
    if not is_graph_model(model):
        raise ValueError(
            "Argument `model` must be Functional or Sequential: the layers of "
            "a subclassed model are wrapped in its code, by "
            "`layers.WeightNormalization`. "
            f"Received: model=<{type(model).__name__} name={model.name}>"
        )
    candidates = _find_candidates(model)
    places = set(range(len(candidates)))
    if include is not None:
        places = selectors.select(include, candidates, model, "include")
    places -= selectors.select(exclude, candidates, model, "exclude")
    if not places:
        raise ValueError(
            "Argument `model` must have a layer with a kernel that is "
            "included and not excluded. "
            f"Received: include={include!r}, exclude={exclude!r}"
        )
    chosen = {id(candidates[place][1]) for place in places}
    kind = normalization_class()

    def copy(layer: Any) -> Any:
        new = type(layer).from_config(layer.get_config())
        if id(layer) not in chosen:
            return new
        if find_zero_initializer(new):  # Trained values will replace them.
            new.build_from_config(layer.get_build_config())
        return kind(new, name=layer.name)

    normalized = keras.models.clone_model(
        model, clone_function=copy, recursive=True
    )
    new = plain_weights(normalized)
    for variable, value in zip(new, plain_weights(model), strict=True):
        # As an array: on JAX, a step of one model may delete its tensors.
        variable.assign(keras.ops.convert_to_numpy(value.value))
    for layer in walk_layers(normalized):
        if isinstance(layer, kind):
            layer.reset_g()
            _check_kernels(layer)
    copy_constants(model, normalized)
    if model.compiled:
        compile_like(normalized, model)
    return normalized


def _check_kernels(layer: Any) -> None:
    for v, g, _ in layer.normalized_kernels():
        if not keras.ops.convert_to_numpy(g.value).any():
            raise ValueError(
                "Argument `model` must have no selected layer with a kernel "
                "of zeros, which has no direction: name it in `exclude`. "
                f"Received: '{v.path}' in layer '{layer.name}'"
            )


def _find_candidates(model: keras.Model) -> list[tuple[str, keras.Layer]]:
    """Lists path and layer of the layers in a graph with their own kernel."""
    called = {
        id(layer)
        for one in walk_layers(model)
        if is_graph_model(one)
        for layer in one.layers
    }
    found = []
    for path, layer in walk_paths(model):
        if id(layer) in called and not isinstance(layer, keras.Model):
            owners = [kernel.layer for kernel in find_kernels(layer)]
            if layer in owners or (owners and isinstance(layer, _HOLDERS)):
                found.append((path, layer))
    return found
