"""Traces one call of a layer into the ops and layers that it calls.

Private Keras names used here (tested on Keras 3.15): the name `Node` in
`keras.src.layers.layer`, `Layer.symbolic_call`, `Layer._losses`,
`_loss_ids`, `_inbound_nodes`, `_outbound_nodes`, `EinsumDense._kernel`,
`StatelessScope.get_current_value` and `add_update`,
`KerasTensor.__jax_array__`.
"""

import contextlib
import functools
import re
import threading
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.layers import walk_layers
from keras_netopt.graph.recorded_calls import trace_back
from keras_netopt.graph.symbolic import preserve_layer_history
from keras_netopt.graph.trace_context import (
    VariableUse,
    deferring_arrays,
    einsum_dense_spec,
    restored_attributes,
    without_nodes,
)

# A prime number that few layers use as a size.
BATCH = 3
# Sizes that are tried for free axes other than the batch, in this order.
FREE_SIZES = (6, 32, 64)
IsOpaque = Callable[[Any], bool]
_TRACING = threading.RLock()
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_KERAS_FRAME = re.compile(r"^Exception encountered when calling \S+\(\)\.\s*")


class OpaqueCallError(Exception):
    """Raised when a call cannot be traced; the message is the reason."""


class VariableTensor(keras.KerasTensor):
    """The symbolic value of a variable while its layer is traced.

    `written` is whether the traced code assigned to the variable.
    """

    trainable = True
    written = False

    @property
    def value(self) -> "VariableTensor":
        """The tensor itself, as for the value of a variable."""
        return self

    def assign(self, value: Any) -> "VariableTensor":
        """Notes that the variable is written."""
        self.written = True
        return self

    assign_add = assign_sub = assign


@dataclass(frozen=True, eq=False)
class InlinedCall(GraphNode):
    """A call of an opaque layer during the trace of a call around it.

    `tensors` are those that the calls inside make, in order.
    """

    tensors: tuple[Any, ...] = ()

    def shapes(self) -> list[tuple[int, ...]]:
        """Returns the shapes of `tensors`."""
        return [tuple(tensor.shape) for tensor in self.tensors]


@dataclass(eq=False)
class OpenCall:
    """One call of an opaque layer, as the calls inside it.

    All axes of the tensors inside have a size.

    Attributes:
        node: The call of the layer in the graph around it.
        inputs: Pairs of a tensor outside and the tensor inside for it.
        outputs: The flat outputs inside, among them constants.
        returned: What the call returns inside, with its structure.
        nodes: The calls inside, in order of execution: layers that are not
            opaque, and ops.
        inlined: The calls of opaque layers, inner ones first; the last one is
            the call itself.
        variables: The variables that are symbolic tensors inside: pairs of
            the layer and the variable, by the `id` of the tensor.
        untraced: Variables that are read or written in other ways.
    """

    node: GraphNode
    inputs: list[tuple[Any, Any]] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    returned: Any = None
    nodes: list[GraphNode] = field(default_factory=list)
    inlined: list[InlinedCall] = field(default_factory=list)
    variables: dict[int, tuple[Any, Any, Any]] = field(default_factory=dict)
    untraced: list[Any] = field(default_factory=list)

    @property
    def layer(self) -> Any:
        """The layer."""
        return self.node.operation

    @property
    def tensors(self) -> list[Any]:
        """The tensors inside: the inputs, then those that calls make."""
        made = [tensor for node in self.nodes for tensor in node.outputs]
        return [*(inner for _, inner in self.inputs), *made]

    def contains(self, variables: set[int]) -> bool:
        """Whether the layer holds one of some variables, given by `id`."""
        return any(id(one) in variables for one in self.layer.variables)


def open_call(
    node: GraphNode,
    is_opaque: IsOpaque,
    *,
    partly: bool = False,
    training: bool = False,
) -> OpenCall:
    """Traces one call of a built layer on symbolic tensors.

    Opaque layers inside are traced likewise, other layers are calls. Weights,
    attributes, losses, layer histories and name counters do not change.

    Args:
        node: The call.
        is_opaque: `callable(layer) -> bool`: whether a layer is traced into.
        partly: Whether a layer inside that cannot be traced is one call, if
            Keras infers its output. Defaults to `False`.
        training: Whether the call is one of training. Defaults to `False`.

    Raises:
        OpaqueCallError: If the code of the layer cannot be traced: it needs
            the values of its inputs, or calls functions of a backend.
    """
    first: Exception | None = None
    sizes = FREE_SIZES if _has_free_axis(node) else FREE_SIZES[:1]
    for size in sizes:
        tracer = _Tracer(node, is_opaque, size, training=training)
        try:
            return tracer.trace()
        # The code of a user's `call` may raise any error.
        except Exception as error:
            first = first or error
    closed: list[Any] = []
    while partly and tracer.failed not in (None, node.operation):
        closed += walk_layers(tracer.failed)
        tracer = _Tracer(node, is_opaque, size, closed, training)
        # The same.
        with contextlib.suppress(Exception):
            return tracer.trace()
    raise OpaqueCallError(
        f"{type(first).__name__}: {_first_sentence(first)}"
    ) from first


def _first_sentence(error: Any) -> str:
    """Returns what an error says, without the frame that Keras adds."""
    text = " ".join(_ANSI.sub("", str(error)).split())
    text = _KERAS_FRAME.sub("", text)
    return text.partition(" Arguments received by")[0][:160].rstrip(". ")


def all_tensors(structure: Any) -> list[Any]:
    """Returns the flat tensors of a structure: symbolic ones and constants."""
    flat = keras.tree.flatten(structure)
    return [
        leaf
        for leaf in flat
        if isinstance(leaf, keras.KerasTensor) or keras.ops.is_tensor(leaf)
    ]


