"""Reads the state of a model: weights, optimizer and checkpoint state."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from contract import zoo
from keras.src.backend.common.symbolic_scope import in_symbolic_scope

Arrays = dict[str, np.ndarray]


def fit(
    model: keras.Model, name: str, callbacks: Sequence[Any] = (), **changed: Any
) -> dict[str, list[float]]:
    """Trains on the zoo's data without shuffling; returns the history."""
    x, y = zoo.data(name)
    arguments = {
        "x": x,
        "y": y,
        "batch_size": zoo.BATCH_SIZE,
        "epochs": 2,
        "shuffle": False,
        "verbose": 0,
        **changed,
    }
    arguments = fed(callbacks, arguments)
    return model.fit(callbacks=list(callbacks), **arguments).history


def fed(callbacks: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `fit` if one of the callbacks provides the dataset.

    With sample weights the callback is built again with them.
    """
    for i, component in enumerate(callbacks):
        if not hasattr(component, "dataset"):
            continue
        given = dict(arguments)
        weight = given.pop("sample_weight", None)
        if weight is not None:
            data = {
                name: getattr(component, name) for name in component.data_args
            }
            data["sample_weight"] = weight
            component = type(component).from_config(
                component.get_config(), **data
            )
            callbacks[i] = component
        data_set = component.dataset(
            given.pop("batch_size", None),
            class_weight=given.pop("class_weight", None),
        )
        return {**given, "x": data_set, "y": None}
    return arguments


def weights(model: keras.Model) -> Arrays:
    return _by_place("weight", model.variables)


def optimizer(model: keras.Model) -> Arrays:
    """Every optimizer variable, masks included."""
    return _by_place("optimizer", model.optimizer.variables)


def keras_slots(model: keras.Model) -> list[np.ndarray]:
    """Keras' own optimizer variables, as in a saved file."""
    store: Arrays = {}
    model.optimizer.save_own_variables(store)
    return [np.array(store[str(i)]) for i in range(len(store))]


def carried(model: keras.Model) -> Arrays:
    """The checkpoint state of this package: values, masks, random state."""
    # The process that loads files without keras_netopt must not import it.
    from keras_netopt.training import CheckpointState

    store: Arrays = {}
    checkpoint_state = CheckpointState.find(model)
    if checkpoint_state is not None:
        checkpoint_state.save_own_variables(store)
    return {f"checkpoint {k}": np.array(v) for k, v in store.items()}


def state(model: keras.Model) -> Arrays:
    return {**weights(model), **optimizer(model), **carried(model)}


def predictions(model: keras.Model, name: str) -> np.ndarray:
    x = zoo.data(name)[0]
    if keras.backend.backend() == "jax":
        return model.predict(x, verbose=0)  # Op by op takes longer there.
    return to_numpy(model(x, training=False))


def to_numpy(tensor: Any) -> np.ndarray:
    tensor = keras.ops.stop_gradient(tensor)
    return np.array(keras.ops.convert_to_numpy(tensor))


def assert_same(mine: Arrays, other: Arrays) -> None:
    assert list(mine) == list(other), (list(mine), list(other))
    wrong = [k for k in mine if not np.array_equal(mine[k], other[k])]
    assert not wrong, {k: (mine[k], other[k]) for k in wrong}


def assert_close(mine: Arrays, other: Arrays, tolerance: float = 1e-5) -> None:
    assert list(mine) == list(other), (list(mine), list(other))
    for key, value in mine.items():
        if value.dtype.kind == "f":
            limit = tolerance * max(1.0, float(np.abs(other[key]).max()))
            np.testing.assert_allclose(value, other[key], atol=limit, rtol=0)


def differ(mine: Arrays, other: Arrays) -> bool:
    return any(not np.array_equal(mine[k], other[k]) for k in mine)


def untimed(history: dict[str, list[float]]) -> dict[str, list[float]]:
    """Without measured times."""
    return {k: v for k, v in history.items() if not k.endswith("_seconds")}


def is_finite(history: dict[str, list[float]]) -> bool:
    return bool(np.isfinite(sum(history.values(), [])).all())


class AtBatch(keras.callbacks.Callback):
    """Calls a function after one batch, counted over the whole fit."""

    def __init__(self, batch: int, function: Callable[[Any], None]) -> None:
        super().__init__()
        self.batch, self.function = batch, function
        self.seen = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen += 1
        if self.seen == self.batch:
            self.function(self.model)


@keras.saving.register_keras_serializable("contract")
class CountedLoss(keras.losses.SparseCategoricalCrossentropy):
    """Counts its Python calls: one per trace, on torch one per step.

    Calls with symbolic tensors, which build a model, trace no step.
    """

    calls = 0

    def call(self, y_true: Any, y_pred: Any) -> Any:
        self.calls += not in_symbolic_scope()
        return super().call(y_true, y_pred)


def _by_place(word: str, variables: Sequence[Any]) -> Arrays:
    """By position and not by path, as layer names differ between copies."""
    return {
        f"{word} {i}": np.array(keras.ops.convert_to_numpy(v.value))
        for i, v in enumerate(variables)
    }
