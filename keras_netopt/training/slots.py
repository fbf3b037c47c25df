"""Preserves optimizer slots when the variables are edited.

Private names of Keras 3.15: `_variables`, `_trainable_variables`,
`_trainable_variables_indices`, `_inner_optimizers`, `_optimizer_map`,
`_var_key`, `_exclude_from_weight_decay` and its cache.
"""

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.report import Report
from keras_netopt.training import editing, optimizers
from keras_netopt.training import slot_kinds as kinds
from keras_netopt.training.backend import sync_variables
from keras_netopt.training.dense_store import DenseStore
from keras_netopt.training.mask_store import MaskStore, Memory
from keras_netopt.training.master_store import MasterStore
from keras_netopt.training.optimizer_hook import OptimizerHook

MapSlot = Callable[[Any, np.ndarray, str], np.ndarray]


@dataclass(frozen=True)
class SlotReport(Report):
    """Reports what an edit did with the optimizer's slots.

    Example:

    >>> print(SlotReport({"gradient": 4, "gradient2": 4}, fresh=2))
    Optimizer slots: carried 4 gradient, 4 gradient2; 2 new.

    Args:
        carried: Number of preserved slot arrays, by kind.
        fresh: Number of slot arrays of new variables. Defaults to `0`.
        reset: Slots that were set to their initial value: "attribute of
            variable". Defaults to none.
        guessed: Attributes of a custom optimizer class that were treated as
            averages of gradients. Defaults to none.
    """

    carried: dict[str, int] = field(default_factory=dict)
    fresh: int = 0
    reset: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = [f"{n} {kind}" for kind, n in self.carried.items()]
        text = f"Optimizer slots: carried {', '.join(counts) or 'none'}"
        if self.fresh:
            text += f"; {self.fresh} new"
        if self.reset:
            text += f"; reset {', '.join(self.reset)}"
        if self.guessed:
            text += f"; treated as gradients {', '.join(self.guessed)}"
        return text + "."


@dataclass(frozen=True)
class _Owner:
    """The state of one optimizer of a chain before the edit."""

    optimizer: Any
    trained: list[Any]
    variables: list[Any]
    attached: list[Any]
    undecayed: list[Any]
    other_keys: set[Any] | None
    inner: list[Any]
    scalars: dict[str, tuple[Any, np.ndarray]] = field(default_factory=dict)
    slots: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    misfits: dict[tuple[str, int], tuple[int, ...]] = field(
        default_factory=dict
    )


@dataclass(frozen=True)
class Slots:
    """The state of an optimizer before an edit, made by `capture_slots`."""

    optimizer: Any
    owners: tuple[_Owner, ...]
    masks: Memory


def capture_slots(model: keras.Model) -> Slots | None:
    """Copies the state of a model's optimizer before an edit.

    It is `None` if the model is not compiled, its optimizer is not built, or
    the edit is taken back.
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
    states = tuple(_capture_optimizer(one, model, added) for one in owners)
    return Slots(optimizer, states, memory)


def restore_slots(
    model: keras.Model, slots: Slots, map_slot: MapSlot
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
    """
    report = _SlotCounts()
    with optimizers.variable_scope(model):
        if slots.owners:
            _rebuild(slots, _list_trained(model, slots))
        for owner in slots.owners:
            _write(owner, map_slot, report)
        store = MaskStore.of(model)
        if slots.masks and store is not None:
            store.remap(slots.masks, map_slot)
        for kind in (MasterStore, DenseStore):
            swapped = kind.of(model)
            if swapped is not None:
                swapped.remap()
    return report.to_report()


class _SlotCounts:
    """Counts while slots are written."""

    def __init__(self) -> None:
        self.carried: Counter[str] = Counter()
        self.fresh = 0
        self.reset: list[str] = []
        self.guessed: set[str] = set()

    def to_report(self) -> SlotReport:
        return SlotReport(
            dict(self.carried),
            self.fresh,
            tuple(self.reset),
            tuple(sorted(self.guessed)),
        )


