"""Matches selectors with the weights of a model."""

from collections.abc import Callable
from dataclasses import dataclass, field

import keras

from keras_netopt import selectors
from keras_netopt.graph.check_model import check_model
from keras_netopt.graph.layers import (
    own_variables,
    variable_keys,
    walk_layers,
)
from keras_netopt.selectors import Selector
from keras_netopt.sparsity.prunability import Prunability, classify

Weight = tuple[str, keras.Variable, keras.Layer]
Kind = tuple[Prunability, str]


@dataclass(frozen=True, eq=False)
class WeightMatches:
    """The weights of a model, and which of them two selectors match.

    Args:
        weights: `(key, variable, layer)` in the order of `model.weights`.
        kinds: `classify` of each.
        included: Positions of the weights that `include` matches, all
            without it.
        excluded: Positions of the weights that `exclude` matches.
    """

    weights: list[Weight] = field(repr=False)
    kinds: list[Kind]
    included: set[int]
    excluded: set[int]


def match_weights(
    model: keras.Model,
    include: Selector | None,
    exclude: Selector | None,
    is_default: Callable[[Kind], bool],
) -> WeightMatches:
    """Matches `include` and `exclude` with the weights of a model.

    Args:
        model: A built model.
        include: A selector or `None`.
        exclude: A selector or `None`.
        is_default: Whether a weight of this kind is selected without
            `include`; the layers of such weights are those that "first" and
            "last" choose from.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If the model is not built or a selector matches nothing.
    """
    check_model(model)
    weights = list_weights(model)
    trained = {id(v) for v in model.trainable_variables}
    kinds = [
        classify(v, layer, trainable=id(v) in trained)
        for _, v, layer in weights
    ]
    places = [(key, layer) for key, _, layer in weights]
    ends = [
        layer
        for (_, layer), kind in zip(places, kinds, strict=True)
        if is_default(kind)
    ]

    def find(selector: Selector | None, name: str) -> set[int]:
        return selectors.select(
            selector, places, model, name, kind="weight", ends=ends
        )

    included = set(range(len(weights)))
    if include is not None:
        included = find(include, "include")
    return WeightMatches(weights, kinds, included, find(exclude, "exclude"))


def list_weights(model: keras.Model) -> list[Weight]:
    """Lists `(key, variable, layer)` in the order of `model.weights`."""
    owners: dict[int, keras.Layer] = {}
    for layer in walk_layers(model):
        for variable in own_variables(layer):
            owners.setdefault(id(variable), layer)
    keys = variable_keys(model)
    return [(keys[id(v)], v, owners[id(v)]) for v in model.weights]
