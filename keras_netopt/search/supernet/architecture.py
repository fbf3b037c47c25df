"""Architectures of a supernet: sampled, read and set.

An architecture is a dictionary from the name of a decision to the index of the
chosen option.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_integer
from keras_netopt.search.supernet.candidates import NONE
from keras_netopt.search.supernet.decision import GUMBEL, Decision, Option
from keras_netopt.search.supernet.searchable_layer import (
    Architecture,
    find_decisions,
)
from keras_netopt.training.backend import commit_variables, sync_variables


def sample_architectures(
    model: keras.Model, n: int, seed: int = 0
) -> list[dict[str, int]]:
    """Samples architectures, each option with the same probability.

    Args:
        model: A built model with searchable layers.
        n: Number of architectures, at least 1. They may repeat.
        seed: Random seed. Defaults to `0`.

    Returns:
        `n` dictionaries from the name of each decision to an enabled option.
    """
    check_integer(n, "n", minimum=1)
    rng = np.random.default_rng(check_integer(seed, "seed"))
    sync_variables(model)
    enabled = {
        name: np.flatnonzero(_read(decision.enabled))
        for name, decision in find_decisions(model).items()
    }
    return [
        {name: int(rng.choice(indices)) for name, indices in enabled.items()}
        for _ in range(n)
    ]


def read_architecture(model: keras.Model) -> dict[str, int]:
    """Returns the architecture that a model prefers now.

    Decisions in the modes "mixture" and "gumbel" give the option with the
    largest weight, except one that cuts an edge; others give the fixed option.
    """
    sync_variables(model)
    return {
        name: _preferred(decision)
        for name, decision in find_decisions(model).items()
    }


def set_architecture(model: keras.Model, architecture: Architecture) -> None:
    """Makes a model compute one architecture, in training and inference.

    Decisions that are not named do not change.
    """
    found = find_decisions(model)
    chosen = check_architecture(found, architecture)
    sync_variables(model)
    for name, index in chosen.items():
        found[name].fix(index)
    commit_variables(model)


def architecture_labels(
    model: keras.Model, architecture: Architecture
) -> dict[str, Option]:
    """Returns the chosen option itself per decision."""
    found = find_decisions(model)
    chosen = check_architecture(found, architecture)
    return {name: found[name].options[k] for name, k in chosen.items()}


def check_architecture(
    found: dict[str, Decision],
    architecture: Any,
    name: str = "architecture",
) -> dict[str, int]:
    """Returns an architecture with plain ints, or refuses it."""
    options = {key: decision.options for key, decision in found.items()}
    return check_indices(options, architecture, name)


def check_indices(
    found: Mapping[str, Sequence[Option]],
    architecture: Any,
    name: str = "architecture",
) -> dict[str, int]:
    """As `check_architecture`, with the options of each decision."""
    if not isinstance(architecture, dict):
        raise TypeError(
            f"Argument `{name}` must be a dictionary from the name of a "
            f"decision to the index of an option. Received: "
            f"{name}={architecture!r}"
        )
    unknown = sorted(set(map(str, architecture)) - set(found))
    if unknown:
        raise ValueError(
            f"Argument `{name}` must name decisions of the model, which are "
            f"{sorted(found)}. Received: {name}={architecture!r}, where "
            f"{unknown[0]!r} is none"
        )
    chosen = {}
    for key, index in architecture.items():
        count = len(found[key])
        is_index = isinstance(index, int | np.integer) and type(index) != bool  # noqa: E721
        if not is_index or not 0 <= index < count:
            raise ValueError(
                f"Argument `{name}` must have indices of options, for "
                f"{key!r} from 0 to {count - 1}: {list(found[key])}. "
                f"Received: {name}={architecture!r}"
            )
        chosen[key] = int(index)
    return chosen


def _preferred(decision: Decision) -> int:
    if decision.weights is None or int(_read(decision.mode)) > GUMBEL:
        return int(_read(decision.active))
    weights: Any = _read(decision.weights).astype("float64")
    allowed = _read(decision.enabled) > 0
    kept = allowed & np.array([o != NONE for o in decision.options])
    weights[~(kept if kept.any() else allowed)] = -np.inf
    return int(np.argmax(weights))


def _read(variable: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable))
