"""Everything that training changes in a model, put aside and put back."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_netopt.training import randomness
from keras_netopt.training.backend import sync

_RANDOM = "random "


def take(model: keras.Model) -> dict[str, np.ndarray]:
    """Copies weights, optimizer variables and random state of a model.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> before, state = model.get_weights(), take(model)
    >>> _ = model.fit(np.ones((4, 2)), np.ones(4), verbose=0)
    >>> put_back(model, state)
    >>> all(map(np.array_equal, before, model.get_weights()))
    True

    Args:
        model: A compiled, built model.

    Returns:
        Arrays by name, for `put_back`.
    """
    sync(model)
    state = {
        name: np.array(keras.ops.convert_to_numpy(variable))
        for name, variable in _variables(model)
    }
    for name, value in randomness.capture(model).items():
        state[_RANDOM + name] = value
    return state


def put_back(model: keras.Model, state: dict[str, np.ndarray]) -> None:
    """Writes what `take` copied; optimizer variables go by their path.

    Args:
        model: The model that was copied, perhaps compiled anew since.
        state: What `take` returned.
    """
    sync(model)
    for name, variable in _variables(model):
        if name in state:
            variable.assign(state[name])
    random = {
        name.removeprefix(_RANDOM): value
        for name, value in state.items()
        if name.startswith(_RANDOM)
    }
    randomness.restore(model, random)


def _variables(model: Any) -> Iterator[tuple[str, Any]]:
    for i, variable in enumerate(model.variables):
        yield f"weight {i}", variable
    seen: dict[str, int] = {}
    for variable in model.optimizer.variables:
        number = seen[variable.path] = seen.get(variable.path, 0) + 1
        yield f"optimizer {variable.path} {number}", variable
