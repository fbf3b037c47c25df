"""Runs a Functional or Sequential model with its calls passed to a function.

Private names of Keras 3.15: `Functional._run_through_graph`,
`keras.src.backend.common.masking.get_keras_mask` and `set_keras_mask`.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from keras import Operation
from keras.src.backend.common.masking import get_keras_mask, set_keras_mask

from keras_netopt.graph.model_graph import as_graph

OnInputs = Callable[[list[Any]], list[Any]]
OnCall = Callable[[Operation, int, Callable[[], Any]], Any]


def run_intercepted(
    model: Any,
    inputs: Any,
    options: dict[str, Any],
    on_inputs: OnInputs,
    on_call: OnCall,
) -> Any:
    """Calls a graph model as its class does, and a function for each call.

    Args:
        model: A Functional or a built Sequential model.
        inputs: Its inputs.
        options: The keyword arguments of its `call`.
        on_inputs: `callable(flat_inputs)` that returns the inputs to use.
        on_call: `callable(operation, number, run)` that returns the outputs of
            one call: the `number`-th of that operation in this model, from 0.
            `run()` makes the call.

    Returns:
        The outputs of the model.
    """
    graph = as_graph(model)
    proxy = _InterceptedGraph(graph, on_inputs, on_call)
    return type(graph).call(proxy, inputs, **options)


def copy_mask(source: Any, target: Any) -> Any:
    """Gives a tensor the mask of another one and returns it."""
    mask = get_keras_mask(source)
    if mask is not None:
        set_keras_mask(target, mask)
    return target


class _InterceptedGraph:
    """Stands for a Functional model inside its own `call`."""

    def __init__(
        self, graph: Any, on_inputs: OnInputs, on_call: OnCall
    ) -> None:
        self._graph = graph
        self._on_inputs = on_inputs
        self._on_call = on_call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._graph, name)

    def _run_through_graph(
        self, inputs: Any, operation_fn: Callable[[Any], Any]
    ) -> Any:
        numbers: Counter[int] = Counter()

        def bound(operation: Any) -> Callable[..., Any]:
            function = operation_fn(operation)
            number = numbers[id(operation)]
            numbers[id(operation)] += 1
            return lambda *args, **kwargs: self._on_call(
                operation, number, lambda: function(*args, **kwargs)
            )

        return self._graph._run_through_graph(
            self._on_inputs(inputs), operation_fn=bound
        )
