"""Puts the masters into the weights for code that reads or edits weights."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from keras_netopt.training.checkpoint_state import CheckpointState

MASTERS = "masters"
"""Name of the master store in the checkpoint state."""


@contextlib.contextmanager
def float_weights(*models: keras.Layer) -> Iterator[None]:
    """Opens a context in which quantized weights hold their float masters.

    What reads the weights in it (scores, norms, edits) sees the values that
    the optimizer updates and not their rounded values. What is written in it
    becomes the master. Models without masters do not change. Contexts may be
    nested.
    """
    with contextlib.ExitStack() as stack:
        for store in _find_stores(models):
            stack.enter_context(store.hold_masters())
        yield


def _find_stores(models: Iterable[Any]) -> list[Any]:
    found = {}
    for model in models:
        state = CheckpointState.find(model)
        store = None if state is None else state.states.get(MASTERS)
        if store is not None:
            found[id(store)] = store
    return list(found.values())
