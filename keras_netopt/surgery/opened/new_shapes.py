"""Shapes of the tensors of an opened layer after an edit."""

from typing import Any

from keras_netopt.surgery.edits.edit_plan import EditPlan


class NewShapes:
    """Computes shapes after an edit from the channels of tensors.

    The graph is that before the edit. Ops inside an opened layer hold sizes
    that its code computed, so they are not called again.
    """

    def __init__(self, graph: Any, plan: EditPlan) -> None:
        self._graph = graph
        self._plan = plan

    def shape(self, tensor: Any) -> tuple[int | None, ...]:
        """Returns the new shape of a tensor."""
        shape = list(tensor.shape)
        for axis, ids in self._graph.channel_axes(tensor).items():
            shape[axis] = self._plan.new_size(ids)
        return tuple(shape)

    def resized(self, tensor: Any) -> dict[int, int]:
        """Returns the new size of each axis that the edit resizes."""
        new = self.shape(tensor)
        return {
            axis: size
            for axis, size in enumerate(new)
            if size is not None and size != tensor.shape[axis]
        }
