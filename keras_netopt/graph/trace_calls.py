"""Lists every call of a layer or op in a model, in order of execution.

Private names of Keras 3.15: `Functional`, `Sequential._functional`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import Operation
from keras.src.models.functional import Functional

from keras_netopt.graph.fixed_batches import fixed_batches
from keras_netopt.graph.graph_node import Args, GraphNode, Kwargs
from keras_netopt.graph.model_graph import (
    graph_inputs,
    is_container,
    is_graph_model,
    output_structure,
    standardize_inputs,
)
from keras_netopt.graph.open_call import open_call
from keras_netopt.graph.output_spec import output_spec
from keras_netopt.graph.recorded_calls import list_calls
from keras_netopt.graph.symbolic import (
    accepted_arguments,
    fix_batch_axis,
    input_specs,
    is_static,
    preserve_layer_history,
    record_layer_calls,
    to_keras_tensor,
    to_plain_tensor,
    trace_operation,
)
from keras_netopt.graph.untraced import describe_error, not_computed

CONV_RECURRENT = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
Enter = Callable[[Operation], bool]
flat = keras.tree.flatten


def graph_nodes(
    model: keras.Model,
    *,
    input_shape: Any = None,
    enter: Enter = is_container,
    containers: bool = False,
) -> tuple[GraphNode, ...]:
    """Lists every call of one forward pass of a model.

    A shared layer is listed once per call; the layers of a nested model once
    per call of that model, with the shapes of that call. A batch axis of
    unknown size counts as 1. Subclassed models are called on symbolic tensors;
    weights, losses, seeds and layer histories do not change. A layer whose
    `call` branches or loops lists its inner calls with
    `netopt_inner_calls(inputs)`: pairs of a layer and its input, each once.

    A call whose shapes cannot be computed, for example at a free axis, is
    listed with the reason as `untraced`; the calls after it get the shapes of
    the built model. Where the code of a model fixes the batch size, that size
    is used instead of 1. The last node is the model itself, if listed.

    Args:
        model: A built Keras model: Functional, Sequential or subclassed.
        input_shape: Shape of the input, batch axis included, for example
            `(None, 224, 224, 3)`; a structure of shapes for a model with
            several inputs. Defaults to `None`: the model's own.
        enter: `callable(operation) -> bool`: whether the calls inside it are
            listed instead of it. Defaults to `is_container`.
        containers: Whether entered operations are listed too, each after
            the calls inside it. Defaults to `False`.
    """
    specs = input_specs(model, input_shape=input_shape)
    best: tuple[int, list[GraphNode]] | None = None
    with preserve_layer_history(model):
        for batch in (1, *fixed_batches(model, specs)):
            walker = _Walker(enter)
            walker.walk(model, specs, batch)
            if best is None or walker.failures < best[0]:
                best = walker.failures, walker.nodes
            if not best[0]:
                break
    nodes = best[1] if best is not None else []
    return tuple(node for node in nodes if containers or not node.entered)


def _special_kind(operation: Any) -> str | None:
    """Returns the Keras layer whose `call` this is, if tracing cannot work."""
    for name in ("Bidirectional", "TimeDistributed", "SpectralNormalization"):
        if type(operation).call is getattr(keras.layers, name).call:
            return name
    recurrent = ("RNN", "LSTM", "GRU", "SimpleRNN", *CONV_RECURRENT)
    calls = [getattr(keras.layers, name).call for name in recurrent]
    return "RNN" if type(operation).call in calls else None


@dataclass(frozen=True)
class _Scope:
    owners: tuple[Operation, ...]
    repeat: int | None = 1

    def inside(self, operation: Operation, repeat: int | None = 1) -> "_Scope":
        if self.repeat is None or repeat is None:
            return _Scope((*self.owners, operation), None)
        return _Scope((*self.owners, operation), self.repeat * repeat)


@dataclass
class _Walker:
    """Runs a model on symbolic tensors and lists its calls."""

    enter: Enter
    nodes: list[GraphNode] = field(default_factory=list)
    failures: int = 0
    batch: int = 1

    def walk(self, model: Any, specs: list[Any], batch: int) -> None:
        """Lists the calls of a model, then the model itself."""
        self.batch = batch
        args = keras.tree.map_structure(self._fix_batch, tuple(specs))
        try:
            outputs = self.enter_operation(model, args, {}, _Scope((model,)))
            reason = None
        # As in `call`; what was listed before remains.
        except Exception as error:
            self.failures += 1
            outputs, reason = (), not_computed(error)
        entered = reason is None
        self.add_node(model, args, {}, outputs, _Scope(()), reason, entered)

    def call(
        self,
        operation: Operation,
        args: Args,
        kwargs: Kwargs,
        scope: _Scope,
        recorded: tuple[Any, ...] = (),
    ) -> Any:
        """Calls `operation` inside the innermost owner of `scope`.

        `recorded` are the outputs when the model was built, which stand for
        those that cannot be computed.
        """
        kwargs = accepted_arguments(operation, kwargs)
        start = len(self.nodes)
        try:
            outputs = self._call(operation, args, kwargs, scope)
            self._check(outputs, recorded)
            return outputs
        # Shapes may be impossible, and the code of a user may raise any error.
        except Exception as error:
            if not recorded:
                raise
            del self.nodes[start:]
            self.failures += 1
            outputs = [self._fix_batch(one) for one in recorded]
            reason = not_computed(error)
            self.add_node(operation, args, kwargs, outputs, scope, reason)
            return outputs

    def _fix_batch(self, leaf: Any) -> Any:
        return fix_batch_axis(leaf, self.batch)

    def _check(self, outputs: Any, recorded: tuple[Any, ...]) -> None:
        """Raises an error if a rank differs from that of the built model."""
        for new, old in zip(flat(outputs), recorded, strict=False):
            if new is not None and len(new.shape) != len(old.shape):
                raise ValueError(f"shape {new.shape} instead of {old.shape}")

    def _call(
        self, operation: Operation, args: Args, kwargs: Kwargs, scope: _Scope
    ) -> Any:
        if self.enter(operation):
            inside = scope.inside(operation)
            outputs = self.enter_operation(operation, args, kwargs, inside)
            self.add_node(operation, args, kwargs, outputs, scope, entered=True)
            return outputs
        outputs = output_spec(operation, args, kwargs)
        self.add_node(operation, args, kwargs, outputs, scope)
        return outputs

    def add_node(
        self,
        operation: Operation,
        args: Args,
        kwargs: Kwargs,
        outputs: Any,
        scope: _Scope,
        untraced: str | None = None,
        entered: bool = False,
    ) -> None:
        made = tuple(leaf for leaf in flat(outputs) if leaf is not None)
        self.nodes.append(
            GraphNode(
                operation,
                args,
                kwargs,
                made,
                scope.owners,
                scope.repeat,
                untraced,
                entered,
            )
        )

    def enter_operation(
        self, operation: Any, args: Args, kwargs: Kwargs, scope: _Scope
    ) -> Any:
        """Calls what is inside `operation`, the innermost owner."""
        args, kwargs = keras.tree.map_structure(self._fix_batch, (args, kwargs))
        if type(operation).call is keras.Sequential.call:
            return self._sequential(operation, args, scope)
        if type(operation).call is Functional.call:
            return self._functional(operation, args, scope)
        inside = getattr(operation, "netopt_inner_calls", None)
        if inside is not None:
            for layer, spec in inside(*args):
                self.call(layer, (spec,), {}, scope)
            return operation.compute_output_spec(*args, **kwargs)
        kind = _special_kind(operation)
        if kind == "Bidirectional":
            for layer in (operation.forward_layer, operation.backward_layer):
                self.call(layer, args, {}, scope)
        elif kind == "TimeDistributed":
            self._time_distributed(operation, args, scope)
        elif kind == "SpectralNormalization":
            return self.call(operation.layer, args, {}, scope)
        elif kind == "RNN":
            self._recurrent(operation, args, scope)
        else:
            return self._traced(operation, args, kwargs, scope)
        return operation.compute_output_spec(*args, **kwargs)

    def _functional(self, model: Any, args: Args, scope: _Scope) -> Any:
        outputs = self._run(model, standardize_inputs(model, args[0]), scope)
        every = flat(outputs)
        return every[0] if len(every) == 1 else outputs

    def _run(self, graph: Any, inputs: list[Any], scope: _Scope) -> Any:
        """Makes the calls of a graph on other tensors, in order."""
        known = dict(zip(map(id, graph_inputs(graph)), inputs, strict=True))

        def given(leaf: Any) -> Any:
            is_tensor = isinstance(leaf, keras.KerasTensor)
            return known[id(leaf)] if is_tensor else leaf

        for node in list_calls(graph):
            if node.is_input or any(
                id(one) not in known for one in node.input_tensors
            ):
                continue
            args, kwargs = keras.tree.map_structure(
                given, (node.args, node.kwargs)
            )
            outputs = self.call(
                node.operation, args, kwargs, scope, node.outputs
            )
            known.update(
                zip(map(id, node.outputs), flat(outputs), strict=False)
            )
        return keras.tree.map_structure(given, output_structure(graph))

    def _sequential(self, model: Any, args: Args, scope: _Scope) -> Any:
        if model._functional is not None:
            return self._functional(model._functional, args, scope)
        outputs = args[0]
        for layer in model.layers:
            outputs = self.call(layer, (outputs,), {}, scope)
        return outputs

    def _time_distributed(self, layer: Any, args: Args, scope: _Scope) -> None:
        batch, steps, *rest = args[0].shape
        folded = None if steps is None else batch * steps
        tensor = keras.KerasTensor((folded, *rest), dtype=args[0].dtype)
        self.call(layer.layer, (tensor,), {}, scope)

    def _recurrent(self, layer: Any, args: Args, scope: _Scope) -> None:
        sequence = keras.tree.flatten(args[0])[0]
        batch, steps, *rest = sequence.shape
        step = keras.KerasTensor((batch, *rest), dtype=sequence.dtype)
        states = keras.tree.map_structure(
            to_keras_tensor, layer.get_initial_state(batch)
        )
        if not isinstance(states, (list, tuple)):
            states = [states]
        inside = scope.inside(layer.cell, steps)
        self.enter_operation(layer.cell, (step, list(states)), {}, inside)

    def _traced(
        self, operation: Operation, args: Args, kwargs: Kwargs, scope: _Scope
    ) -> Any:
        """Traces `call` on symbolic tensors and repeats the recorded ops."""
        start, failures = len(self.nodes), self.failures
        has_sizes = is_static((args, kwargs))
        partial = None
        # The code of a user's `call` may raise any error; the node of the
        # operation holds the last one as the reason.
        try:
            with record_layer_calls(on_values=True) as calls:
                function, inputs = trace_operation(operation, args, kwargs)
            # A trace runs calls on constants at once and does not record them.
            for layer, layer_args, layer_kwargs in calls:
                self.call(layer, layer_args, layer_kwargs, scope)
            if not isinstance(function, keras.Function):
                return function  # No output depends on an input.
            outputs = self._run(function, inputs, scope)
            listed = self.nodes[start:]
            if not has_sizes or is_static([one.outputs for one in listed]):
                return outputs
            # An EinsumDense inside returned a shape without sizes.
            partial = outputs, listed, self.failures
            self.failures = failures
        except Exception as error:
            reason = error
        del self.nodes[start:]
        if has_sizes:
            try:
                return self._opened(operation, args, kwargs, scope)
            except Exception as error:
                del self.nodes[start:]
                reason = error
        if partial is not None:
            outputs, listed, self.failures = partial
            self.nodes += listed
            return outputs
        return self._recorded(operation, args, kwargs, scope, reason)

    def _opened(
        self, operation: Operation, args: Args, kwargs: Kwargs, scope: _Scope
    ) -> Any:
        """Traces `call` without asking inner layers for their output shapes."""
        opened = open_call(GraphNode(operation, args, kwargs, ()), self.opens)

        def value(leaf: Any) -> Any:
            found = opened.variables.get(id(leaf))
            return leaf if found is None else found[1]

        for call in (*opened.nodes, *opened.inlined[:-1]):
            inside = _Scope((*scope.owners[:-1], *call.owners), scope.repeat)
            args, kwargs = keras.tree.map_structure(
                value, (call.args, call.kwargs)
            )
            entered = self.opens(call.operation)
            if self.enter(call.operation) and not entered:
                self.call(call.operation, args, kwargs, inside)
                continue
            self.add_node(
                call.operation,
                args,
                kwargs,
                call.outputs,
                inside,
                entered=entered,
            )
        return keras.tree.map_structure(to_plain_tensor, opened.returned)

    def opens(self, operation: Any) -> bool:
        """Whether the calls inside a layer are listed by tracing its code."""
        return (
            self.enter(operation)
            and not is_graph_model(operation)
            and _special_kind(operation) is None
            and not hasattr(operation, "netopt_inner_calls")
        )

    def _recorded(
        self,
        operation: Operation,
        args: Args,
        kwargs: Kwargs,
        scope: _Scope,
        error: Exception,
    ) -> Any:
        """Traces with tensors of the backend and records the layer calls."""
        outer = _Scope(scope.owners[:-1] or scope.owners, scope.repeat)
        try:
            with record_layer_calls() as calls:
                outputs = keras.Operation.compute_output_spec(
                    operation, *args, **kwargs
                )
        # A layer whose values decide can only tell its output shape.
        except Exception:
            calls, outputs = [], operation.compute_output_spec(*args, **kwargs)
        reason = f"`call` leaves `keras.ops` ({describe_error(error)}); "
        if is_static((args, kwargs)):
            reason += "the layers that it calls are counted"
        else:  # Backends give free axes sizes that are made up.
            calls, reason = (
                [],
                f"{reason}an axis has no size; pass `input_shape=`",
            )
        self.add_node(operation, args, kwargs, outputs, outer, reason)
        for layer, layer_args, layer_kwargs in calls:
            self.call(layer, layer_args, layer_kwargs, scope)
        return outputs
