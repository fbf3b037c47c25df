"""Constants among the arguments of an op."""

import inspect
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

Shape = tuple[int, ...]


def bound_arguments(operation: Any, node: Any) -> dict[str, Any]:
    """Returns the arguments of a call by their names."""
    given = node.arguments
    call = inspect.signature(operation.call)
    return dict(call.bind(*given.args, **given.kwargs).arguments)


def constant_shape(value: Any) -> Shape | None:
    """Returns the shape of a constant, `None` for a tensor of the graph.

    Example:

    >>> constant_shape([[1.0, 2.0]]), constant_shape(3), constant_shape(None)
    ((1, 2), (), None)
    """
    if isinstance(value, keras.KerasTensor) or value is None:
        return None
    if hasattr(value, "shape"):
        return tuple(value.shape)
    if isinstance(value, (list, tuple)):
        if any(constant_shape(one) is None for one in value):
            return None
        inner = [constant_shape(one) for one in value]
        return (len(value), *(inner[0] or ())) if inner else (0,)
    return ()


def varying_shape(value: Any) -> Shape | None:
    """Returns the shape of a constant; axes of equal entries count as 1.

    Example:

    >>> varying_shape([[1.0, 2.0], [1.0, 2.0]])
    (1, 2)
    """
    shape = constant_shape(value)
    if not shape:
        return shape
    array = np.asarray(keras.ops.convert_to_numpy(value))
    return tuple(
        1 if (array == np.take(array, [0], axis)).all() else size
        for axis, size in enumerate(array.shape)
    )


def constant_shapes(node: Any, *, inside: int = 0) -> Iterator[Shape]:
    """Yields the shape of each constant argument of a call.

    A list that holds tensors of the graph is no constant: its members are.
    `inside` is the number of opened layers around the call: their code makes
    a constant of equal entries in the new size as well.
    """
    shape_of = varying_shape if inside else constant_shape
    stack = [*node.arguments.args, *node.arguments.kwargs.values()]
    while stack:
        value = stack.pop(0)
        shape = shape_of(value)
        if shape is not None:
            yield shape
        elif isinstance(value, (list, tuple)):
            stack.extend(value)


def attribute_shapes(operation: Any) -> Iterator[Shape]:
    """Yields the shapes of the constants that an op holds: those of clip."""
    for name in ("x_min", "x_max"):
        yield constant_shape(getattr(operation, name, None)) or ()


def protect_constant(graph: Any, tensor: Any, shape: Shape) -> None:
    """Protects the axes for which a constant has several entries.

    `tensor` is the result, to which the constant is broadcast.
    """
    rank = len(tensor.shape)
    for axis, ids in graph.channel_axes(tensor).items():
        position = axis - rank + len(shape)
        if position >= 0 and shape[position] != 1:
            graph.protect(ids, f"meets a constant of shape {shape}")
