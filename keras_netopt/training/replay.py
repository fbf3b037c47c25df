"""A Functional model as a list of calls that can be made again.

Private Keras names used here (tested on Keras 3.15): `Functional` with
`_run_through_graph`, `_standardize_inputs` and `_outputs_struct`,
`Sequential._functional`.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.models.functional import Functional

Tensors = dict[int, Any]


@dataclass(frozen=True)
class RecordedCall:
    """One call of a layer or op on symbolic tensors.

    Args:
        operation: The layer or op.
        args: Its positional arguments, `keras.KerasTensor` among them.
        kwargs: Its keyword arguments, likewise.
        outputs: The flat outputs.
        path: The names of the entered models below the model, then its own.
    """

    operation: keras.Operation
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[Any, ...]
    path: str

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The flat symbolic tensors among the arguments."""
        flat = keras.tree.flatten((self.args, self.kwargs))
        return tuple(x for x in flat if isinstance(x, keras.KerasTensor))


@dataclass(frozen=True)
class Recording:
    """A model's calls on fresh inputs, its layers shared.

    Args:
        inputs: The structure of fresh `keras.Input` tensors.
        outputs: The structure of output tensors.
        calls: Every call, in the order of execution.
    """

    inputs: Any
    outputs: Any
    calls: tuple[RecordedCall, ...]


def record_calls(
    model: keras.Model, *, enter: Collection[keras.Operation] = ()
) -> Recording:
    """Calls every layer of a graph model again, on fresh inputs.

    The layers are the model's own, so the recording shares its weights; the
    model itself stays as it is.

    Example:

    >>> import keras
    >>> model = keras.Sequential(
    ...     [keras.Input((4,)), keras.layers.Dense(3, name="fc")]
    ... )
    >>> [call.path for call in record_calls(model).calls]
    ['fc']

    Args:
        model: A built Functional or Sequential model.
        enter: Nested models whose inside is recorded in their place.
            Defaults to `()`: they are one call.

    Returns:
        The calls with fresh inputs.

    Raises:
        TypeError: If the model is no graph of layers.
    """
    graph = as_graph(model)
    calls: list[RecordedCall] = []
    entered = {id(operation) for operation in enter}
    inputs = keras.tree.map_structure(_fresh, graph.input)
    outputs = _record(graph, keras.tree.flatten(inputs), "", entered, calls)
    return Recording(inputs, outputs, tuple(calls))


def as_graph(model: Any) -> Any:
    """Returns the graph of a Functional or a built Sequential model.

    Args:
        model: Any object.

    Raises:
        TypeError: If it has no graph.
    """
    graph = model
    if isinstance(model, keras.Sequential):
        graph = model._functional
    if not isinstance(graph, Functional):
        raise TypeError(
            "Argument `model` must be a Functional or a built Sequential "
            f"model. Received: model={model!r} of type {type(model).__name__}"
        )
    return graph


def run_calls(calls: Iterable[RecordedCall], tensors: Tensors) -> Tensors:
    """Makes recorded calls again on other tensors.

    Args:
        calls: Calls in the order of execution.
        tensors: What stands for each tensor that the calls read, by the `id`
            of the recorded tensor.

    Returns:
        `tensors` with the outputs of all calls added.
    """
    known = dict(tensors)

    def mapped(leaf: Any) -> Any:
        is_tensor = isinstance(leaf, keras.KerasTensor)
        return known[id(leaf)] if is_tensor else leaf

    for call in calls:
        args, kwargs = keras.tree.map_structure(
            mapped, (call.args, call.kwargs)
        )
        answers = keras.tree.flatten(call.operation(*args, **kwargs))
        for old, new in zip(call.outputs, answers, strict=True):
            known[id(old)] = new
    return known


def call_through(
    model: Any,
    inputs: Any,
    training_of: Callable[[keras.Operation], bool | None],
) -> Any:
    """Runs a Functional model with a training mode for each operation.

    Args:
        model: A Functional model.
        inputs: What its `call` takes.
        training_of: Gives the `training` argument for an operation.

    Returns:
        The outputs in the model's structure.
    """

    def bound(operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if getattr(operation, "_call_has_training_arg", False):
                kwargs["training"] = training_of(operation)
            return operation(*args, **kwargs)

        return call

    return model._run_through_graph(
        model._standardize_inputs(inputs), operation_fn=bound
    )


def _fresh(tensor: Any) -> Any:
    return keras.Input(
        batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name
    )


def _record(
    graph: Any,
    inputs: list[Any],
    prefix: str,
    entered: set[int],
    calls: list[RecordedCall],
) -> Any:
    def bound(operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            path = f"{prefix}{operation.name}"
            if id(operation) in entered:
                inside = as_graph(operation)
                flat = keras.tree.flatten(args[0])
                return _record(inside, flat, f"{path}/", entered, calls)
            outputs = operation(*args, **kwargs)
            flat_outputs = tuple(keras.tree.flatten(outputs))
            calls.append(
                RecordedCall(operation, args, kwargs, flat_outputs, path)
            )
            return outputs

        return call

    return graph._run_through_graph(inputs, operation_fn=bound)
