"""One call of a layer or op in a model."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import Operation

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


@dataclass(frozen=True)
class GraphNode:
    """One call of a layer or of a `keras.ops` operation.

    Args:
        operation: The layer or op that is called.
        args: Positional arguments, with `keras.KerasTensor` for tensors.
        kwargs: Keyword arguments, likewise.
        outputs: The flat outputs.
        owners: The models and layers around this call, outermost first;
            `owners[0]` is the model itself.
        repeat: Number of runs per call of its owner (the time steps of a
            recurrent cell), or `None` for a time axis of unknown length.
        untraced: `None`, or the reason why the ops of this operation could
            not be traced. The layers that it calls are nodes as well.
        entered: Whether the calls inside this one are listed before it and
            account for its work.
    """

    operation: Operation
    args: Args
    kwargs: Kwargs
    outputs: tuple[Any, ...]
    owners: tuple[Operation, ...]
    repeat: int | None = 1
    untraced: str | None = None
    entered: bool = False

    @property
    def path(self) -> str:
        """The names of the owners below the model, then its own name."""
        names = [owner.name for owner in self.owners[1:]]
        return "/".join([*names, self.operation.name])

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The flat tensor arguments (variables included), in call order."""
        flat = keras.tree.flatten((self.args, self.kwargs))
        return tuple(leaf for leaf in flat if hasattr(leaf, "shape"))

    @property
    def input_shapes(self) -> tuple[tuple[int | None, ...], ...]:
        """The shape of each of `inputs`."""
        return tuple(tuple(leaf.shape) for leaf in self.inputs)

    @property
    def output_shapes(self) -> tuple[tuple[int | None, ...], ...]:
        """The shape of each of `outputs`."""
        return tuple(tuple(leaf.shape) for leaf in self.outputs)
