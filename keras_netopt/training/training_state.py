"""Copies and restores everything that training changes in a model."""

from typing import Any

import keras
import numpy as np

from keras_netopt.training import randomness
from keras_netopt.training.backend import sync_variables

_RANDOM = "random "


def capture_training_state(model: keras.Model) -> dict[str, np.ndarray]:
    """Copies weights, optimizer variables and random state of a model."""
    sync_variables(model)
    variables: dict[str, Any] = {
        f"weight {i}": variable for i, variable in enumerate(model.variables)
    }
    variables |= _optimizer_variables(model)
    state = {
        name: np.array(keras.ops.convert_to_numpy(variable))
        for name, variable in variables.items()
    }
    for name, value in randomness.capture_random_state(model).items():
        state[_RANDOM + name] = value
    return state


def restore_training_state(
    model: keras.Model, state: dict[str, np.ndarray]
) -> None:
    """Restores a copied training state.

    Optimizer variables are identified by position. If their number has changed
    because layers were frozen, they are identified by path. The model may have
    been compiled again, or be a copy in another process.
    """
    sync_variables(model)
    for i, variable in enumerate(model.variables):
        variable.assign(state[f"weight {i}"])
    saved = {k: v for k, v in state.items() if k.startswith("optimizer ")}
    current = _optimizer_variables(model)
    if len(saved) == len(current):
        # Paths hold the name of the optimizer, which may differ.
        saved = dict(zip(current, saved.values(), strict=True))
    for name, variable in current.items():
        if name in saved:
            variable.assign(saved[name])
    random = {
        name.removeprefix(_RANDOM): value
        for name, value in state.items()
        if name.startswith(_RANDOM)
    }
    randomness.restore_random_state(model, random)


def _optimizer_variables(model: Any) -> dict[str, Any]:
    """Returns the variables by path and number, as paths may repeat."""
    found: dict[str, Any] = {}
    for variable in model.optimizer.variables:
        number = 1
        while f"optimizer {variable.path} {number}" in found:
            number += 1
        found[f"optimizer {variable.path} {number}"] = variable
    return found
