"""The mean loss of those steps in which the architecture learns."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_netopt.training.backend import sync_variables
from keras_netopt.training.hidden_state import add_hidden_state
from keras_netopt.training.loss_hook import LossHook
from keras_netopt.training.optimizers import variable_scope
from keras_netopt.training.running_means import RunningMeans


class PhaseLoss:
    """Means of the loss over one step of each cycle; the loss is unchanged.

    Args:
        model: A compiled model whose `train_step` calls `compute_loss`;
            another `train_step` gives no mean.
        name: The name of the mean.
        cycle: Steps in a cycle.
        phase: The step whose loss is measured, in [0, `cycle`).
    """

    def __init__(
        self, model: keras.Model, name: str, cycle: int, phase: int
    ) -> None:
        self._model, self._cycle, self._phase = model, cycle, phase
        self._hook = LossHook(model, self._change_loss)
        self._means = RunningMeans(model, [name])
        with variable_scope(model):
            self.state = keras.Variable(
                0,
                trainable=False,
                dtype="int32",
                autocast=False,
                aggregation="only_first_replica",
                name="phase",
            )

    def install(self, on_removed: Callable[[], None]) -> None:
        """Measures from now on; `on_removed` is called at the end.

        The end is `remove`, or the begin of the next `fit` call if the current
        one raises an error.
        """
        undos = [add_hidden_state(self._model, self), self._means.attach()]

        def remove() -> None:
            sync_variables(self._model)  # While the lists are complete.
            for undo in undos:
                undo()
            on_removed()

        self._hook.install(remove)

    def remove(self) -> None:
        """Restores the model's own loss; calling it twice does nothing."""
        self._hook.remove()

    def reset(self) -> None:
        """Begins an epoch, whose first batch begins a cycle."""
        sync_variables(self._model)
        self.state.assign(0)
        self._means.reset()

    def result(self) -> dict[str, float]:
        """Returns the mean by its name; empty before the first cycle."""
        return self._means.result()

    def _change_loss(
        self, x: Any, y_pred: Any, sample_weight: Any, loss: Any
    ) -> Any:
        outputs = keras.tree.flatten(y_pred)
        phase = ops.mod(self.state.value, self._cycle)
        is_due = ops.equal(phase, self._phase)
        held = ops.cast(ops.stop_gradient(loss), "float32")
        size = ops.cast(ops.shape(outputs[0])[0], "float32")
        self._means.update(
            [ops.where(is_due, held, 0.0)], ops.where(is_due, size, 0.0)
        )
        self.state.assign(self.state + 1)
        return loss
