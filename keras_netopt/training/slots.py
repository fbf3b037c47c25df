"""Preserves optimizer slots when the variables are edited.

Private names of Keras 3.15: `_variables`, `_trainable_variables`,
`_inner_optimizers`, `_var_key`, `_exclude_from_weight_decay`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.read_value import read_value, to_numpy
from keras_netopt.training import editing, optimizers
from keras_netopt.training import slot_kinds as kinds
from keras_netopt.training.backend import sync_variables
from keras_netopt.training.dense_store import DenseStore
from keras_netopt.training.mask_store import MaskStore, Memory
from keras_netopt.training.master_store import MasterStore
from keras_netopt.training.optimizer_hook import OptimizerHook
from keras_netopt.training.replace_value import exchange_value
from keras_netopt.training.slot_rebuild import (
    SlotOwner,
    list_trained,
    named_variables,
    rebuild_optimizer,
)
from keras_netopt.training.slot_report import SlotCounts, SlotReport
from keras_netopt.training.take_entries import Places

MapSlot = Callable[[Any, np.ndarray, str], np.ndarray]
FindPlaces = Callable[[Any], Places | None]


@dataclass(frozen=True)
class Slots:
    """The state of an optimizer before an edit, made by `capture_slots`."""

    optimizer: Any
    owners: tuple[SlotOwner, ...]
    masks: Memory


def capture_slots(model: keras.Model, *, copy: bool = False) -> Slots | None:
    """Remembers the state of a model's optimizer before an edit.

    It is `None` if the model is not compiled, its optimizer is not built, or
    the edit is taken back. The slots are not copied, except with `copy`, which
    an optimizer needs that other models use and edit.
    """
    if editing.is_rehearsal(model):
        return None
    optimizer = getattr(model, "optimizer", None)
    store, masters = MaskStore.of(model), MasterStore.of(model)
    is_built = optimizer is not None and optimizer.built
    if store is None and masters is None and not is_built:
        return None
    sync_variables(model)
    added = set(_ids(OptimizerHook.added_variables(optimizer)))
    memory = store.memory() if store is not None else {}
    owners = optimizers.all_optimizers(optimizer) if is_built else ()
    states = [_capture_optimizer(one, model, added, copy) for one in owners]
    return Slots(optimizer, tuple(states), memory)


def restore_slots(
    model: keras.Model,
    slots: Slots,
    map_slot: MapSlot,
    *,
    old_places: FindPlaces | None = None,
) -> SlotReport:
    """Restores the optimizer after the variables have changed.

    The optimizer is built again for the variables that are trainable now, so
    that their order is that of a loaded model; then every slot gets its old
    value, mapped to the new shape. Counters, learning rate, loss scale and
    masks do not change.

    Args:
        model: The edited model.
        slots: Result of `capture_slots` before the edit.
        map_slot: `(variable, array, kind) -> array` in the variable's current
            shape; returns the array itself if nothing changes. Kinds
            are "weight", "gradient", "gradient2", "update" and "index".
        old_places: Where the new arrays have the entries of the old ones, see
            `EditPlan.old_places`. Defaults to `None`: not known, so that old
            values are kept until the edit is complete.
    """
    report = SlotCounts()
    with optimizers.variable_scope(model):
        if slots.owners:
            trained = list_trained(model, slots.owners)
            rebuild_optimizer(slots.optimizer, slots.owners, trained)
        for owner in slots.owners:
            _write(owner, map_slot, old_places or _no_places, report)
        store = MaskStore.of(model)
        if slots.masks and store is not None:
            store.remap(slots.masks, map_slot)
        for kind in (MasterStore, DenseStore):
            swapped = kind.of(model)
            if swapped is not None:
                swapped.remap()
    return report.to_report()


def _capture_optimizer(
    optimizer: Any, model: keras.Model, added: set[int], copy: bool
) -> SlotOwner:
    trained = list(optimizer._trainable_variables)
    held = set(_ids(named_variables(optimizer)))
    variables = [v for v in optimizer._variables if id(v) not in added]
    undecayed, other_keys = _find_undecayed(optimizer, model)
    owner = SlotOwner(
        optimizer=optimizer,
        trained=trained,
        variables=variables,
        attached=[v for v in variables if id(v) not in held],
        undecayed=undecayed,
        other_keys=other_keys,
        inner=list(getattr(optimizer, "_inner_optimizers", ())),
    )
    for name, value in vars(optimizer).items():
        if isinstance(value, keras.Variable):
            owner.scalars[name] = value, to_numpy(value)
    for name, value in optimizers.slot_lists(optimizer):
        found: dict[int, Any] = {}
        owner.slots[name] = found
        for variable, slot in zip(trained, value, strict=True):
            if slot is not None:
                found[id(variable)] = to_numpy(slot) if copy else slot
                if tuple(slot.shape) != tuple(variable.shape):
                    key = name, id(variable)
                    owner.misfits[key] = tuple(variable.shape)
    return owner


def _find_undecayed(
    optimizer: Any, model: keras.Model
) -> tuple[list[Any], set[Any] | None]:
    """Finds the variables without weight decay, and unknown keys.

    On TensorFlow the keys change with the shape of a variable.
    """
    keys = vars(optimizer).get("_exclude_from_weight_decay")
    if keys is None:
        return [], None
    known = {optimizer._var_key(v): v for v in model.variables}
    found = [known[key] for key in keys if key in known]
    return found, {key for key in keys if key not in known}


def _no_places(variable: Any) -> None:
    """Says that an old value does not follow from the new one."""


def _write(
    owner: SlotOwner,
    map_slot: MapSlot,
    old_places: FindPlaces,
    report: SlotCounts,
) -> None:
    optimizer = owner.optimizer
    for name, (variable, value) in owner.scalars.items():
        now = getattr(optimizer, name, None)
        if isinstance(now, keras.Variable) and now.shape == variable.shape:
            now.assign(value)
    table = kinds.find_slot_kinds(optimizer)
    for name, values in optimizers.slot_lists(optimizer):
        if name not in table:
            report.guessed.add(name)
        kind = table.get(name, kinds.GRADIENT)
        for variable, slot in zip(
            optimizer._trainable_variables, values, strict=True
        ):
            if slot is None:
                continue
            old = owner.slots.get(name, {}).get(id(variable))
            if old is None:
                report.fresh += 1
                if kind == kinds.WEIGHT:
                    slot.assign(to_numpy(variable))
                continue
            before = read_value(old)
            new = _map(owner, (name, kind), variable, before, map_slot)
            shape = tuple((variable if slot is old else slot).shape)
            if new is None or new.shape != shape:
                report.reset.append(f"{name} of {variable.path}")
                if slot is old:
                    _reset(owner, slot, shape)
                continue
            report.carried[kind] += 1
            if slot is not old:
                slot.assign(new)
            elif new is not before:
                del before
                exchange_value(slot, new, old_places(variable))


def _reset(owner: SlotOwner, slot: Any, shape: tuple[int, ...]) -> None:
    """Gives a slot the value that it has in a new optimizer."""
    initializer = keras.initializers.get(owner.initializers[id(slot)])
    value = initializer(shape, dtype=slot.dtype)
    exchange_value(slot, read_value(value), None)


def _map(
    owner: SlotOwner,
    attribute: tuple[str, str],
    variable: Any,
    old: np.ndarray,
    map_slot: MapSlot,
) -> np.ndarray | None:
    """Maps the value of a slot; returns `None` if it starts anew."""
    name, kind = attribute
    if kind == kinds.FACTORED:
        return _map_factored(owner, name, variable, map_slot)
    if (name, id(variable)) in owner.misfits:
        # Its shape differs from the variable's: kept if that did not change.
        probe: np.ndarray = np.zeros(owner.misfits[name, id(variable)], bool)
        return old if map_slot(variable, probe, "index") is probe else None
    if kind != kinds.MAGNITUDE:
        return map_slot(variable, old, kind)
    new = map_slot(variable, old, kinds.GRADIENT)
    return new if new is old else np.abs(new)


def _map_factored(
    owner: SlotOwner, name: str, variable: Any, map_slot: MapSlot
) -> np.ndarray:
    """Maps Adafactor's means over rows or columns of squared gradients."""
    key = id(variable)
    old = read_value(owner.slots[name][key])
    rows = read_value(owner.slots["_r"][key])
    columns = read_value(owner.slots["_c"][key])
    if not rows.ndim:
        return old  # A placeholder: vectors are not factored.
    rows, columns = rows.astype("float64"), columns.astype("float64")
    mean = rows.mean(axis=-1, keepdims=True)
    share = np.divide(rows, mean, out=np.ones_like(rows), where=mean != 0)
    squares = share[..., None] * columns[..., None, :]
    mapped = map_slot(variable, squares, kinds.GRADIENT2)
    if mapped is squares:
        return old
    return mapped.mean(axis=-1 if name == "_r" else -2).astype(old.dtype)


def _ids(variables: Iterable[Any]) -> list[int]:
    return [id(v) for v in variables]
