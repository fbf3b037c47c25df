"""Applies an edit plan to the variables of a model, in place."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.read_value import read_value, to_numpy
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.edits.edit_plan import EditPlan
from keras_netopt.surgery.opened.open_layer_edit import OpenLayerEdit
from keras_netopt.surgery.update_shapes import update_model_shapes
from keras_netopt.training import optimizers, slots
from keras_netopt.training.editing import editing
from keras_netopt.training.replace_value import exchange_value


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
        weights = list(model.weights)
        held = slots.capture_slots(model)
        opened = OpenLayerEdit(graph, plan)
        with optimizers.variable_scope(model):
            for variable in touched.values():
                value = plan.map(variable, read_value(variable), "weight")
                exchange_value(variable, value, plan.old_places(variable))
        known = opened.output_shapes()
        opened.finish()
        update_model_shapes(model, known)
        report = None
        if held is not None:
            report = slots.restore_slots(
                model, held, plan.map, old_places=plan.old_places
            )
        applied = AppliedEdit(model, weights, plan, report)
        changes.append(applied)
        return applied


def keep_array(variable: Any, array: np.ndarray, kind: str) -> np.ndarray:
    """Returns the array unchanged, as a slot mapping of no change."""
    return array
