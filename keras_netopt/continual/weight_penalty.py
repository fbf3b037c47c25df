"""Adds the penalty of elastic weight consolidation to the training loss."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.continual.anchors import Anchor, Anchors
from keras_netopt.continual.consolidation_report import (
    ConsolidationReport,
    ConsolidationRow,
)
from keras_netopt.training.hidden_state import add_hidden_state
from keras_netopt.training.loss_hook import LossHook
from keras_netopt.training.optimizers import variable_scope
from keras_netopt.training.running_means import (
    RunningMeans,
    scale_for_replicas,
)

LOG = "ewc_penalty"


class WeightPenalty:
    """The penalty on the weights of one model.

    Anchors and Fisher information are one float32 variable that the compiled
    step receives, so that they are no constants of the compiled program.

    Args:
        model: A compiled model.
        anchors: What its weights are compared with.
        strength: Factor of the penalty.
    """

    def __init__(
        self, model: keras.Model, anchors: Anchors, strength: float
    ) -> None:
        self.model = model
        self.anchors = anchors
        self.shared = anchors.shared(model.trainable_variables)
        self._strength = strength
        self.hook = LossHook(model, self._change_loss)
        self.means = RunningMeans(model, (LOG,))
        entries = [entry for _, entry in self.shared]
        rows = [[e.value for e in entries], [e.fisher for e in entries]]
        with variable_scope(model):
            self.state = keras.Variable(
                np.stack([_flatten(row) for row in rows]),
                trainable=False,
                autocast=False,
                aggregation="mean",
                name="ewc_anchors",
            )

    def is_for(self, model: keras.Model, anchors: Anchors) -> bool:
        """Whether it can be used again, with its compiled step."""
        found = [v for v, _ in anchors.shared(model.trainable_variables)]
        return (
            self.model is model
            and self.anchors is anchors
            and [*map(id, found)] == [id(v) for v, _ in self.shared]
        )

    def install(self) -> None:
        """Adds the penalty to the training steps from now on."""
        undos: list[Callable[[], None]] = [
            self.means.attach(),
            add_hidden_state(self.model, self),
        ]

        def undo() -> None:
            for one in undos:
                one()

        self.hook.install(undo)

    def _change_loss(
        self, x: Any, y_pred: Any, sample_weight: Any, loss: Any
    ) -> Any:
        anchors, fisher = self.state.value[0], self.state.value[1]
        total: Any = 0.0
        place = 0
        for variable, entry in self.shared:
            end = place + entry.value.size
            weight = ops.reshape(ops.cast(variable.value, "float32"), (-1,))
            gap = ops.square(weight - anchors[place:end])
            total = total + ops.sum(fisher[place:end] * gap)
            place = end
        penalty = scale_for_replicas(0.5 * self._strength * total)
        size = ops.shape(keras.tree.flatten(y_pred)[0])[0]
        self.means.update([penalty], size)
        return loss + ops.cast(penalty, loss.dtype)


def make_report(
    tasks: int, strength: float, shared: Sequence[tuple[Any, Anchor]]
) -> ConsolidationReport:
    """Compares weights as they are now with their anchors."""
    total = sum(float(entry.fisher.sum()) for _, entry in shared)
    rows = []
    for variable, entry in shared:
        value = np.asarray(ops.convert_to_numpy(variable.value), "float64")
        gap = (value - entry.value) ** 2
        rows.append(
            ConsolidationRow(
                variable.path,
                entry.value.size,
                float(entry.fisher.mean()),
                float(entry.fisher.sum()) / total if total else 0.0,
                float(np.sqrt(gap.mean())),
                0.5 * strength * float(np.sum(entry.fisher * gap)),
            )
        )
    return ConsolidationReport(tasks, strength, tuple(rows))


def _flatten(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([array.ravel() for array in arrays])
