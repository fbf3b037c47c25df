"""Remembers a model, to take back whatever is done to it.

Private names of Keras 3.15: `Node`, `SymbolicArguments`, `Tracker`,
`Variable._value`, and the name counters in `global_state`.
"""

from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.ops.node import Node
from keras.src.ops.symbolic_arguments import SymbolicArguments
from keras.src.utils.tracking import Tracker

from keras_netopt.graph.held_values import HeldValue, hold_value

_NAMES = "object_name_uids"
_CONTAINERS = (list, dict, set, tuple)
_OBJECTS = (
    keras.Operation,
    keras.Variable,
    keras.KerasTensor,
    keras.InputSpec,
    keras.random.SeedGenerator,
    Node,
    SymbolicArguments,
    Tracker,
)
_SKIPPED = ("optimizer", "_optimizer", "_compile_config", "_compile_loss")


class ModelMemory:
    """The attributes and items of everything that a model is made of.

    Layers, their calls and tensors, variables, and the containers that hold
    them are followed, and objects of the classes `kinds`; optimizers, losses,
    metrics and objects of other packages are not. The values of variables are
    shared with other memories, see `held_values`.
    """

    def __init__(self, model: keras.Model, kinds: tuple[type, ...]) -> None:
        self._kinds = (*_OBJECTS, *kinds)
        names = global_state.get_global_attribute(_NAMES)
        self._names = None if names is None else names.copy()
        self._seen: set[int] = set()
        self._objects: list[tuple[Any, type, dict[str, Any]]] = []
        self._containers: list[tuple[Any, Any]] = []
        self._add(model)

    def holds(self, one: Any) -> bool:
        """Returns whether an object will be restored."""
        return id(one) in self._seen

    def restore(self) -> None:
        """Gives everything its old class, attributes and items.

        The counters of automatic names return, too.
        """
        for one, kind, members in self._objects:
            now = vars(one)
            if isinstance(held := members.get("_value"), HeldValue):
                members = {**members, "_value": held.get()}
            if not _is_same(now, members):
                now.clear()
                now.update(members)
            if type(one) is not kind:
                object.__setattr__(one, "__class__", kind)
        for one, items in self._containers:
            _restore_items(one, items)
        global_state.set_global_attribute(_NAMES, self._names)

    def _add(self, root: Any) -> None:
        """Adds an object and all that it leads to."""
        stack = [root]
        while stack:
            one = stack.pop()
            if id(one) in self._seen:
                continue
            if issubclass(type(one), _CONTAINERS):
                self._seen.add(id(one))
                stack += self._add_container(one)
            elif isinstance(one, self._kinds) or _is_module(one):
                self._seen.add(id(one))
                members = dict(vars(one))
                stack += [v for k, v in members.items() if k not in _SKIPPED]
                if members.get("_value") is not None:
                    members["_value"] = hold_value(members["_value"])
                self._objects.append((one, type(one), members))
            elif isinstance(one, dict):  # TensorFlow's proxy of a dict.
                self._seen.add(id(one))
                self._containers.append(((one,), ()))  # Keeps its `id`.
                stack.append(one.__wrapped__)  # type: ignore[attr-defined]

    def _add_container(self, one: Any) -> list[Any]:
        # Items are read and written past the methods of subclasses, which
        # track layers and variables.
        if isinstance(one, tuple):
            self._containers.append((one, one))  # Keeps its `id`.
            return list(one)
        if isinstance(one, dict):
            items: Any = dict(dict.items(one))
            values = list(items.values())
        elif isinstance(one, list):
            items = values = list(list.__iter__(one))
        else:
            items, values = set(one), []
        self._containers.append((one, items))
        inside = vars(one) if hasattr(one, "__dict__") else {}
        if inside:
            self._objects.append((one, type(one), dict(inside)))
        return [*values, *inside.values()]


def _is_module(one: Any) -> bool:
    """Whether an object is a torch module, such as a list of parameters."""
    members = getattr(one, "__dict__", {})
    return "_parameters" in members and "_modules" in members


def _is_same(now: dict[Any, Any], before: dict[Any, Any]) -> bool:
    return len(now) == len(before) and all(
        a == c and b is d
        for (a, b), (c, d) in zip(now.items(), before.items(), strict=True)
    )


def _restore_items(one: Any, items: Any) -> None:
    if isinstance(one, tuple):
        return
    if isinstance(one, dict):
        if not _is_same(dict(dict.items(one)), items):
            dict.clear(one)
            dict.update(one, items)
    elif isinstance(one, list):
        now = list(list.__iter__(one))
        if len(now) != len(items) or any(
            a is not b for a, b in zip(now, items, strict=True)
        ):
            list.__setitem__(one, slice(None), items)
    elif one != items:
        set.clear(one)
        set.update(one, items)
