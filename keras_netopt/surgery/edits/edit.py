"""Carries a plan out: the same model, layers and variables, other shapes.

Private names of Keras 3.15: `Variable._shape`, `_ndim`, `_initialize`,
`_trainable`, `_value`.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.surgery.edits.plan import EditPlan
from keras_netopt.surgery.edits.reinfer import reinfer
from keras_netopt.surgery.graph.channel_graph import ChannelGraph
from keras_netopt.training import optimizers, slots
from keras_netopt.training.editing import editing


class Change:
    """An edit that was made, for what is kept outside the model.

    Args:
        model: The edited model.
        before: The variables of `model.weights` before the edit.
        plan: What was done to each. Defaults to `None`: only new variables.
        slots: What became of the optimizer's slots, or `None`.
    """

    def __init__(
        self,
        model: keras.Model,
        before: Sequence[Any],
        plan: EditPlan | None = None,
        slots: slots.SlotReport | None = None,
    ) -> None:
        self.slots = slots
        self._before = list(before)
        self._after = list(model.weights)  # Another edit may follow at once.
        self._plan = plan

    def map_weights(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Carries a copy of the weights over to the edited model.

        Args:
            arrays: As `model.get_weights` returned them before the edit.

        Returns:
            Arrays for `model.set_weights` now; variables that the edit has
            made keep the values that they have.
        """
        old = {
            id(v): (v, np.asarray(array))
            for v, array in zip(self._before, arrays, strict=True)
        }
        mapped = []
        for variable in self._after:
            found = old.get(id(variable))
            if found is None:
                mapped.append(read(variable))
            elif self._plan is None:
                mapped.append(found[1])
            else:
                mapped.append(self._plan.map(*found, "weight"))
        return mapped


def apply(model: keras.Model, graph: ChannelGraph, plan: EditPlan) -> Change:
    """Gives every variable of a plan its new shape, all of them or none.

    Optimizer slots and masks follow; model, layer and variable objects stay
    the same ones.

    Args:
        model: The model that the graph was made of.
        graph: Its present graph.
        plan: The plan made on it.

    Returns:
        The change, for weights that are kept elsewhere.
    """
    with editing(model) as record:
        touched = {
            id(b.variable): b.variable
            for b in graph.bindings
            if plan.changes(b.variable)
        }
        before, weights = list(touched.values()), list(model.weights)
        old = [read(variable) for variable in before]
        new = [
            plan.map(variable, array, "weight")
            for variable, array in zip(before, old, strict=True)
        ]
        held = slots.capture_slots(model)
        try:
            report = _write(model, before, new, held, plan.map)
        except BaseException:
            _write(model, before, old, held, _unchanged)
            raise
        change = Change(model, weights, plan, report)
        record.changes.append(change)
        return change


def read(variable: Any) -> np.ndarray:
    """Copies the value of a variable to the host."""
    return np.array(ops.convert_to_numpy(variable))


def replace_value(variable: Any, value: np.ndarray) -> None:
    """Gives a variable a value of another shape; the object stays."""
    variable._shape = tuple(int(size) for size in value.shape)
    variable._ndim = len(variable._shape)
    held = variable._trainable
    if keras.backend.backend() == "tensorflow":
        # A frozen layer freezes Keras' variable and not TensorFlow's, which
        # would stay without gradients once the layer is let go.
        variable._trainable = variable._value.trainable
    try:
        with keras.name_scope("surgery"):
            variable._initialize(ops.convert_to_tensor(value, variable.dtype))
    finally:
        variable._trainable = held


def _write(
    model: keras.Model,
    variables: Sequence[Any],
    values: Sequence[np.ndarray],
    held: slots.Slots | None,
    map_slot: Any,
) -> slots.SlotReport | None:
    with optimizers.variable_scope(model):
        for variable, value in zip(variables, values, strict=True):
            replace_value(variable, value)
    reinfer(model)
    return None if held is None else slots.restore_slots(model, held, map_slot)


def _unchanged(variable: Any, array: np.ndarray, kind: str) -> np.ndarray:
    return array
