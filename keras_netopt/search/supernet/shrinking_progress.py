"""Progressive shrinking in the epochs of one `fit` call."""

import keras

from keras_netopt.search.supernet.searchable_layer import find_decisions
from keras_netopt.search.supernet.shrinking import (
    apply_stage,
    find_stage,
    plan_stages,
)
from keras_netopt.training.backend import commit_variables, sync_variables


class ShrinkingProgress:
    """Applies the stages of progressive shrinking; each has some epochs.

    Args:
        model: A built model with elastic layers; all options are enabled.
        epochs: Number of epochs of the training, resumed ones included.

    Raises:
        ValueError: If there are fewer epochs than stages.
    """

    def __init__(self, model: keras.Model, epochs: int) -> None:
        self._model = model
        self._epochs = epochs
        self._stages = plan_stages(model)
        self.stage = -1  # The last stage that was applied.
        if epochs < len(self._stages):
            raise ValueError(
                "Argument `progressive_shrinking` must be False for fewer "
                f"epochs than stages, which are {len(self._stages)}: "
                f"{[one.name for one in self._stages]}. Use as many epochs. "
                f"Received: progressive_shrinking=True, epochs={epochs}"
            )
        enable_all(model)

    def resume(self, stage: int) -> None:
        """Continues in a stage that a checkpoint was saved in."""
        self.stage = stage
        if stage >= 0:
            sync_variables(self._model)
            for name, decision in find_decisions(self._model).items():
                decision.enable(self._stages[stage].enabled[name])
            commit_variables(self._model)

    def begin_epoch(self, epoch: int) -> None:
        """Applies the stages that are due, before an epoch from 0."""
        due = find_stage(len(self._stages), epoch / self._epochs)
        for stage in self._stages[self.stage + 1 : due + 1]:
            apply_stage(self._model, stage)
        self.stage = max(self.stage, due)


def enable_all(model: keras.Model) -> None:
    """Enables every option of every decision."""
    sync_variables(model)
    for decision in find_decisions(model).values():
        decision.enable(range(len(decision.options)))
    commit_variables(model)
