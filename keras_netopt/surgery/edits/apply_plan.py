"""Applies an edit plan to the variables of a model, in place.

Private names of Keras 3.15: `Variable._shape`, `_ndim`, `_initialize`,
`_trainable`, `_value`.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.edits.edit_plan import EditPlan
from keras_netopt.surgery.opened.open_layer_edit import OpenLayerEdit
from keras_netopt.surgery.update_shapes import update_model_shapes
from keras_netopt.training import optimizers, slots
from keras_netopt.training.editing import editing


class AppliedEdit:
    """A completed edit, to apply to copies of the weights as well.

    `before` are the variables of `model.weights` before the edit. Without a
    plan, only variables were added.
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
        self._after = list(model.weights)  # Before the next edit adds to them.
        self._plan = plan

    def map_array(self, variable: Any, array: np.ndarray, kind: str) -> Any:
        """Maps an array of a variable's shape through the edit."""
        if self._plan is None:
            return array
        return self._plan.map(variable, array, kind)

    def map_weights(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Applies the edit to the output of `model.get_weights` before it.

        The result is for `model.set_weights` after the edit. Variables that the
        edit has added keep their current values.
        """
        old = {
            id(v): (v, np.asarray(array))
            for v, array in zip(self._before, arrays, strict=True)
        }
        mapped = []
        for variable in self._after:
            found = old.get(id(variable))
            if found is None:
                mapped.append(to_numpy(variable))
            elif self._plan is None:
                mapped.append(found[1])
            else:
                mapped.append(self._plan.map(*found, "weight"))
        return mapped


def apply_plan(
    model: keras.Model, graph: ChannelGraph, plan: EditPlan
) -> AppliedEdit:
    """Gives the variables of a plan their new shapes, all or none.

    Optimizer slots and masks are carried over; model, layer and variable
    objects stay the same.
    """
    with editing(model) as changes:
        touched = {
            id(b.variable): b.variable
            for b in graph.coupled_axes
            if plan.changes(b.variable)
        }
        before, weights = list(touched.values()), list(model.weights)
        old = [to_numpy(variable) for variable in before]
        new = [
            plan.map(variable, array, "weight")
            for variable, array in zip(before, old, strict=True)
        ]
        held = slots.capture_slots(model)
        opened = OpenLayerEdit(graph, plan)
        report = _write(model, before, new, held, plan.map, opened)
        applied = AppliedEdit(model, weights, plan, report)
        changes.append(applied)
        return applied


def to_numpy(variable: Any) -> np.ndarray:
    """Copies the value of a variable to the host."""
    return np.array(ops.convert_to_numpy(variable))


def replace_value(variable: Any, value: np.ndarray) -> None:
    """Assigns a value of another shape to a variable object."""
    variable._shape = tuple(int(size) for size in value.shape)
    variable._ndim = len(variable._shape)
    trainable = variable._trainable
    if keras.backend.backend() == "tensorflow":
        # A frozen layer freezes Keras' variable only. A TensorFlow variable
        # created as frozen would get no gradients after unfreezing.
        variable._trainable = variable._value.trainable
    try:
        with keras.name_scope("surgery"):
            variable._initialize(ops.convert_to_tensor(value, variable.dtype))
    finally:
        variable._trainable = trainable


def _write(
    model: keras.Model,
    variables: Sequence[Any],
    values: Sequence[np.ndarray],
    held: slots.Slots | None,
    map_slot: Any,
    opened: OpenLayerEdit,
) -> slots.SlotReport | None:
    with optimizers.variable_scope(model):
        for variable, value in zip(variables, values, strict=True):
            replace_value(variable, value)
    known = opened.output_shapes()
    opened.finish()
    update_model_shapes(model, known)
    return None if held is None else slots.restore_slots(model, held, map_slot)


def keep_array(variable: Any, array: np.ndarray, kind: str) -> np.ndarray:
    """Returns the array unchanged, as a slot mapping of no change."""
    return array
