"""Exits that learn on a backbone that stays as it is."""

from typing import Any

import keras

from keras_netopt.depth.exits.exit_model import FINAL, ExitModel
from keras_netopt.serialization import export_class
from keras_netopt.training.replay import RecordedCall, call_through, record


@export_class
class FrozenExitModel(ExitModel):
    """An `ExitModel` of which only the heads learn.

    The backbone runs in inference mode while the heads train: no weight, no
    average of batch normalization and no dropout seed of it moves. The
    `trainable` flags of its layers, which it shares with the user's model,
    stay as they are.

    Example:

    >>> import keras
    >>> from keras_netopt.depth import add_exits
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((4,)),
    ...         keras.layers.Dense(8, name="first"),
    ...         keras.layers.Dense(3),
    ...     ]
    ... )
    >>> exits = add_exits(model, at=["first"], freeze=True)
    >>> [tuple(v.shape) for v in exits.trainable_variables]
    [(8, 3), (3,)]

    Args:
        inputs: Symbolic inputs.
        outputs: Dictionary of symbolic outputs, the final one last.
        name: Name of the model. Defaults to `None`.
        kwargs: As in `ExitModel`.
    """

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(inputs, outputs, name=name, **kwargs)
        recording = record(self)
        self._frozen_operations = {
            id(call.operation)
            for call in needed_for(recording.calls, recording.outputs[FINAL])
        }
        self._frozen_variables = {
            id(variable)
            for call in recording.calls
            if id(call.operation) in self._frozen_operations
            for variable in getattr(call.operation, "variables", ())
        }

    def call(
        self, inputs: Any, training: bool | None = None, **kwargs: Any
    ) -> Any:
        """Runs the backbone in inference mode, whatever the heads do."""

        def mode(operation: keras.Operation) -> bool | None:
            return (
                False if id(operation) in self._frozen_operations else training
            )

        return call_through(self, inputs, mode)

    @property
    def trainable_variables(self) -> list[Any]:
        """The variables of the heads."""
        return [v for v in super().trainable_variables if self._learns(v)]

    @property
    def non_trainable_variables(self) -> list[Any]:
        """All others."""
        learning = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in learning]

    @property
    def trainable_weights(self) -> list[Any]:
        """The weights of the heads."""
        return [v for v in super().trainable_weights if self._learns(v)]

    @property
    def non_trainable_weights(self) -> list[Any]:
        """All others."""
        learning = {id(v) for v in self.trainable_weights}
        return [v for v in self.weights if id(v) not in learning]

    def _learns(self, variable: Any) -> bool:
        return id(variable) not in self._frozen_variables


def needed_for(
    calls: tuple[RecordedCall, ...], output: Any
) -> list[RecordedCall]:
    """Lists the calls that an output is computed from.

    Args:
        calls: Calls in the order of execution.
        output: A symbolic tensor.

    Returns:
        Those calls, in the same order.
    """
    wanted = {id(output)}
    found = []
    for call in reversed(calls):
        if wanted & {id(tensor) for tensor in call.outputs}:
            found.append(call)
            wanted |= {id(tensor) for tensor in call.inputs}
    return found[::-1]
