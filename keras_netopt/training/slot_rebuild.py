"""Builds an optimizer again for the weights that a model has now.

Private names of Keras 3.15: `_variables`, `_trainable_variables`,
`_trainable_variables_indices`, `_inner_optimizers`, `_optimizer_map`,
`_track_variable`, `_var_key`, `_exclude_from_weight_decay` and its cache.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_netopt.training import optimizers


@dataclass(frozen=True)
class SlotOwner:
    """One optimizer of a chain before the edit, with its variables.

    `slots` holds the slots by attribute and `id` of their weight: variables,
    or copies of their values.
    """

    optimizer: Any
    trained: list[Any]
    variables: list[Any]
    attached: list[Any]
    undecayed: list[Any]
    other_keys: set[Any] | None
    inner: list[Any]
    scalars: dict[str, tuple[Any, np.ndarray]] = field(default_factory=dict)
    slots: dict[str, dict[int, Any]] = field(default_factory=dict)
    misfits: dict[tuple[str, int], tuple[int, ...]] = field(
        default_factory=dict
    )
    initializers: dict[int, Any] = field(default_factory=dict)


def list_trained(model: keras.Model, owners: Sequence[SlotOwner]) -> list[Any]:
    """Lists the variables of the optimizer, in the order of the model.

    Variables that were frozen after the optimizer was built keep their slots,
    except on JAX: its trainer requires the trainable variables only.
    """
    trained = list(model.trainable_variables)
    if keras.backend.backend() == "jax":
        return trained
    chosen = {id(v) for v in [*trained, *owners[0].trained]}
    kept = [v for v in model.variables if id(v) in chosen]
    inside = set(map(id, kept))
    return kept + [v for v in owners[0].trained if id(v) not in inside]


def rebuild_optimizer(
    outer: Any, owners: Sequence[SlotOwner], trained: list[Any]
) -> None:
    """Builds an optimizer for its weights of now; their slots stay the same."""
    for owner in owners:
        optimizer = owner.optimizer
        optimizers.set_variables(optimizer, [])
        optimizer._trainable_variables_indices = {}
        optimizer.built = False
        if owner.inner:
            del optimizer._inner_optimizers[len(owner.inner) :]
    with contextlib.ExitStack() as stack:
        stack.enter_context(_keep_optimizer_map(owners))
        for owner in owners:
            stack.enter_context(_keep_slots(owner))
        outer.build(trained)
    for owner in owners:
        _sort_variables(owner)
        _restore_exclusions(owner)


@contextlib.contextmanager
def _keep_slots(owner: SlotOwner) -> Iterator[None]:
    """Makes `build` use the slots that an optimizer has, whatever their shape.

    A slot is known by its weight and its name.
    """
    optimizer = owner.optimizer
    known = {
        (key, slot.name): slot
        for name, slots in owner.slots.items()
        for key, slot in slots.items()
        if isinstance(slot, keras.Variable) and (name, key) not in owner.misfits
    }
    kept: list[Any] = []
    create = optimizer.add_variable_from_reference

    def add_variable_from_reference(
        reference_variable: Any, name: Any = None, initializer: Any = "zeros"
    ) -> Any:
        path = getattr(reference_variable, "path", "").replace("/", "_")
        key = id(reference_variable), f"{path}_{name or 'var'}"
        slot = known.pop(key, None)
        if slot is None:
            return create(reference_variable, name, initializer)
        optimizer._track_variable(slot)
        owner.initializers[id(slot)] = initializer
        # `build` of some optimizers assigns initial values to new slots.
        vars(slot)["assign"] = functools.partial(_keep_initial, owner, slot)
        kept.append(slot)
        return slot

    write = optimizer.assign

    def assign(variable: Any, value: Any) -> None:
        # On TensorFlow the optimizer would write past the variable.
        if any(variable is slot for slot in kept):
            variable.assign(value)
        else:
            write(variable, value)

    object.__setattr__(
        optimizer, "add_variable_from_reference", add_variable_from_reference
    )
    object.__setattr__(optimizer, "assign", assign)
    try:
        yield
    finally:
        object.__delattr__(optimizer, "add_variable_from_reference")
        object.__delattr__(optimizer, "assign")
        for slot in kept:
            del vars(slot)["assign"]


def _keep_initial(owner: SlotOwner, slot: Any, value: Any) -> Any:
    """Notes the value of a slot in a new optimizer, and does not assign it."""
    owner.initializers[id(slot)] = lambda shape, dtype: value
    return value


@contextlib.contextmanager
def _keep_optimizer_map(owners: Sequence[SlotOwner]) -> Iterator[None]:
    """Assigns every variable to its previous inner optimizer.

    The optimizer map may be a function that returns a new optimizer at each
    call.
    """
    several = [o for o in owners if o.inner]
    with contextlib.ExitStack() as stack:
        for owner in several:
            by_id = {
                id(variable): one.optimizer
                for one in owners
                if any(one.optimizer is inner for inner in owner.inner)
                for variable in one.trained
            }
            members = vars(owner.optimizer)
            original = members["_optimizer_map"]
            members["_optimizer_map"] = functools.partial(
                _map_optimizer, by_id, original
            )
            stack.callback(members.__setitem__, "_optimizer_map", original)
        yield


def _map_optimizer(
    by_id: dict[int, Any], original: Callable[[Any], Any], variable: Any
) -> Any:
    found = by_id.get(id(variable))
    return original(variable) if found is None else found


def _sort_variables(owner: SlotOwner) -> None:
    """Sorts the variables as in a newly built optimizer."""
    optimizer = owner.optimizer
    built = list(optimizer._variables)
    inside, held = set(map(id, built)), set(map(id, named_variables(optimizer)))
    first = [
        v for v in owner.variables if id(v) in held and id(v) not in inside
    ]
    optimizers.set_variables(optimizer, first + built + owner.attached)


def _restore_exclusions(owner: SlotOwner) -> None:
    if owner.other_keys is None:
        return
    optimizer = owner.optimizer
    keys = {optimizer._var_key(v) for v in owner.undecayed}
    optimizer._exclude_from_weight_decay = keys | owner.other_keys
    optimizer._exclude_from_weight_decay_cache = {}


def named_variables(optimizer: Any) -> Iterator[Any]:
    """Yields the variables that are attributes of an optimizer."""
    for name, value in vars(optimizer).items():
        if isinstance(value, keras.Variable):
            yield value
        elif name in optimizers.NOT_SLOTS or name.startswith("_self_"):
            continue  # TensorFlow tracks every list a second time.
        elif isinstance(value, list | tuple | dict):
            for leaf in keras.tree.flatten(value):
                if isinstance(leaf, keras.Variable):
                    yield leaf