def _capture_optimizer(
    optimizer: Any, model: keras.Model, added: set[int]
) -> _Owner:
    trained = list(optimizer._trainable_variables)
    held = set(_ids(_named_variables(optimizer)))
    variables = [v for v in optimizer._variables if id(v) not in added]
    undecayed, other_keys = _find_undecayed(optimizer, model)
    owner = _Owner(
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
            owner.scalars[name] = value, _read(value)
    for name, value in optimizers.slot_lists(optimizer):
        arrays: dict[int, np.ndarray] = {}
        owner.slots[name] = arrays
        for variable, slot in zip(trained, value, strict=True):
            if slot is not None:
                arrays[id(variable)] = _read(slot)
                if tuple(slot.shape) != tuple(variable.shape):
                    key = name, id(variable)
                    owner.misfits[key] = tuple(variable.shape)
    return owner


def _named_variables(optimizer: Any) -> Iterator[Any]:
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


def _list_trained(model: keras.Model, slots: Slots) -> list[Any]:
    """Lists the variables of the optimizer, in the order of the model.

    Variables that were frozen after the optimizer was built keep their slots,
    except on JAX: its trainer requires the trainable variables only.
    """
    trained = list(model.trainable_variables)
    if keras.backend.backend() == "jax":
        return trained
    chosen = {id(v) for v in [*trained, *slots.owners[0].trained]}
    kept = [v for v in model.variables if id(v) in chosen]
    inside = set(_ids(kept))
    return kept + [v for v in slots.owners[0].trained if id(v) not in inside]


def _rebuild(slots: Slots, trained: list[Any]) -> None:
    for owner in slots.owners:
        optimizer = owner.optimizer
        optimizers.set_variables(optimizer, [])
        optimizer._trainable_variables_indices = {}
        optimizer.built = False
        if owner.inner:
            del optimizer._inner_optimizers[len(owner.inner) :]
    with _keep_optimizer_map(slots):
        slots.optimizer.build(trained)
    for owner in slots.owners:
        _sort_variables(owner)
        _restore_exclusions(owner)


@contextlib.contextmanager
def _keep_optimizer_map(slots: Slots) -> Iterator[None]:
    """Assigns every variable to its previous inner optimizer.

    The optimizer map may be a function that returns a new optimizer at each
    call.
    """
    several = [o for o in slots.owners if o.inner]
    with contextlib.ExitStack() as stack:
        for owner in several:
            by_id = {
                id(variable): one.optimizer
                for one in slots.owners
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


def _sort_variables(owner: _Owner) -> None:
    """Sorts the variables as in a newly built optimizer."""
    optimizer = owner.optimizer
    built = list(optimizer._variables)
    inside, held = set(_ids(built)), set(_ids(_named_variables(optimizer)))
    first = [
        v for v in owner.variables if id(v) in held and id(v) not in inside
    ]
    optimizers.set_variables(optimizer, first + built + owner.attached)


def _restore_exclusions(owner: _Owner) -> None:
    if owner.other_keys is None:
        return
    optimizer = owner.optimizer
    keys = {optimizer._var_key(v) for v in owner.undecayed}
    optimizer._exclude_from_weight_decay = keys | owner.other_keys
    optimizer._exclude_from_weight_decay_cache = {}


def _write(owner: _Owner, map_slot: MapSlot, report: _SlotCounts) -> None:
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
            if slot is not None:
                _write_slot(
                    owner, (name, kind), variable, slot, map_slot, report
                )


def _write_slot(
    owner: _Owner,
    attribute: tuple[str, str],
    variable: Any,
    slot: Any,
    map_slot: MapSlot,
    report: _SlotCounts,
) -> None:
    name, kind = attribute
    old = owner.slots.get(name, {}).get(id(variable))
    if old is None:
        report.fresh += 1
        if kind == kinds.WEIGHT:
            slot.assign(_read(variable))
        return
    new: np.ndarray | None = old
    if kind == kinds.FACTORED:
        new = _map_factored(owner, name, variable, map_slot)
    elif (name, id(variable)) in owner.misfits:
        # Its shape differs from the variable's: kept if that did not change.
        probe: np.ndarray = np.zeros(owner.misfits[name, id(variable)], bool)
        new = old if map_slot(variable, probe, "index") is probe else None
    elif kind == kinds.MAGNITUDE:
        new = np.abs(map_slot(variable, old, kinds.GRADIENT))
    else:
        new = map_slot(variable, old, kind)
    if new is None or new.shape != tuple(slot.shape):
        report.reset.append(f"{name} of {variable.path}")
        return
    slot.assign(new)
    report.carried[kind] += 1


def _map_factored(
    owner: _Owner, name: str, variable: Any, map_slot: MapSlot
) -> np.ndarray:
    """Maps Adafactor's means over rows or columns of squared gradients."""
    key = id(variable)
    old = owner.slots[name][key]
    rows, columns = owner.slots["_r"][key], owner.slots["_c"][key]
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


def _read(variable: Any) -> np.ndarray:
    return np.array(ops.convert_to_numpy(variable))


def _ids(variables: Iterable[Any]) -> list[int]:
    return [id(v) for v in variables]
