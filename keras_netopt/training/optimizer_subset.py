"""Makes an optimizer hold exactly the trainable variables of a model.

Private names of Keras 3.15: `_variables`, `_trainable_variables`,
`_trainable_variables_indices`, `_accumulated_gradients`,
`_model_variables_moving_average`, `_var_key`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import ops

from keras_netopt.training import optimizers, slots
from keras_netopt.training.optimizers import slot_lists
from keras_netopt.training.weight_store import read

_ATTRIBUTE = "_netopt_aside"
_AVERAGES = "_model_variables_moving_average"
_SUMS = "_accumulated_gradients"
Slots = dict[str, Any]


@dataclass
class _Aside:
    """The slots of variables that an optimizer does not hold at present.

    `order` lists all variables of the optimizer as Keras created them.
    """

    order: list[Any]
    slots: dict[int, tuple[Any, Slots]] = field(default_factory=dict)
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def drop_misfits(self) -> None:
        """Drops the slots of weights that an edit has reshaped meanwhile."""
        for key, (variable, _) in list(self.slots.items()):
            if tuple(variable.shape) != self.shapes[key]:
                del self.slots[key], self.shapes[key]


def match_trainable(model: keras.Model) -> None:
    """Makes the optimizers of a model hold its trainable variables only.

    An optimizer that holds others is refused by the JAX trainer, and averages
    variables that stand still. The slots of a variable that is frozen are set
    aside, and used again when it becomes trainable: the same variables with
    the same values. Call it after flags have changed, between two steps.
    """
    main = getattr(model, "optimizer", None)
    for optimizer in optimizers.find_optimizers(model).values():
        if not optimizer.built:
            continue
        if optimizer is not main:
            known = _known(optimizer)
            _narrow_all(optimizer, [v for v in known if v.trainable])
            continue
        wanted = list(model.trainable_variables)
        held = {id(v) for v in _known(optimizer)}
        _narrow_all(optimizer, [v for v in wanted if id(v) in held])
        if any(id(v) not in held for v in wanted):
            state = slots.capture_slots(model)
            if state is not None:
                slots.restore_slots(model, state, lambda _, array, __: array)


def belongs_elsewhere(optimizer: Any, model: keras.Model) -> bool:
    """Whether an optimizer holds slots, but of no weight of a model."""
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        return False
    held = {
        id(variable)
        for one in optimizers.all_optimizers(optimizer)
        for variable in _known(one)
    }
    return bool(held) and held.isdisjoint(map(id, model.variables))


def list_aside(model: keras.Model) -> Iterator[tuple[str, Any, str, Any]]:
    """Yields the slots that are set aside.

    Each comes as the place of its optimizer, the weight, the attribute and
    the slot.
    """
    for place, owner in _owners(model):
        aside = vars(owner).get(_ATTRIBUTE)
        for variable, held in aside.slots.values() if aside else ():
            for name, slot in held.items():
                if slot is not None:
                    yield place, variable, name, slot


def _owners(model: keras.Model) -> Iterator[tuple[str, Any]]:
    for key, optimizer in optimizers.find_optimizers(model).items():
        for i, owner in enumerate(optimizers.all_optimizers(optimizer)):
            yield f"{key}.{i}", owner


def _known(optimizer: Any) -> list[Any]:
    """Lists the variables that an optimizer has slots for."""
    aside = vars(optimizer).get(_ATTRIBUTE)
    if aside:
        aside.drop_misfits()
    others = [v for v, _ in aside.slots.values()] if aside else []
    return [*optimizer._trainable_variables, *others]


def _narrow_all(optimizer: Any, wanted: list[Any]) -> None:
    for owner in optimizers.all_optimizers(optimizer):
        if owner.built:
            held = {id(v) for v in _known(owner)}
            _narrow(owner, [v for v in wanted if id(v) in held])


def _narrow(owner: Any, wanted: list[Any]) -> None:
    current = list(owner._trainable_variables)
    if [*map(id, current)] == [*map(id, wanted)]:
        return
    aside = vars(owner).get(_ATTRIBUTE) or _Aside(list(owner._variables))
    table = dict(aside.slots)
    lists = dict(slot_lists(owner))
    for i, variable in enumerate(current):
        table[id(variable)] = (variable, {n: v[i] for n, v in lists.items()})
    names = {name for _, held in table.values() for name in held}
    chosen = {id(v) for v in wanted}
    for variable in current:
        if id(variable) not in chosen:
            _clear_sum(table[id(variable)][1])
    for variable in wanted:
        if id(variable) in aside.slots:
            _begin_average(variable, table[id(variable)][1])
    for name in names:
        one = [table[id(v)][1][name] for v in wanted]
        object.__setattr__(owner, name, one)
    object.__setattr__(owner, "_trainable_variables", wanted)
    owner._trainable_variables_indices = {
        owner._var_key(v): i for i, v in enumerate(wanted)
    }
    _set_variables(owner, aside, table, chosen)
    aside.slots = {k: v for k, v in table.items() if k not in chosen}
    aside.shapes = {k: tuple(v.shape) for k, (v, _) in aside.slots.items()}
    if aside.slots:
        object.__setattr__(owner, _ATTRIBUTE, aside)
    else:
        vars(owner).pop(_ATTRIBUTE, None)


def _set_variables(
    owner: Any,
    aside: _Aside,
    table: dict[int, tuple[Any, Slots]],
    chosen: set[int],
) -> None:
    """Sets the list of all variables, in the order of a new optimizer."""
    here: set[Any] = set()
    away: set[Any] = set()
    for key, (_, held) in table.items():
        found = {id(slot) for slot in held.values() if slot is not None}
        (here if key in chosen else away).update(found)
    present = {id(v) for v in owner._variables}
    known = {id(v) for v in aside.order}
    added = [v for v in owner._variables if id(v) not in known]
    aside.order = [
        v
        for v in (*aside.order, *added)
        if id(v) in present or id(v) in here or id(v) in away
    ]
    optimizers.set_variables(
        owner, [v for v in aside.order if id(v) not in away]
    )


def _clear_sum(held: Slots) -> None:
    """Drops the gradients of an unfinished accumulation."""
    slot = held.get(_SUMS)
    if slot is not None:
        slot.assign(ops.zeros(slot.shape, slot.dtype))


def _begin_average(variable: Any, held: Slots) -> None:
    """Begins the moving average of a weight at its value, as Keras does.

    An average that was never updated is zero.
    """
    slot = held.get(_AVERAGES)
    if slot is not None and not read(slot).any():
        slot.assign(read(variable))  # A copy: JAX donates both arrays.
