"""Carries an edit into opened layers: shapes, attributes, check of outputs."""

from collections.abc import Iterator
from typing import Any

import keras

from keras_netopt.graph.layer_paths import describe_operation
from keras_netopt.graph.open_call import (
    InlinedCall,
    OpaqueCallError,
    OpenCall,
    open_call,
)
from keras_netopt.graph.resize import resize_tensor, update_build_shapes
from keras_netopt.surgery.channels.open_layers import is_opaque
from keras_netopt.surgery.edits.edit_plan import EditPlan
from keras_netopt.surgery.handler_registry import find_handler
from keras_netopt.surgery.opened.attribute_search import find_attributes
from keras_netopt.surgery.opened.call_probe import CallProbe
from keras_netopt.surgery.opened.new_shapes import NewShapes
from keras_netopt.surgery.update_shapes import update_model_shapes

# Largest relative difference of the outputs, by dtype. Accelerators multiply
# float32 matrices at a lower precision.
TOLERANCES = {"float32": 1e-5, "float64": 1e-5, "float16": 1e-2}
LOW_PRECISION = 5e-2
ACCELERATOR = 2e-3


class OpenLayerError(ValueError):
    """Raised when the code of a layer does not follow an edit.

    Args:
        layer: The layer.
        problem: What happens after the edit.
    """

    def __init__(self, layer: Any, problem: str) -> None:
        self.layer = layer
        self.problem = problem
        super().__init__(
            f"{describe_operation(layer)} does not work with the new sizes of "
            f"its weights: {problem}. Its code may hold a size that no "
            "integer attribute of the layer gives. Exclude the layer, or "
            "register a handler for its class with `surgery.register`."
        )


class OpenLayerEdit:
    """One edit plan, as it concerns the opened layers of a graph.

    Create it before the variables change; call `finish` afterwards.
    """

    def __init__(self, graph: Any, plan: EditPlan) -> None:
        self._shapes = NewShapes(graph, plan)
        self._graph = graph
        changed = {
            id(one.variable)
            for one in graph.coupled_axes
            if plan.changes(one.variable)
        }
        self._calls = [
            opened for opened in graph.open_calls if opened.contains(changed)
        ]
        self._probes = self._make_probes(plan, changed)
        self._trained = [
            call
            for opened in self._calls
            if _trace_in_training(call := opened.inlined[-1]) is None
        ]

    def _make_probes(
        self, plan: EditPlan, changed: set[int]
    ) -> list[tuple[InlinedCall, CallProbe | None]]:
        exact = plan.preserves_outputs and not any(
            plan.copies[group] != 1 for group in self._graph.normalized_by
        )
        found: dict[int, tuple[InlinedCall, CallProbe | None]] = {}
        for call in (c for opened in self._calls for c in opened.inlined):
            own = {id(variable) for variable in call.operation.variables}
            if id(call.operation) not in found and own & changed:
                probe = CallProbe(self._graph, plan, call) if exact else None
                found[id(call.operation)] = call, probe
        return list(found.values())

    def output_shapes(self) -> dict[int, tuple[int | None, ...]]:
        """Returns the new shapes of the outputs of opened layers, by `id`."""
        return {
            id(tensor): self._shapes.shape(tensor)
            for opened in self._graph.open_calls
            for tensor in opened.node.outputs
        }

    def finish(self) -> None:
        """Updates opened layers after their variables have changed.

        Raises ValueError if a layer returns other outputs than before.
        """
        new = [
            (call, self._expected_shapes(call), self._sizes(call))
            for call, _ in self._probes
        ]
        for opened in self._calls:
            self._update(opened)
        for (call, probe), (_, shapes, sizes) in zip(
            self._probes, new, strict=True
        ):
            _update_attributes(call, probe, shapes, sizes)
        for call in self._trained:
            problem = _trace_in_training(call)
            if problem is not None:
                raise OpenLayerError(call.operation, f"in training, {problem}")

    def _expected_shapes(self, call: InlinedCall) -> list[Any]:
        return [self._shapes.shape(tensor) for tensor in call.tensors]

    def _sizes(self, call: InlinedCall) -> dict[int, set[int]]:
        """Returns the new sizes in a call, by old size."""
        sizes: dict[int, set[int]] = {}
        for tensor in _tensors(call):
            for axis, size in self._shapes.resized(tensor).items():
                sizes.setdefault(tensor.shape[axis], set()).add(size)
        return sizes

    def _update(self, opened: OpenCall) -> None:
        shapes = [(t, self._shapes.shape(t)) for t in opened.tensors]
        for tensor, shape in shapes:
            resize_tensor(tensor, shape)
        for node in opened.nodes:
            if not isinstance(node.operation, keras.Layer):
                continue
            # The calls inside a nested graph are no nodes of the trace.
            update_model_shapes(node.operation, self.output_shapes())
            handler = find_handler(node.operation)
            if handler is not None:
                handler.update_attributes(node.operation, node)
            update_build_shapes(node.operation, node)


def _tensors(call: InlinedCall) -> Iterator[Any]:
    yield from call.input_tensors
    yield from call.tensors


def _update_attributes(
    call: InlinedCall,
    probe: CallProbe | None,
    shapes: list[Any],
    sizes: dict[int, set[int]],
) -> None:
    problem = ""

    def works() -> bool:
        nonlocal problem
        try:
            again = open_call(call, is_opaque, partly=True)
            if again.inlined[-1].shapes() != shapes:
                problem = problem or "its code makes tensors of other shapes"
                return False
            if probe is not None and probe.error() > _tolerance(call.operation):
                problem = problem or "it returns other outputs"
                return False
        except OpaqueCallError as error:
            problem = problem or str(error)
            return False
        return True

    if find_attributes(call.operation, sizes, works) is None:
        raise OpenLayerError(call.operation, problem)


def _trace_in_training(call: InlinedCall) -> str | None:
    """Returns why a call of training cannot be traced, `None` if it can.

    It may use weights that a call of inference does not use.
    """
    try:
        open_call(call, is_opaque, partly=True, training=True)
    except OpaqueCallError as error:
        return str(error)
    return None


def _tolerance(layer: Any) -> float:
    tolerance = TOLERANCES.get(layer.compute_dtype, LOW_PRECISION)
    if keras.backend.backend() == "torch":
        devices = {str(one.value.device) for one in layer.variables}
    else:
        devices = set(keras.distribution.list_devices())
    on_cpu = all("cpu" in device.lower() for device in devices)
    return tolerance if on_cpu else max(tolerance, ACCELERATOR)
