"""The memory for activations, planned as TFLite Micro plans it."""

import bisect
from collections.abc import Iterable
from dataclasses import dataclass

from keras_netopt.export.micro.file_graph import BYTES, FileGraph
from keras_netopt.export.micro.kernel_scratch import list_scratch

ALIGNMENT = 16  # Bytes.
UNUSED = -1  # The step of tensors that no operator reads or writes.


@dataclass
class Buffer:
    """Memory that holds one tensor, or serves one operator.

    Args:
        size: Its bytes, a multiple of 16.
        first: The step of its first use.
        last: The step of its last use.
        start: Its place, in bytes; -1 before it is planned.
    """

    size: int
    first: int = UNUSED
    last: int = UNUSED
    start: int = -1

    def use(self, first: int, last: int) -> None:
        """Extends its use."""
        self.first = first if self.first == UNUSED else self.first
        self.last = last

    def meets(self, other: "Buffer") -> bool:
        """Whether both are in use at some step."""
        return self.first <= other.last and other.first <= self.last


class Lifetimes:
    """The buffers of a file and the steps at which they are used.

    An operator is one step; the graphs that IF and WHILE run have their steps
    between the first and the last one of that operator.

    Args:
        file: The file; the types of its tensors are in `BYTES`.
    """

    def __init__(self, file: FileGraph) -> None:
        self._graphs = file.graphs
        self._step = 0
        self._tensors = [
            [Buffer(_round_up(t.elements * BYTES[t.dtype])) for t in g.tensors]
            for g in file.graphs
        ]
        self._scratch = [
            [
                [Buffer(_round_up(size)) for size in list_scratch(graph, op)]
                for op in graph.operators
            ]
            for graph in file.graphs
        ]
        self._run(0)

    def list_buffers(self) -> list[Buffer]:
        """Returns all buffers, in the runtime's order."""
        planned = [
            buffer
            for graph, buffers in zip(self._graphs, self._tensors, strict=True)
            for tensor, buffer in zip(graph.tensors, buffers, strict=True)
            if buffer.size and not tensor.is_constant and not tensor.is_variable
        ]
        # The runtime prepares the graphs, and so asks for scratch, in order.
        scratch = [b for graph in self._scratch for op in graph for b in op]
        return planned + scratch

    def _run(self, index: int) -> None:
        graph, buffers = self._graphs[index], self._tensors[index]
        for k in graph.inputs:
            buffers[k].use(self._step, self._step)
        scratch = self._scratch[index]
        for op, own in zip(graph.operators, scratch, strict=True):
            self._step += 1
            start = self._step
            for k in op.outputs:
                buffers[k].use(start, start)
            for branch in op.branches:
                self._step += 1
                self._run(branch)
            for k in (*op.inputs, *op.outputs):
                if k >= 0:
                    buffers[k].last = self._step
            for buffer in own:
                buffer.use(start, self._step)
        for k in graph.outputs:
            buffers[k].use(self._step, self._step)


def plan_activations(file: FileGraph) -> int | None:
    """Returns the bytes that the activations of a file need.

    Each tensor that is not constant has a place from the first operator that
    uses it to the last one, and the scratch memory of an operator during that
    operator. The largest is placed first, at the lowest place where nothing
    lies that is used at the same time.

    Returns:
        The bytes, or `None` if the file says where its tensors lie or has
        types that the runtime lacks.
    """
    types = {t.dtype for graph in file.graphs for t in graph.tensors}
    if file.has_offline_plan or not types <= set(BYTES):
        return None
    return place_buffers(Lifetimes(file).list_buffers())


def place_buffers(buffers: Iterable[Buffer]) -> int:
    """Places the largest buffers first; returns the end of the last one.

    Of buffers of equal size the last one in the list is placed first.

    Example:

    >>> place_buffers([Buffer(16, 0, 1), Buffer(32, 1, 2), Buffer(16, 2, 3)])
    48
    """
    placed: list[Buffer] = []
    for buffer in sorted(reversed(list(buffers)), key=lambda one: -one.size):
        start = 0
        for other in placed:
            if buffer.meets(other):
                if other.start - start >= buffer.size:
                    break
                start = max(start, other.start + other.size)
        buffer.start = start
        bisect.insort(placed, buffer, key=lambda one: one.start)
    return max((one.start + one.size for one in placed), default=0)


def _round_up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
