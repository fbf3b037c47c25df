"""One call of a layer or op in a model."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import keras
from keras import Operation

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
_NOT_NESTED = (keras.KerasTensor, bool, int, float, str)


class Arguments(NamedTuple):
    """Arguments of a call."""

    args: Args
    kwargs: Kwargs


@dataclass(frozen=True, eq=False)
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
        recorded: The node of Keras, for a call that was made when the model
            was built. Defaults to `None`.
    """

    operation: Operation
    args: Args
    kwargs: Kwargs
    outputs: tuple[Any, ...]
    owners: tuple[Operation, ...] = ()
    repeat: int | None = 1
    untraced: str | None = None
    entered: bool = False
    recorded: Any = None

    @property
    def owner(self) -> Any:
        """The innermost model or layer around this call."""
        return self.owners[-1]

    @property
    def path(self) -> str:
        """The names of the owners below the model, then its own name."""
        names = [owner.name for owner in self.owners[1:]]
        return "/".join([*names, self.operation.name])

    @property
    def arguments(self) -> Arguments:
        """The arguments, positional and by keyword."""
        return Arguments(self.args, self.kwargs)

    @cached_property
    def inputs(self) -> tuple[Any, ...]:
        """The flat tensor arguments (variables included), in call order."""
        flat = keras.tree.flatten((self.args, self.kwargs))
        return tuple(leaf for leaf in flat if hasattr(leaf, "shape"))

    @cached_property
    def input_tensors(self) -> tuple[Any, ...]:
        """The flat symbolic tensors among the arguments."""
        if self.recorded is not None:
            return tuple(self.recorded.input_tensors)
        return tuple(t for t in self.inputs if isinstance(t, keras.KerasTensor))

    @property
    def variables(self) -> tuple[keras.Variable, ...]:
        """The variables among the arguments."""
        given = (*self.args, *self.kwargs.values())
        if all(one is None or isinstance(one, _NOT_NESTED) for one in given):
            return ()
        return tuple(v for v in self.inputs if isinstance(v, keras.Variable))

    @property
    def output(self) -> Any:
        """The first output."""
        return self.outputs[0]

    @property
    def is_input(self) -> bool:
        """Whether this is an input of a model and not a call."""
        return not self.input_tensors

    @property
    def input_shapes(self) -> tuple[tuple[int | None, ...], ...]:
        """The shape of each of `inputs`."""
        return tuple(tuple(leaf.shape) for leaf in self.inputs)

    @property
    def output_shapes(self) -> tuple[tuple[int | None, ...], ...]:
        """The shape of each of `outputs`."""
        return tuple(tuple(leaf.shape) for leaf in self.outputs)

    def inside(
        self, operation: Operation, tensor: Any, outputs: Any
    ) -> "GraphNode":
        """Returns a call on one tensor that this call makes."""
        flat = tuple(keras.tree.flatten(outputs))
        owners = (*self.owners, self.operation)
        return GraphNode(operation, (tensor,), {}, flat, owners)
