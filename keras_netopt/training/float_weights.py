"""Puts masters and dense weights into the weights, for reading and editing."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from keras_netopt.training.checkpoint_state import CheckpointState

MASTERS = "masters"
"""Name of the master store in the checkpoint state."""
DENSE_WEIGHTS = "dense_weights"
"""Name of the store of straight-through masks in the checkpoint state."""


@contextlib.contextmanager
def float_weights(*models: keras.Layer) -> Iterator[None]:
    """Opens a context in which weights hold what the optimizer updates.

    These are the float masters of quantized weights and the dense weights of
    straight-through masks. What reads the weights in it (scores, norms, edits)
    sees these values and not their rounded or masked values. What is written
    in it becomes the master. Other models do not change. Contexts may be
    nested.
    """
    with contextlib.ExitStack() as stack:
        for store in _find_stores(models):
            stack.enter_context(store.hold_masters())
        yield


def _find_stores(models: Iterable[Any]) -> list[Any]:
    found = {}
    states = [CheckpointState.find(model) for model in models]
    for name in (MASTERS, DENSE_WEIGHTS):  # In the order of the updates.
        for state in states:
            store = None if state is None else state.states.get(name)
            if store is not None:
                found[id(store)] = store
    return list(found.values())
