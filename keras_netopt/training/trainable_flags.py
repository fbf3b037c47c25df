"""Freezes and unfreezes layers while `fit` runs."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from keras_netopt.graph.layers import walk_layers
from keras_netopt.training.backend import (
    commit_variables,
    reset_compiled_functions,
    sync_variables,
)
from keras_netopt.training.checkpoint_state import CheckpointState
from keras_netopt.training.optimizer_subset import match_trainable
from keras_netopt.training.related_models import find_related, list_trained

_FUNCTIONS = ("train_function", "test_function", "predict_function")
_ATTRIBUTE = "_netopt_functions"
SCALE = "update_scale"
"""Name of the `UpdateScale` in the checkpoint state."""


class FlagMemory:
    """The flags of layers and of their weights, before they are frozen.

    `layer.trainable = True` makes every weight of a layer trainable, also one
    that was not, such as a kernel beside a LoRA pair.
    """

    def __init__(self, layers: Iterable[keras.Layer]) -> None:
        found = {id(one): one for top in layers for one in walk_layers(top)}
        self._layers = [(one, one.trainable) for one in found.values()]
        weights = {id(v): v for one in found.values() for v in one.variables}
        self._weights = [(v, v.trainable) for v in weights.values()]

    @property
    def weights(self) -> list[Any]:
        """The weights of the layers, without states of random numbers."""
        found = {id(v): v for one, _ in self._layers for v in one.weights}
        return list(found.values())

    @property
    def flags(self) -> list[bool]:
        """The flags of the layers, in the order of `walk_layers`."""
        return [flag for _, flag in self._layers]

    def freeze(self) -> None:
        """Freezes the layers with all inside."""
        for layer, _ in self._layers:
            layer.trainable = False

    def restore(self) -> None:
        """Gives layers and weights the flags that they had."""
        for layer, flag in self._layers:
            layer.trainable = flag
        for variable, flag in self._weights:
            variable.trainable = flag


def set_frozen(model: keras.Model, changes: Mapping[FlagMemory, bool]) -> None:
    """Freezes layers (`True`) or gives them their flags back (`False`).

    Works between two steps of a running `fit` call, on every backend.
    Optimizers then hold the trainable variables only; their object, counters
    and learning rate remain, and so do the slots of all weights. A frozen
    weight is not in the training step, so nothing changes it: neither decay
    nor averages. All functions of the model are compiled for the new flags,
    those of `evaluate` and `predict` as well: on JAX they would exchange the
    values of weights of one shape. So are those of other models that share
    layers with this one.
    """
    sync_variables(model)
    relatives = list_trained(model, find_related(model))
    functions = FunctionsByFlags.of(model)
    functions.leave()
    for memory, is_frozen in changes.items():
        if is_frozen:
            memory.freeze()
        else:
            memory.restore()
    match_trainable(model)
    commit_variables(model)
    functions.enter()
    for relative in relatives:
        match_trainable(relative)
        commit_variables(relative)
        reset_compiled_functions(relative)


class FunctionsByFlags:
    """The compiled functions of a model for each set of trainable weights.

    And for each set of factors of an `UpdateScale`. A later `fit` call with
    the same sets compiles nothing. Functions that other code has made anew in
    between make those of other sets invalid.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model: Any = model
        self._held: dict[Any, tuple[Any, ...]] = {}
        self._entered: tuple[Any, Any] = (None, None)

    @classmethod
    def of(cls, model: keras.Model) -> "FunctionsByFlags":
        """Returns the functions of a model."""
        found = vars(model).get(_ATTRIBUTE)
        if found is None:
            found = cls(model)
            object.__setattr__(model, _ATTRIBUTE, found)
        return found

    def leave(self) -> None:
        """Keeps the functions for the present flags."""
        key, functions = self._key(), self._functions()
        known, function = self._entered
        if key != known or functions[0] is not function:
            self._held.clear()
        if functions[0] is not None:
            self._held[key] = functions

    def enter(self, *, inference: bool = True) -> None:
        """Sets the functions for the present flags, or has them made.

        Without `inference`, `evaluate` and `predict` need not be made anew.
        """
        key = self._key()
        found = self._held.get(key)
        if found is None or keras.backend.backend() == "torch":
            reset_compiled_functions(self._model, inference=inference)
        else:
            for name, function in zip(_FUNCTIONS, found, strict=True):
                setattr(self._model, name, function)
        self._entered = key, self._model.train_function

    def _key(self) -> tuple[Any, ...]:
        """The flags of all weights, and the factors of their updates."""
        held = {id(v) for v in self._model.trainable_variables}
        flags = tuple(id(v) in held for v in self._model.variables)
        state = CheckpointState.find(self._model)
        scale = state.states.get(SCALE) if state is not None else None
        return flags, getattr(scale, "signature", None)

    def _functions(self) -> tuple[Any, ...]:
        return tuple(getattr(self._model, name) for name in _FUNCTIONS)
