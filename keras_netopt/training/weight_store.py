"""The common part of masks and masters: variables kept in the optimizer."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import keras
import numpy as np
from keras import ops

from keras_netopt.training import optimizers
from keras_netopt.training.backend import sync_variables
from keras_netopt.training.checkpoint_state import (
    Arrays,
    CheckpointState,
    Stateful,
)
from keras_netopt.training.lazy_arrays import LazyArrays
from keras_netopt.training.optimizer_hook import OptimizerHook, UpdateFilter


class WeightStore(UpdateFilter, Stateful):
    """Adds variables to a model's optimizer, one per chosen weight.

    It is an `UpdateFilter` of every optimizer that the model holds, and an
    entry of the model's checkpoint state.
    """

    entry: ClassVar[str]

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._optimizers = list(optimizers.find_optimizers(model).values())
        self._owner = optimizers.innermost_optimizer(self._optimizers[0])
        self._variables: dict[str, Any] = {}
        self._by_id: dict[int, str] = {}
        self._undos = [OptimizerHook.add(one, self) for one in self._optimizers]

    @classmethod
    def of(cls, model: keras.Model) -> Self | None:
        """Returns the model's store or `None`."""
        state = CheckpointState.find(model)
        found = None if state is None else state.states.get(cls.entry)
        return found if isinstance(found, cls) else None

    @classmethod
    def _find_or_create(cls, model: keras.Model) -> tuple[Self, Self | None]:
        """Returns the store of the model's optimizers, and a replaced one.

        The second is the store of the optimizers before the last `compile`,
        whose variables the first does not have yet.
        """
        held = list(optimizers.find_optimizers(model).values())
        if not held:
            raise ValueError(
                "Argument `model` must have an optimizer, which updates the "
                "weights: call `model.compile`. "
                f"Received: model={model.name!r} without an optimizer"
            )
        if len(held) == 1 or keras.backend.backend() == "jax":
            # Beside others, it may be Keras' default that nothing uses.
            optimizers.build_optimizer(model, held[0])
        found = cls.of(model)
        if found is not None and [*map(id, found._optimizers)] == [
            *map(id, held)
        ]:
            return found, None
        store = cls(model)
        CheckpointState.of(model).states[cls.entry] = store
        return store, found

    def _places(self) -> dict[str, int]:
        """Returns the position of each weight in `model.weights`.

        Keras' files use the structure and not names. Weights that
        `model.quantize` or `model.pop` have removed are left out.
        """
        place = {id(v): i for i, v in enumerate(self._model.weights)}
        return {
            key: place[id(variable)]
            for key, variable in self._variables.items()
            if id(variable) in place
        }

    def _view_all(
        self, variables: Mapping[str, Any], keys: Iterable[str]
    ) -> LazyArrays:
        """Returns values that are read one at a time, without copies."""

        def view_one(key: str) -> np.ndarray:
            sync_variables(self._model)
            return view(variables[key])

        return LazyArrays(view_one, tuple(keys))

    def _read_all(
        self, variables: Mapping[str, Any], keys: Iterable[str] | None
    ) -> Arrays:
        sync_variables(self._model)
        chosen = variables if keys is None else keys
        return {key: read(variables[key]) for key in chosen}

    def _keep_own_variables(self) -> None:
        """Removes the store's variables from the optimizer's list."""
        added = {id(one) for one in self.variables}
        own = [v for v in self._owner._variables if id(v) not in added]
        optimizers.set_variables(self._owner, own)


def read(variable: Any) -> np.ndarray:
    """Copies a variable to NumPy."""
    # JAX keeps the array that it joins from shards, and does not let it write.
    array = view(variable)
    is_own = array.flags.owndata and array.flags.writeable
    return array if is_own else np.array(array)


def view(variable: Any) -> np.ndarray:
    """Returns the values of a variable without a copy, where possible.

    On a CPU the array shares the memory of the variable: it must be neither
    written nor kept until the variable changes.
    """
    tensor = (
        variable.value if isinstance(variable, keras.Variable) else variable
    )
    if keras.backend.backend() == "torch":
        tensor = tensor.detach().cpu()
        has_dtype = str(tensor.dtype) != "torch.bfloat16"
        return tensor.numpy() if has_dtype else ops.convert_to_numpy(tensor)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tensor = tf.convert_to_tensor(tensor)
    return np.asarray(tensor)  # Keras' own function copies.
