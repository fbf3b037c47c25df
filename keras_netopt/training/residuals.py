"""Finds the residual blocks of a graph: sums of a tensor and what it became.

Private Keras name used here (tested on Keras 3.15): `_nodes_by_depth`.
"""

from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Residual:
    """One sum `x + branch(x)` in a Functional model.

    Args:
        operation: The `Add` layer or op.
        shortcut: The tensor x of the model's graph.
        branch: The tensor branch(x).
        position: Which of the sum's two arguments x is.
    """

    operation: keras.Operation
    shortcut: Any
    branch: Any
    position: int


def find_residuals(model: keras.Model) -> tuple[Residual, ...]:
    """Lists the sums whose one side is computed from the other side alone.

    A block that projects its shortcut is none, nor one whose inner tensors
    are used elsewhere: taken out of the graph, they would be missing there.

    Example:

    >>> import keras
    >>> x = inputs = keras.Input((4,))
    >>> for k in range(2):
    ...     x = keras.layers.Add(name=f"add_{k}")([x, keras.layers.Dense(4)(x)])
    >>> found = find_residuals(keras.Model(inputs, x))
    >>> [block.operation.name for block in found]
    ['add_0', 'add_1']

    Args:
        model: A Functional model.

    Returns:
        The blocks in the order of execution; nested models are not entered.
    """
    any_model: Any = model
    depths = sorted(any_model._nodes_by_depth, reverse=True)
    nodes = [n for d in depths for n in any_model._nodes_by_depth[d]]
    graph = _Graph(nodes, keras.tree.flatten(any_model.outputs))
    found = (graph.residual(node) for node in nodes)
    return tuple(block for block in found if block is not None)


class _Graph:
    """Who makes a tensor, and who uses it."""

    def __init__(self, nodes: list[Any], outputs: list[Any]) -> None:
        self.makers: dict[int, Any] = {}
        self.users: dict[int, list[Any]] = {}
        self.calls: dict[int, int] = {}
        self.outputs = {id(tensor) for tensor in outputs}
        for node in nodes:
            count = self.calls.get(id(node.operation), 0)
            self.calls[id(node.operation)] = count + 1
            for tensor in node.outputs:
                self.makers[id(tensor)] = node
            for tensor in node.input_tensors:
                self.users.setdefault(id(tensor), []).append(node)

    def residual(self, node: Any) -> Residual | None:
        is_sum = type(node.operation).__name__ == "Add"
        # A layer that adds at several places cannot be told apart by name.
        if not is_sum or self.calls[id(node.operation)] > 1:
            return None
        tensors = list(node.input_tensors)
        if len(tensors) != 2 or tensors[0] is tensors[1]:
            return None
        for position in (0, 1):
            shortcut, branch = tensors[position], tensors[1 - position]
            if shortcut.shape == branch.shape and self._is_branch(
                node, shortcut, branch
            ):
                return Residual(node.operation, shortcut, branch, position)
        return None

    def _is_branch(self, total: Any, shortcut: Any, branch: Any) -> bool:
        """Whether `branch` hangs on `shortcut` alone and nothing on it."""
        inner, stack = set(), [branch]
        tensors = []
        while stack:
            tensor = stack.pop()
            if tensor is shortcut or id(tensor) in inner:
                continue
            inner.add(id(tensor))
            tensors.append(tensor)
            maker = self.makers.get(id(tensor))
            if maker is None or maker.is_input or not maker.input_tensors:
                return False
            stack.extend(maker.input_tensors)
        made = {id(self.makers[id(tensor)]) for tensor in tensors}
        allowed = made | {id(total)}
        return not any(
            id(tensor) in self.outputs
            or any(id(n) not in allowed for n in self.users[id(tensor)])
            for tensor in tensors
        )
