"""An exit model whose backbone is frozen."""

from typing import Any

import keras

from keras_netopt.depth.exits.exit_model import FINAL, ExitModel
from keras_netopt.depth.exits.model_stages import calls_upstream_of
from keras_netopt.graph.record_calls import call_through, record_calls
from keras_netopt.serialization import export_class


@export_class
class FrozenBackboneExitModel(ExitModel):
    """An `ExitModel` that trains only the exit heads.

    The backbone runs in inference mode while the heads train: its weights,
    its moving statistics and its dropout seeds stay unchanged. The
    `trainable` flags of its layers, which it shares with the original model,
    are not modified.

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
    >>> exit_model = add_exits(model, layers=["first"], freeze_backbone=True)
    >>> [tuple(v.shape) for v in exit_model.trainable_variables]
    [(8, 3), (3,)]

    Args:
        inputs: Symbolic inputs.
        outputs: Dictionary of symbolic outputs, the final one last.
        name: Name of the model. Defaults to `None`.
        **kwargs: As in `ExitModel`.
    """

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(inputs, outputs, name=name, **kwargs)
        recording = record_calls(self)
        self._frozen_operations = {
            id(call.operation)
            for call in calls_upstream_of(
                recording.outputs[FINAL], recording.calls
            )
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
        """Runs the backbone in inference mode, the heads as requested."""

        def mode(operation: keras.Operation) -> bool | None:
            return (
                False if id(operation) in self._frozen_operations else training
            )

        return call_through(self, inputs, mode)

    @property
    def trainable_variables(self) -> list[Any]:
        """The variables of the heads."""
        return [v for v in super().trainable_variables if self._is_trained(v)]

    @property
    def non_trainable_variables(self) -> list[Any]:
        """All other variables."""
        trained = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in trained]

    @property
    def trainable_weights(self) -> list[Any]:
        """The weights of the heads."""
        return [v for v in super().trainable_weights if self._is_trained(v)]

    @property
    def non_trainable_weights(self) -> list[Any]:
        """All other weights."""
        trained = {id(v) for v in self.trainable_weights}
        return [v for v in self.weights if id(v) not in trained]

    def _is_trained(self, variable: Any) -> bool:
        return id(variable) not in self._frozen_variables