def symbolic_tensors(structure: Any) -> list[Any]:
    """Returns the flat symbolic tensors of a structure."""
    flat = keras.tree.flatten(structure)
    return [leaf for leaf in flat if isinstance(leaf, keras.KerasTensor)]


def _has_free_axis(node: GraphNode) -> bool:
    return any(None in tensor.shape[1:] for tensor in node.input_tensors)


class _Tracer:
    """Makes one `OpenCall`."""

    def __init__(
        self,
        node: GraphNode,
        is_opaque: IsOpaque,
        size: int,
        closed: Iterable[Any] = (),
        training: bool = False,
    ) -> None:
        layer = node.operation
        self.result = OpenCall(node)
        self.size = size
        self.failed: Any = None
        self.training = training
        self.below = list(walk_layers(layer))
        shut = {id(one) for one in closed}
        self.opaque = [
            one
            for one in self.below
            if one is layer or (is_opaque(one) and id(one) not in shut)
        ]
        self._fresh: dict[int, Any] = {}
        self._tensors: dict[int, VariableTensor] = {}
        self._owners: dict[int, Any] = {}
        self._inlined: list[tuple[Any, ...]] = []
        self._around: list[Any] = []

    def trace(self) -> OpenCall:
        layer, result = self.result.layer, self.result
        node = self.result.node
        args, kwargs = keras.tree.map_structure(
            self._renew, (tuple(node.args), dict(node.kwargs))
        )
        if layer._call_has_training_arg:
            kwargs["training"] = self.training
        else:
            kwargs.pop("training", None)
        watch = VariableUse()
        with (
            _TRACING,
            restored_attributes(self.below),
            preserve_layer_history(layer),
        ):
            self._replace_attributes()
            with (
                deferring_arrays(),
                without_nodes({id(one) for one in self.opaque}),
                warnings.catch_warnings(),
                watch,
            ):
                # The user has seen the warnings when the model was built.
                warnings.simplefilter("ignore")
                outputs = layer(*args, **kwargs)
            result.returned = outputs
            result.outputs = all_tensors(outputs)
            result.inlined = [_inlined_call(*call) for call in self._inlined]
            result.nodes = self._owned(trace_back(symbolic_tensors(outputs)))
        self._collect_variables(watch)
        return result

    def _renew(self, leaf: Any) -> Any:
        """Returns the tensor inside for one outside."""
        if not isinstance(leaf, keras.KerasTensor):
            return leaf
        if id(leaf) not in self._fresh:
            shape = tuple(
                (self.size if axis else BATCH) if size is None else size
                for axis, size in enumerate(leaf.shape)
            )
            inner = keras.KerasTensor(shape, dtype=leaf.dtype, name=leaf.name)
            mask = getattr(leaf, "_keras_mask", None)
            if isinstance(mask, keras.KerasTensor):
                inner._keras_mask = self._renew(mask)
            self._fresh[id(leaf)] = inner
            self.result.inputs.append((leaf, inner))
        return self._fresh[id(leaf)]

    def _replace_attributes(self) -> None:
        """Makes opaque layers call through and their variables symbolic."""
        for one in self.opaque:
            own = vars(one)
            own["symbolic_call"] = functools.partial(self._call_through, one)
            own["add_loss"] = lambda *args, **kwargs: None
            for name, value in list(own.items()):
                if isinstance(value, keras.Variable):
                    own[name] = self._symbolic(one, value)
        for one in self.below:
            if type(one) is keras.layers.EinsumDense:
                vars(one)["symbolic_call"] = functools.partial(
                    einsum_dense_spec, one
                )

    def _symbolic(self, layer: Any, variable: Any) -> VariableTensor:
        if id(variable) not in self._tensors:
            dtype = variable.dtype
            if layer.autocast and "float" in dtype:
                dtype = layer.compute_dtype
            tensor = VariableTensor(tuple(variable.shape), dtype=dtype)
            tensor.trainable = variable.trainable
            self._tensors[id(variable)] = tensor
            self.result.variables[id(tensor)] = (layer, variable, tensor)
        return self._tensors[id(variable)]

    def _call_through(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        owners = tuple(self._around)
        self._around.append(layer)
        try:
            outputs = layer.call(*args, **kwargs)
        except Exception:
            self.failed = self.failed or layer
            raise
        self._around.pop()
        self._inlined.append((layer, args, kwargs, outputs, owners))
        return outputs

    def _owned(self, nodes: list[GraphNode]) -> list[GraphNode]:
        """Returns calls with the opaque layers around each of them."""
        owners: dict[int, tuple[Any, ...]] = {}
        for call in self.result.inlined:
            for tensor in call.tensors:
                around = (*call.owners, call.operation)
                owners.setdefault(id(tensor), around)
        return [
            replace(node, owners=owners.get(id(node.output), ()))
            for node in nodes
        ]

    def _collect_variables(self, watch: "VariableUse") -> None:
        result = self.result
        found = dict(watch.used)
        for _, variable, tensor in result.variables.values():
            if tensor.written:
                found[id(variable)] = variable
        for node in result.nodes:
            for leaf in node.inputs:
                if isinstance(leaf, keras.Variable):
                    found[id(leaf)] = leaf
        result.untraced = list(found.values())


def _inlined_call(
    layer: Any, args: Any, kwargs: Any, made: Any, owners: tuple[Any, ...]
) -> InlinedCall:
    outputs = all_tensors(made)
    given = {id(tensor) for tensor in symbolic_tensors((args, kwargs))}
    nodes = trace_back(symbolic_tensors(made), given)
    tensors = tuple(tensor for node in nodes for tensor in node.outputs)
    return InlinedCall(
        layer, args, kwargs, tuple(outputs), owners, tensors=tensors
    )
