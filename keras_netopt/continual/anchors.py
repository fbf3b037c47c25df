"""The weights of earlier tasks, and how much each of them matters."""

import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Anchor:
    """One weight after the earlier tasks.

    Args:
        reference: Weak reference to the variable.
        value: Its value after the last of these tasks.
        fisher: The diagonal of the Fisher information, over all tasks.
        in_head: Whether it belongs to the layer that makes an output.
    """

    reference: Any
    value: np.ndarray
    fisher: np.ndarray
    in_head: bool


class Anchors:
    """The anchors of all consolidated tasks; never changes.

    Args:
        entries: The anchors. Defaults to none.
        tasks: Number of consolidated tasks. Defaults to `0`.
    """

    def __init__(self, entries: Iterable[Anchor] = (), tasks: int = 0) -> None:
        self._entries = tuple(e for e in entries if e.reference() is not None)
        self.tasks = tasks

    def with_task(
        self,
        variables: Sequence[keras.Variable],
        fisher: Sequence[np.ndarray],
        heads: Sequence[Any],
        gamma: float,
    ) -> "Anchors":
        """Returns the anchors after one more task.

        The information of a weight is `gamma` times that of earlier tasks
        plus the new one, and its anchor the present value. Weights that the
        task does not have stay as they are.
        """
        ids = {id(v) for v in heads}
        new = []
        for variable, one in zip(variables, fisher, strict=True):
            old = self.find(variable)
            in_head = id(variable) in ids
            if old is not None:
                one = one + np.float32(gamma) * old.fisher
                in_head = in_head or old.in_head
            value = np.array(ops.convert_to_numpy(variable.value), "float32")
            new.append(Anchor(weakref.ref(variable), value, one, in_head))
        mine = {id(v) for v in variables}
        rest = [e for e in self._entries if id(e.reference()) not in mine]
        return Anchors([*rest, *new], self.tasks + 1)

    def find(self, variable: Any) -> Anchor | None:
        """Returns the anchor of a variable or `None`."""
        for entry in self._entries:
            if entry.reference() is variable:
                return entry
        return None

    def shared(self, variables: Iterable[Any]) -> list[tuple[Any, Anchor]]:
        """Lists the variables that have an anchor, with it."""
        known = {id(entry.reference()): entry for entry in self._entries}
        return [(v, known[id(v)]) for v in variables if id(v) in known]

    def to_state(self, model: keras.Model) -> tuple[dict[str, Any], Arrays]:
        """Returns what a model's weights have, by their places in it."""
        arrays: Arrays = {}
        heads, places = [], []
        for place, variable in enumerate(model.weights):
            entry = self.find(variable)
            if entry is not None:
                places.append(place)
                arrays[f"value{place}"] = entry.value
                arrays[f"fisher{place}"] = entry.fisher
                if entry.in_head:
                    heads.append(place)
        values = {"tasks": self.tasks, "places": places, "heads": heads}
        return values, arrays

    @classmethod
    def from_state(
        cls, model: keras.Model, values: Mapping[str, Any], arrays: Arrays
    ) -> "Anchors":
        """Returns the anchors that `to_state` of an equal model gave.

        Raises:
            ValueError: If a weight has another shape than then.
        """
        entries = []
        weights = model.weights
        for place in values["places"]:
            value, fisher = arrays[f"value{place}"], arrays[f"fisher{place}"]
            shape = tuple(weights[place].shape) if place < len(weights) else ()
            if place >= len(weights) or shape != value.shape:
                raise ValueError(
                    "The saved anchors must belong to a model of the same "
                    "layers: build it as it was when they were saved. "
                    f"Received: weight {place} of shape {shape}, saved shape "
                    f"{value.shape}"
                )
            reference = weakref.ref(weights[place])
            in_head = place in values["heads"]
            entries.append(Anchor(reference, value, fisher, in_head))
        return cls(entries, values["tasks"])
