"""Finds the other models that hold layers of a model, and updates them.

Private name of Keras 3.15: `Variable._value`.
"""

import gc
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layers import walk_layers
from keras_netopt.training import slots
from keras_netopt.training.backend import (
    commit_variables,
    reset_compiled_functions,
    sync_variables,
)
from keras_netopt.training.optimizers import all_optimizers

MapArray = Callable[[Any, np.ndarray, str], np.ndarray]


def find_related(model: keras.Model) -> list[Any]:
    """Lists other models, and layers of users, with layers of this model.

    Keras does not know which models a layer is part of, so all objects in
    memory are searched. Layers inside the model are not listed.
    """
    own = {id(layer) for layer in walk_layers(model)}
    shared = own | {id(v) for v in model.variables}
    return [
        one
        for one in _list_holders()
        if id(one) not in own
        and any(id(layer) in shared for layer in walk_layers(one))
    ]


def _list_holders() -> Iterator[Any]:
    """Yields all models, and all layers of classes that are not Keras'."""
    chosen: dict[type, bool] = {}
    for one in gc.get_objects():
        kind = type(one)
        if kind not in chosen:
            chosen[kind] = issubclass(kind, keras.Model) or (
                issubclass(kind, keras.Layer)
                and not kind.__module__.startswith("keras.")
            )
        # One that is under construction has no list of layers yet.
        if chosen[kind] and "_layers" in vars(one):
            yield one


def list_trained(model: keras.Model, related: list[Any]) -> list[Any]:
    """Lists the trained ones among related models and those inside."""
    inside = [one for one in walk_layers(model) if one is not model]
    return [one for one in (*related, *inside) if _is_trained(one)]


class TrainedRelative:
    """Another model with compiled functions or slots for the same weights.

    An edit that is not told to it would leave functions that train discarded
    arrays (TensorFlow), or slots that do not fit (all backends).
    """

    def __init__(self, model: Any, *, shares_optimizer: bool = False) -> None:
        self.model = model
        # Inside `fit` on JAX the other model holds the weights.
        sync_variables(model)
        self._before = _list_weights(model)
        self._held = slots.capture_slots(model, copy=shares_optimizer)

    @classmethod
    def list_all(
        cls, model: keras.Model, related: list[Any]
    ) -> "list[TrainedRelative]":
        """Lists the trained ones among related models and those inside."""
        own = _optimizer_ids(model)
        return [
            cls(one, shares_optimizer=not own.isdisjoint(_optimizer_ids(one)))
            for one in list_trained(model, related)
        ]

    def update(self, map_array: MapArray) -> bool:
        """Carries optimizer slots over and resets compiled functions.

        `map_array` is `(variable, array, kind) -> array` through the edit.
        Returns whether the edit concerned this model.
        """
        if not _differ(self._before, _list_weights(self.model)):
            return False
        if self._held is not None:
            slots.restore_slots(self.model, self._held, map_array)
        commit_variables(self.model)
        reset_compiled_functions(self.model)
        return True


def _list_weights(model: Any) -> list[Any]:
    """Lists variables with their shapes, on TensorFlow with their arrays.

    JAX and torch read the arrays at every step, TensorFlow once.
    """
    captures = keras.backend.backend() == "tensorflow"
    return [
        (v, tuple(v.shape), v._value if captures else None)
        for v in model.variables
    ]


def _optimizer_ids(model: Any) -> set[int]:
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return set()
    return {id(one) for one in all_optimizers(optimizer)}


def _is_trained(one: Any) -> bool:
    if not isinstance(one, keras.Model):
        return False
    functions = ("train_function", "test_function", "predict_function")
    optimizer = getattr(one, "optimizer", None)
    return getattr(optimizer, "built", False) or any(
        getattr(one, name, None) is not None for name in functions
    )


def _differ(before: list[Any], now: list[Any]) -> bool:
    """Whether weights came, went, or have other shapes or arrays."""
    if [id(v) for v, _, _ in before] != [id(v) for v, _, _ in now]:
        return True
    return any(
        old[1] != new[1] or old[2] is not new[2]
        for old, new in zip(before, now, strict=True)
    )
