"""Traces the calls of a model and couples its channels."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.layer_paths import describe_operation
from keras_netopt.graph.model_graph import (
    graph_outputs,
    inner_graph,
    is_graph_model,
    producer,
)
from keras_netopt.graph.open_call import OpenCall
from keras_netopt.graph.recorded_calls import list_calls
from keras_netopt.surgery.channels.connected_components import (
    connected_components,
)
from keras_netopt.surgery.channels.open_layers import OpenLayers
from keras_netopt.surgery.channels.split_axes import AxisChoices
from keras_netopt.surgery.coupled_axis import (
    IN,
    OUT,
    CoupledAxis,
    UnsupportedLayer,
)
from keras_netopt.surgery.handler_registry import (
    check_plain_weights,
    find_handler,
)


class ChannelGraphBuilder:
    """Traces the channels of a built model; handlers get it as `graph`.

    Attributes:
        coupled_axes: Every axis of a variable that is coupled to units.
        group_of: The group of each unit.
        group_count: Number of groups.
        protected: Why a group must not change, by group.
        not_replicable: Why a group may be removed but not copied, by group.
        normalized_by: By group, the normalization that mixes it with others.
        producers: The units that a layer makes, in channel order.
        calls: Every call, also inside models and opened layers, in order.
        axis_choices: The axes that reshapes split into several.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.producers: dict[Any, np.ndarray] = {}
        self._count = 0
        self._pairs: list[tuple[np.ndarray, np.ndarray]] = []
        self._pair_names: list[str] = []
        self._call = ""
        self._coupled: dict[tuple[int, int], CoupledAxis] = {}
        self._axes: dict[int, tuple[Any, dict[int, np.ndarray], str]] = {}
        self._kept: list[Any] = []
        self._uniform: set[int] = set()
        self._calls_coupled: dict[Any, np.ndarray] = {}
        self._allocated: dict[Any, np.ndarray] = {}
        self.axis_choices = AxisChoices(self)
        self._marks: dict[str, list[tuple[np.ndarray, str]]] = {
            "protected": [],
            "not_replicable": [],
            "normalized_by": [],
        }
        self._unsupported: dict[int, tuple[Any, str]] = {}
        self._arguments: list[tuple[Any, str]] = []
        self.calls: list[Any] = []
        self._opened = OpenLayers(self)
        self._walked: set[int] = set()
        if is_graph_model(model):
            self.trace_model(model)
            outputs = graph_outputs(model)
        else:
            outputs = self._opened.trace_model(model)
        self._protect_outputs(outputs)
        self._number_groups()

    def channel_axes(self, tensor: Any) -> dict[int, np.ndarray]:
        """Returns the units along each axis of a tensor that has channels."""
        found = self._axes.get(id(tensor))
        return dict(found[1]) if found else {}

    def fixed_reason(self, tensor: Any) -> str:
        """Returns why the other axes of a tensor must keep their size."""
        found = self._axes.get(id(tensor))
        return found[2] if found else "has a size that the model fixes"

    def is_traced(self, tensor: Any) -> bool:
        """Returns whether a tensor was reached by a traced call."""
        return id(tensor) in self._axes

    def mark_uniform(self, tensor: Any) -> None:
        """Marks a tensor whose channels are all equal."""
        self._kept.append(tensor)
        self._uniform.add(id(tensor))

    def is_uniform(self, tensor: Any) -> bool:
        """Returns whether all channels of a tensor are equal."""
        return id(tensor) in self._uniform

    def set_channel_axes(
        self, tensor: Any, axes: dict[int, np.ndarray], *, reason: str = ""
    ) -> None:
        """Sets the channels of a tensor; `reason` fixes its other axes."""
        rank = len(tensor.shape)
        axes = {axis % rank: ids for axis, ids in axes.items()}
        for axis, ids in axes.items():
            if tensor.shape[axis] != len(ids):
                raise UnsupportedLayer(
                    f"makes a tensor of shape {tensor.shape} of "
                    f"{len(ids)} channels on axis {axis}"
                )
        self._axes[id(tensor)] = (
            tensor,
            axes,
            reason or self.fixed_reason(tensor),
        )

    def set_channels(self, tensor: Any, axis: int, ids: np.ndarray) -> None:
        """Sets the channels of a tensor, on one axis only."""
        self.set_channel_axes(tensor, {axis: ids})

    def new_units(self, layer: Any, count: int, kind: str = "") -> np.ndarray:
        """Creates the units of a layer, once for all of its calls."""
        ids = self.allocate_ids((id(layer), kind), count)
        self.producers.setdefault((layer, kind) if kind else layer, ids)
        return ids

    def channels(
        self, tensor: Any, axis: int, *, alone: bool = True
    ) -> np.ndarray:
        """Returns the units along an axis of a tensor.

        An axis without channels gets protected units.

        Args:
            tensor: An input of the layer.
            axis: The axis.
            alone: Whether no other axis may have channels. Defaults to
                `True`.

        Returns:
            One unit id per position.

        Raises:
            UnsupportedLayer: If another axis has channels although `alone`.
        """
        axis %= len(tensor.shape)
        axes = self.channel_axes(tensor)
        for other in set(axes) - {axis} if alone else ():
            reason = (
                f"works on axis {axis} of a tensor whose channels are on "
                f"axis {other}"
            )
            if not self.axis_choices.is_optional(axes[other]):
                raise UnsupportedLayer(reason)
            self.protect(axes[other], f"touches a layer that {reason}")
        if axis in axes:
            return axes[axis]
        if tensor.shape[axis] is None:
            raise UnsupportedLayer(
                f"works on axis {axis}, which has no fixed size"
            )
        key = ("fixed", id(tensor), axis)
        if key not in self._allocated:
            self._kept.append(tensor)
            ids = self.allocate_ids(key, tensor.shape[axis])
            self.protect(ids, self.fixed_reason(tensor))
            self.axis_choices.mark_optional(ids)
        return self._allocated[key]

    def new_ids(self, count: int) -> np.ndarray:
        """Returns numbers for units that no layer makes yet."""
        self._count += count
        return np.arange(self._count - count, self._count)

    def fixed_units(self, count: int, reason: str) -> np.ndarray:
        """Creates units that must not change."""
        ids = self.new_ids(count)
        self.protect(ids, reason)
        return ids

    def couple(self, one: np.ndarray, other: np.ndarray) -> None:
        """Couples the units at each position of two arrays."""
        if len(one) != len(other):
            raise UnsupportedLayer(
                f"joins {len(one)} channels with {len(other)}"
            )
        if one is not other:
            self._pairs.append((one, other))
            self._pair_names.append(self._call)

    def couple_axis(
        self,
        layer: Any,
        variable: Any,
        axis: int,
        ids: np.ndarray,
        role: str,
        *,
        new_value: str = "random",
        power: float = 0.0,
    ) -> None:
        """Couples an axis of a variable, or of `None`, to units."""
        if variable is None:
            return
        axis %= len(variable.shape)
        if variable.shape[axis] != len(ids):
            raise UnsupportedLayer(
                f"has {variable.shape[axis]} entries on axis {axis} of "
                f"'{variable.name}' for {len(ids)} channels"
            )
        key = (id(variable), axis)
        if key in self._coupled:
            self.couple(self._coupled[key].ids, ids)
        else:
            self._coupled[key] = CoupledAxis(
                layer, variable, axis, ids, role, new_value, power
            )

    def protect(self, ids: np.ndarray, reason: str) -> None:
        """Protects units from edits."""
        self._marks["protected"].append((ids, reason))

    def protect_variable(self, variable: Any, reason: str) -> None:
        """Protects the units of all axes of a variable."""
        for (key, _), coupled_axis in self._coupled.items():
            if key == id(variable):
                self.protect(coupled_axis.ids, reason)

    def mark_normalized_together(self, ids: np.ndarray, layer: Any) -> None:
        """Marks units that a normalization computes over."""
        self._marks["normalized_by"].append((ids, describe_operation(layer)))

    def mark_not_replicable(self, ids: np.ndarray, reason: str) -> None:
        """Marks units that may be removed but not copied."""
        self._marks["not_replicable"].append((ids, reason))

    @property
    def open_calls(self) -> list[OpenCall]:
        """The calls of opened layers."""
        return self._opened.calls

    @property
    def inside(self) -> int:
        """The number of opened layers around the call that is traced."""
        return self._opened.depth

    def is_variable(self, tensor: Any, axis: int) -> bool:
        """Returns whether an axis is that of a variable of an opened layer.

        The tensor is the value of the variable, or a permutation or
        conversion of it.
        """
        return self._opened.find_variable(tensor, axis) is not None

    def set_role(self, tensor: Any, axis: int, role: str) -> None:
        """Sets the role of an axis of a variable; see `is_variable`."""
        key = self._opened.find_variable(tensor, axis)
        if key is None:
            return
        found = self._coupled[key]
        if {found.role, role} == {IN, OUT}:
            self.take_as_input(found.variable, found.axis)
        else:
            self._coupled[key] = replace(found, role=role, new_value="random")
        if role == OUT:
            name = f"{found.variable.name}.{found.axis}"
            self.producers.setdefault((found.layer, name), found.ids)

    def take_as_input(self, variable: Any, axis: int) -> None:
        """Notes that an axis of a variable makes units and takes them too.

        They may be removed, but not copied.
        """
        found = self._coupled[id(variable), axis]
        self._coupled[id(variable), axis] = replace(found, role=IN)
        reason = f"is made and taken as input by '{variable.name}'"
        self.mark_not_replicable(found.ids, reason)

    def couple_calls(self, layer: Any, name: str, ids: np.ndarray) -> None:
        """Couples the units of all calls of a layer with one size attribute."""
        known = self._calls_coupled.setdefault((id(layer), name), ids)
        self.couple(known, ids)

    def unsupported_reason(self, operation: Any) -> str:
        """Returns why a layer cannot be traced, "" if it can."""
        return self._unsupported.get(id(operation), (None, ""))[1]

    def trace_model(self, model: Any) -> None:
        """Traces every call inside a model, once per model."""
        inner = inner_graph(model)
        if id(inner) in self._walked:
            return
        self._walked.add(id(inner))
        for node in list_calls(inner):
            if node.is_input:
                for tensor in node.outputs:
                    if not self.is_traced(tensor):
                        self.set_channel_axes(
                            tensor,
                            {},
                            reason="comes from an input of the model",
                        )
                continue
            self.trace_call(node.operation, node)

    def trace_call(self, operation: Any, node: Any) -> None:
        """Traces one call; protects its units if no handler supports it."""
        self.calls.append(node)
        for variable in node.variables:
            reason = f"is in '{variable.name}', which is an argument of"
            name = describe_operation(operation)
            self._arguments.append((variable, f"{reason} {name}"))
        bound, made = len(self._coupled), len(self.producers)
        around = self._call
        name = describe_operation(operation) + self._opened.place()
        self._call = name
        try:
            handler = find_handler(operation)
            if handler is None:
                self._opened.trace(operation, node)
                return
            check_plain_weights(operation)
            handler.trace(self, operation, node)
            return
        except UnsupportedLayer as error:
            reason = self.refusal(operation, str(error))
        finally:
            self._call = around
        for key in list(self._coupled)[bound:]:
            del self._coupled[key]
        for key in list(self.producers)[made:]:
            del self.producers[key]
        self._unsupported.setdefault(id(operation), (operation, reason))
        for tensor in node.input_tensors:
            for ids in self.channel_axes(tensor).values():
                self.protect(ids, reason)
        for tensor in node.outputs:
            self.set_channel_axes(tensor, {}, reason=reason)

    def refusal(self, operation: Any, reason: str) -> str:
        """Returns why units that a call cannot follow must not change."""
        name = describe_operation(operation) + self._opened.place()
        return f"touches {name}, which {reason}"

    def allocate_ids(self, key: Any, count: int) -> np.ndarray:
        if key not in self._allocated:
            self._allocated[key] = self.new_ids(count)
        elif len(self._allocated[key]) != count:
            raise UnsupportedLayer(
                "is called with different numbers of channels"
            )
        return self._allocated[key]

    def _protect_outputs(self, outputs: list[Any]) -> None:
        """Protects the outputs, as the first of the reasons."""
        found = []
        for tensor in outputs:
            name = producer(tensor).name
            reason = f"reaches the output '{name}' of the model"
            found += [
                (ids, reason) for ids in self.channel_axes(tensor).values()
            ]
        self._marks["protected"] = found + self._marks["protected"]

    def _number_groups(self) -> None:
        """Numbers the groups after every call is traced."""
        for operation, reason in self._unsupported.values():
            held = {id(v) for v in getattr(operation, "variables", ())}
            for (key, _), coupled_axis in self._coupled.items():
                if key in held:
                    self.protect(coupled_axis.ids, reason)
            for key, ids in self._allocated.items():
                if key[0] == id(operation):
                    self.protect(ids, reason)
        self._opened.protect_untraced()
        for variable, reason in self._arguments:
            self.protect_variable(variable, reason)
        fixed = [ids for ids, _ in self._marks["protected"]]
        self.axis_choices.settle(self._count, self._pairs, fixed)
        self.coupled_axes: tuple[CoupledAxis, ...] = tuple(
            self._coupled.values()
        )
        self.group_of = connected_components(self._count, self._pairs)
        self.group_count = int(self.group_of.max(initial=-1)) + 1
        self.protected = self._by_group("protected")
        self.not_replicable = self._by_group("not_replicable")
        self.normalized_by = self._by_group("normalized_by")

    def _by_group(self, mark: str) -> dict[int, str]:
        found: dict[int, str] = {}
        for ids, text in self._marks[mark]:
            for one in np.unique(self.group_of[ids]).tolist():
                found.setdefault(one, text)
        return found
