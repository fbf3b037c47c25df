"""Random state that Keras does not save.

Dropout's seed state is not saved by Keras 3.15 (keras#19796), and on torch an
unseeded layer draws from the global generator.
"""

import contextlib
import random
import sys
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR
from keras.src.utils.rng_utils import GLOBAL_RANDOM_SEED

_TORCH = "torch"


def set_seed(seed: int) -> None:
    """Sets the seeds of `keras.utils.set_random_seed` without TensorFlow.

    On JAX and torch that function imports TensorFlow to seed it, which takes
    seconds.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow" or "tensorflow" in sys.modules:
        keras.utils.set_random_seed(seed)
        return
    global_state.set_global_attribute(GLOBAL_RANDOM_SEED, seed)
    global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, None)
    random.seed(seed)
    np.random.seed(seed)
    if backend == "torch":
        import torch

        torch.manual_seed(seed)


def capture_random_state(model: keras.Model) -> dict[str, np.ndarray]:
    """Copies every seed state of a model, and torch's global generator.

    The variables of the model must be readable (see `sync_variables`). Keys
    are `seed<i>` for the i-th seed state, and `torch` on torch.
    """
    state = {
        f"seed{i}": np.array(keras.ops.convert_to_numpy(variable))
        for i, variable in enumerate(_seed_states(model))
    }
    if keras.backend.backend() == "torch":
        import torch

        state[_TORCH] = torch.get_rng_state().numpy()
    return state


def restore_random_state(
    model: keras.Model, state: dict[str, np.ndarray]
) -> None:
    """Restores a captured random state; entries of other shapes are skipped."""
    for i, variable in enumerate(_seed_states(model)):
        value = state.get(f"seed{i}")
        if value is not None and value.shape == tuple(variable.shape):
            variable.assign(value)
    if keras.backend.backend() == "torch" and _TORCH in state:
        import torch

        torch.set_rng_state(torch.from_numpy(np.array(state[_TORCH])))


@contextlib.contextmanager
def preserve_random_state() -> Iterator[None]:
    """Restores torch's global generator at the end of the context.

    torch draws a random number for every iteration over data, so a `predict`
    call would change the dropout of a later training step.
    """
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(state)


@contextlib.contextmanager
def temporary_seed(seed: int) -> Iterator[None]:
    """Seeds Python, NumPy, Keras and torch; restores all four at the end.

    TensorFlow's own generator, which no initializer of Keras uses, stays.
    """
    names = (GLOBAL_RANDOM_SEED, GLOBAL_SEED_GENERATOR)
    held = [global_state.get_global_attribute(name) for name in names]
    python, numpy = random.getstate(), np.random.get_state()
    with preserve_random_state():
        try:
            random.seed(seed)
            np.random.seed(seed)
            for name, value in zip(names, (seed, None), strict=True):
                global_state.set_global_attribute(name, value)
            if keras.backend.backend() == "torch":
                import torch

                torch.manual_seed(seed)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
            for name, value in zip(names, held, strict=True):
                global_state.set_global_attribute(name, value)


def _seed_states(model: keras.Model) -> list[Any]:
    return [v for v in model.variables if v.name == "seed_generator_state"]
