"""What must be the same when a morphism search is resumed."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.search.architecture_hash import hash_architecture
from keras_netopt.search.constraints import Constraint
from keras_netopt.search.morphism.morphism_settings import MorphismSettings
from keras_netopt.search.morphism.mutation_space import MutationSpace
from keras_netopt.training.compiled_clone import describe_compilation

_FREE = ("cache", "rounds")  # Where and how exactly a cost is measured.


def identify_search(
    settings: MorphismSettings,
    space: MutationSpace,
    constraints: Sequence[Constraint],
    rates: Mapping[str, float | None],
) -> dict[str, Any]:
    """Returns the settings that decide what is found, JSON-safe, by name.

    Args:
        settings: The arguments of the search.
        space: The mutations.
        constraints: Limits that each child must meet.
        rates: The first and the last learning rate, by argument.
    """
    parent = settings.parent
    compilation = describe_compilation(parent)
    innermost = compilation["optimizer"]
    while isinstance(innermost.get("inner_optimizer"), dict):
        innermost = innermost["inner_optimizer"]["config"]
    innermost.pop("learning_rate", None)  # `rates` hold the one in use.
    return {
        **settings.identity(),
        "operations": list(space.operations),
        "factors": [float(one) for one in space.factors],
        "min_channels": space.min_channels,
        "constraints": [_describe(one) for one in constraints],
        **rates,
        **compilation,
        "parent": [list(weight.shape) for weight in parent.weights],
        "weights of `parent`": _hash_weights(parent),
    }


def _describe(constraint: Constraint) -> dict[str, Any]:
    found = {"class": type(constraint).__name__, "name": constraint.name}
    for name, value in constraint.get_config().items():
        if name in _FREE:
            continue
        value = getattr(constraint, name, value)
        if isinstance(value, keras.Model):
            value = hash_architecture(value) or value.name
        elif isinstance(value, os.PathLike):
            value = os.fspath(value)
        is_plain = value is None or isinstance(value, str | bool | int | float)
        found[name] = value if is_plain else type(value).__name__
    return found


def _hash_weights(model: keras.Model) -> str:
    found = hashlib.blake2b(digest_size=8)
    for weight in model.get_weights():
        found.update(np.ascontiguousarray(weight).tobytes())
    return found.hexdigest()
