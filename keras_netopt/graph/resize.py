"""Sets the sizes of symbolic tensors and of the shapes that layers remember.

Private names of Keras 3.15: `KerasTensor._shape`, `InputLayer._batch_shape`,
`Layer._build_shapes_dict`.
"""

import inspect
from typing import Any

import keras

from keras_netopt.graph.layers import sublayers
from keras_netopt.graph.model_graph import producer
from keras_netopt.graph.symbolic import accepted_arguments


def resize_input(model: Any, tensor: Any, shape: Any) -> None:
    """Sets the sizes of a symbolic input of a Functional or Sequential model.

    An axis of free size keeps it.
    """
    sizes = _new_sizes(tensor.shape, shape)
    tensor._shape = sizes
    producer(tensor)._batch_shape = sizes
    for layer in sublayers(model)[:1]:
        if isinstance(layer, keras.layers.InputLayer):
            layer._batch_shape = sizes
            layer.output._shape = sizes


def resize_tensor(tensor: Any, shape: Any) -> None:
    """Sets the sizes of a symbolic tensor; an axis of free size keeps it."""
    same_rank = len(tensor.shape) == len(shape)
    tensor._shape = (
        _new_sizes(tensor.shape, shape) if same_rank else tuple(shape)
    )


def _new_sizes(old: Any, new: Any) -> tuple[int | None, ...]:
    """Returns the new sizes; an axis of size `None` keeps it."""
    return tuple(
        o if o is None or n is None else n
        for o, n in zip(old, new, strict=True)
    )


def update_build_shapes(operation: Any, node: Any) -> None:
    """Writes the sizes of a call's inputs to the build shapes of its layer."""
    shapes = getattr(operation, "_build_shapes_dict", None)
    if not shapes:
        return
    if len(shapes) == 1:
        given = node.arguments
        first = [*given.args, *given.kwargs.values()][0]
        found = {next(iter(shapes)): first}
    else:
        kwargs = accepted_arguments(operation, node.arguments.kwargs)
        bound = inspect.signature(operation.call).bind(
            *node.arguments.args, **kwargs
        )
        found = {f"{name}_shape": v for name, v in bound.arguments.items()}
    for name, old in shapes.items():
        if old is not None and found.get(name) is not None:
            operation._build_shapes_dict[name] = _merge(old, found[name])


def _merge(old: Any, given: Any) -> Any:
    """Returns the build shapes of a layer with the new sizes."""
    if isinstance(given, dict):
        return {name: _merge(old[name], given[name]) for name in given}
    if isinstance(given, (list, tuple)):
        if all(one is None or isinstance(one, int) for one in old):
            # A layer may be built for the first of its inputs only.
            return _merge(old, given[0]) if given else old
        return [_merge(o, g) for o, g in zip(old, given, strict=True)]
    # A layer may be built for another rank than it is called with.
    both = min(len(old), len(given.shape))
    start = len(old) - both
    sizes = _new_sizes(old[start:], given.shape[len(given.shape) - both :])
    return (*old[:start], *sizes)
