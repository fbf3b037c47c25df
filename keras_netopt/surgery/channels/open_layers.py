"""Traces the channels inside layers that have no handler."""

from typing import Any

import keras

from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.layer_paths import describe_operation
from keras_netopt.graph.layers import sublayers
from keras_netopt.graph.model_graph import graph_outputs, is_graph_model
from keras_netopt.graph.open_call import (
    OpaqueCallError,
    OpenCall,
    open_call,
    symbolic_tensors,
)
from keras_netopt.graph.symbolic import input_specs
from keras_netopt.surgery.coupled_axis import PASS, UnsupportedLayer
from keras_netopt.surgery.handler_registry import (
    check_plain_weights,
    find_handler,
)


def is_opaque(operation: Any) -> bool:
    """Returns whether an operation is a layer that is traced into."""
    return (
        isinstance(operation, keras.Layer)
        and not is_graph_model(operation)
        and find_handler(operation) is None
    )


class OpenLayers:
    """The opened layers of one channel graph.

    Attributes:
        calls: The calls of opened layers, in order of execution.
    """

    def __init__(self, graph: Any) -> None:
        self.calls: list[OpenCall] = []
        self._graph = graph
        self._around: list[Any] = []
        # The variable and axis of each array of units, by its `id`.
        self._variable_axes: dict[int, tuple[int, int]] = {}

    @property
    def depth(self) -> int:
        """The number of opened layers around the call that is traced."""
        return len(self._around)

    def place(self) -> str:
        """Returns where the call that is traced is, for a message."""
        layers = self._around[-1:]
        return "".join(f" in {describe_operation(one)}" for one in layers)

    def find_variable(self, tensor: Any, axis: int) -> tuple[int, int] | None:
        """Finds the variable whose value, or permutation, a tensor is.

        Returns its `id` and the axis of the variable.
        """
        axes = self._graph.channel_axes(tensor)
        return self._variable_axes.get(id(axes.get(axis % len(tensor.shape))))

    def trace(self, layer: Any, node: Any) -> None:
        """Traces the calls inside a layer.

        Raises:
            UnsupportedLayer: If the layer cannot be traced.
        """
        graph = self._graph
        if reason := getattr(layer, "netopt_fixed_shapes", ""):
            raise UnsupportedLayer(reason)
        if not is_opaque(layer):
            raise UnsupportedLayer("has no handler")
        check_plain_weights(layer, inner=False)
        opened = self._open(node)
        pairs = list(zip(node.outputs, opened.outputs, strict=False))
        if len(opened.outputs) != len(node.outputs) or any(
            len(outer.shape) != len(inner.shape) for outer, inner in pairs
        ):
            raise UnsupportedLayer("makes other outputs when it is traced")
        for outer, inner in opened.inputs:
            reason = graph.fixed_reason(outer)
            axes = graph.channel_axes(outer)
            graph.set_channel_axes(inner, axes, reason=reason)
        self._trace_calls(opened)
        for outer, inner in pairs:
            self._set_output(layer, outer, inner)

    def trace_model(self, model: keras.Model) -> list[Any]:
        """Traces the calls inside a subclassed model; returns its outputs.

        Raises:
            UnsupportedLayer: If the model cannot be traced.
        """
        node = GraphNode(model, tuple(input_specs(model)), {}, ())
        opened = self._open(node)
        for _, inner in opened.inputs:
            reason = "comes from an input of the model"
            self._graph.set_channel_axes(inner, {}, reason=reason)
        self._trace_calls(opened)
        self._protect_extracted(model)
        return symbolic_tensors(opened.outputs)

    def protect_untraced(self) -> None:
        """Protects variables that `call` reads or writes in other ways."""
        for opened in self.calls:
            layer = describe_operation(opened.layer)
            for variable in opened.untraced:
                self._graph.protect_variable(
                    variable,
                    f"is in '{variable.name}', which {layer} reads or writes "
                    "outside of `keras.ops`",
                )

    def _protect_extracted(self, model: keras.Model) -> None:
        """Protects tensors that another part makes with the same layers.

        A model that `call` does not use, such as the feature extractor of a
        `Distiller`, is used by the training step.
        """
        graph = self._graph
        called = {id(call.operation) for call in graph.calls}
        for part in filter(is_graph_model, sublayers(model)):
            for tensor in graph_outputs(part) if id(part) not in called else ():
                for ids in graph.channel_axes(tensor).values():
                    graph.protect(ids, f"reaches an output of '{part.name}'")

    def _open(self, node: GraphNode) -> OpenCall:
        try:
            return open_call(node, is_opaque, partly=True)
        except OpaqueCallError as error:
            raise UnsupportedLayer(f"cannot be traced: {error}") from error

    def _trace_calls(self, opened: OpenCall) -> None:
        self.calls.append(opened)
        for holder, variable, tensor in opened.variables.values():
            self._make_units(holder, variable, tensor)
        self._around.append(opened.layer)
        try:
            for one in opened.nodes:
                self._graph.trace_call(one.operation, one)
        finally:
            self._around.pop()

    def _make_units(self, layer: Any, variable: Any, tensor: Any) -> None:
        """Makes units for the axes of a variable that an op may read.

        An integer variable holds positions or counters, not channels.
        """
        axes = {}
        is_float = "float" in keras.backend.standardize_dtype(variable.dtype)
        for axis, size in enumerate(variable.shape if is_float else ()):
            if size > 1:
                key = ("variable", id(variable), axis)
                ids = axes[axis] = self._graph.allocate_ids(key, size)
                self._graph.axis_choices.mark_optional(ids)
                self._variable_axes[id(ids)] = (id(variable), axis)
                self._graph.couple_axis(
                    layer, variable, axis, ids, PASS, new_value="mean"
                )
        self._graph.set_channel_axes(tensor, axes)

    def _set_output(self, layer: Any, outer: Any, inner: Any) -> None:
        """Gives an output of an opened layer the channels of that inside."""
        graph = self._graph
        if not isinstance(inner, keras.KerasTensor):
            reason = f"meets a constant that '{layer.name}' makes"
            graph.set_channel_axes(outer, {}, reason=reason)
            return
        axes = graph.channel_axes(inner)
        for axis, ids in list(axes.items()):
            if outer.shape[axis] != len(ids):
                reason = f"is on an axis of free size after '{layer.name}'"
                graph.protect(axes.pop(axis), reason)
        graph.set_channel_axes(outer, axes, reason=graph.fixed_reason(inner))
