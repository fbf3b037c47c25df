"""Access to optimizer internals: added variables and slots.

Private names of Keras 3.15: `_variables`, `_trainable_variables`,
`_inner_optimizers`, the lists of slots.
"""

import contextlib
import operator
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_netopt.training.override_method import override_method

Undo = Callable[[], None]
AWAITING = "_netopt_awaiting"
"""Attribute of an optimizer: takes the variables of a file that do not fit."""
NOT_SLOTS = ("_variables", "_trainable_variables", "_inner_optimizers")


def innermost_optimizer(optimizer: Any) -> Any:
    """Returns the optimizer whose `apply` sees unscaled gradients.

    It is the optimizer itself or the one that a `LossScaleOptimizer` wraps. A
    `MultiOptimizer` is returned as it is: its `apply` sees every gradient.
    """
    return optimizer_chain(optimizer)[-1]


def count_updates(optimizer: Any) -> int:
    """Returns `iterations`, also of an optimizer that replicas share.

    Keras cannot make an int of a variable with a copy per replica.
    """
    return int(keras.ops.convert_to_numpy(optimizer.iterations))


def optimizer_chain(optimizer: Any) -> list[Any]:
    """Lists an optimizer and those that it wraps, outermost first."""
    found = [optimizer]
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
        found.append(optimizer)
    return found


def all_optimizers(optimizer: Any) -> Iterator[Any]:
    """Yields an optimizer and all inner optimizers, outermost first."""
    for one in optimizer_chain(optimizer):
        yield one
        yield from getattr(one, "_inner_optimizers", ())


def find_optimizers(model: keras.Model) -> dict[str, Any]:
    """Returns the optimizers of a model by the attributes that hold them.

    `model.optimizer` comes first. The others are those that a `train_step` of
    the user's own calls, also in lists and dictionaries.
    """
    found = {"optimizer": getattr(model, "optimizer", None)}
    for name, value in vars(model).items():
        held = value.values() if isinstance(value, dict) else value
        for one in held if isinstance(value, dict | list | tuple) else (held,):
            if (
                isinstance(one, keras.optimizers.Optimizer)
                and not name.startswith("_")
                and all(one is not other for other in found.values())
            ):
                key = name if name not in found else f"{name}_{len(found)}"
                found[key] = one
    return {name: one for name, one in found.items() if one is not None}


def slot_lists(optimizer: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yields the lists with one slot, or `None`, per trained variable."""
    count = len(optimizer._trainable_variables)
    for name, value in vars(optimizer).items():
        if name in NOT_SLOTS or not isinstance(value, list) or not value:
            continue
        is_slot = [v is None or isinstance(v, keras.Variable) for v in value]
        if len(value) == count and all(is_slot):
            yield name, value


def map_slots(
    model: keras.Model, map_array: Callable[[Any, np.ndarray], np.ndarray]
) -> None:
    """Changes the slots of a model's optimizer that have a weight's shape.

    `map_array(variable, array)` returns an array of the same shape, or the
    array itself if nothing changes. A compiled training step stays valid.
    """
    held = getattr(model, "optimizer", None)
    for optimizer in () if held is None else all_optimizers(held):
        if not optimizer.built:
            continue
        for _, values in slot_lists(optimizer):
            for variable, slot in zip(
                optimizer._trainable_variables, values, strict=True
            ):
                if slot is None or slot.shape != variable.shape:
                    continue
                array = np.array(keras.ops.convert_to_numpy(slot))
                new = map_array(variable, array)
                if new is not array:
                    slot.assign(new)


def build_optimizer(model: keras.Model, optimizer: Any = None) -> None:
    """Creates the slots of the model's optimizer if they are missing."""
    optimizer = optimizer or model.optimizer
    if not optimizer.built:
        optimizer.build(model.trainable_variables)


@contextlib.contextmanager
def variable_scope(model: keras.Model) -> Iterator[None]:
    """Enters the distribution strategy of a TensorFlow model, if any."""
    strategy = None
    if keras.backend.backend() == "tensorflow":
        strategy = getattr(model, "distribute_strategy", None)
    with strategy.scope() if strategy is not None else contextlib.nullcontext():
        yield


def remove_variable(optimizer: Any, variable: Any) -> None:
    """Removes an added variable from an optimizer."""
    kept = [v for v in optimizer._variables if v is not variable]
    set_variables(optimizer, kept)


def set_variables(optimizer: Any, variables: list[Any]) -> None:
    """Replaces an optimizer's own variables, in the order of saved files."""
    tracker = vars(optimizer).pop("_tracker")
    # Without a tracker Keras sets the list unchanged, and TensorFlow wraps it
    # again: a wrapped list without one of its elements can't be checkpointed.
    optimizer._variables = list(variables)
    object.__setattr__(optimizer, "_tracker", tracker)
    test, _ = tracker.config["variables"]
    tracker.config["variables"] = (test, optimizer._variables)
    tracker.stored_ids["variables"] = {id(v) for v in variables}


def find_slots(optimizer: Any, variable: Any) -> list[Any]:
    """Finds the optimizer slots of a trainable variable, of the same shape.

    Momentum, velocity, moving averages and gradient accumulators are lists
    with one entry per trainable variable. Factored slots have other shapes and
    are skipped. The slots are sorted by attribute name.
    """
    found: list[Any] = []
    outer = innermost_optimizer(optimizer)
    for owner in getattr(outer, "_inner_optimizers", None) or [outer]:
        if not owner.built:
            continue
        index = owner._trainable_variables_indices.get(owner._var_key(variable))
        if index is None:
            continue
        for _, slots in sorted(slot_lists(owner), key=operator.itemgetter(0)):
            slot = slots[index]
            if slot is not None and slot.shape == variable.shape:
                found.append(slot)
    return found


def hide_variables(
    optimizer: Any, is_added: Callable[[Any], bool]
) -> list[Undo]:
    """Excludes added variables from the optimizer's part of saved files.

    Files then hold Keras' own variables only: a model without masks loads
    them, and this model loads files of a model without masks. Returns the
    functions that undo this.
    """
    undos = []
    for owner in optimizer_chain(optimizer):
        save, load = _saving_hooks(owner, is_added)
        undos.append(override_method(owner, "save_own_variables", save))
        undos.append(override_method(owner, "load_own_variables", load))
    return undos


def _saving_hooks(
    owner: Any, is_added: Callable[[Any], bool]
) -> tuple[Callable[[Any], None], Callable[[Any], None]]:
    def own() -> list[Any]:
        return [v for v in owner.variables if not is_added(v)]

    def save_own_variables(store: Any) -> None:
        for i, variable in enumerate(own()):
            store[str(i)] = variable.numpy()

    def load_own_variables(store: Any) -> None:
        variables = own()
        if len(store.keys()) != len(variables):
            take = vars(owner).get(AWAITING)
            if take is not None and take(store):
                return
            warnings.warn(
                f"Skipping variable loading for optimizer '{owner.name}', "
                f"because it has {len(variables)} variables whereas the saved "
                f"optimizer has {len(store.keys())} variables.",
                stacklevel=2,
            )
            return
        for i, variable in enumerate(variables):
            variable.assign(store[str(i)])

    return save_own_variables, load_own_variables
