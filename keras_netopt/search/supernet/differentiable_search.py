"""DARTS inside `fit`: the architecture learns by gradients of its own."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_netopt.search.supernet.decision import Decision
from keras_netopt.training import optimizers
from keras_netopt.training.bilevel_optimizer import (
    CYCLES,
    VALIDATION,
    BilevelOptimizer,
)
from keras_netopt.training.checkpoint_state import Arrays
from keras_netopt.training.compiled_clone import copy_optimizer
from keras_netopt.training.phase_loss import PhaseLoss

LOSS = "search_val_loss"


class DifferentiableSearch:
    """The variables and hooks of one `fit` call.

    Args:
        model: A compiled, built model.
        decisions: Decisions of the model by name, all with weights.
        optimizer: The optimizer of the architecture; a copy is used.
        order: Order of the gradient, 1 or 2.
    """

    def __init__(
        self,
        model: keras.Model,
        decisions: Mapping[str, Decision],
        optimizer: Any,
        order: int,
    ) -> None:
        weights = {id(one.weights): one.weights for one in decisions.values()}
        with optimizers.variable_scope(
            model
        ):  # Keras keeps the strategy of this moment.
            own = copy_optimizer(optimizer)
        self._bilevel = BilevelOptimizer(
            model, list(weights.values()), own, order
        )
        phase = CYCLES[order].index(VALIDATION)
        self._loss = PhaseLoss(model, LOSS, self._bilevel.cycle, phase)
        self._is_removed = False
        self._loss.install(self._on_removed)

    def begin_epoch(self) -> None:
        """Begins a cycle."""
        self._bilevel.begin_cycle()
        self._loss.reset()

    def remove(self) -> None:
        """Leaves the model as it was, but for what it has learned."""
        self._loss.remove()

    def logs(self) -> dict[str, float]:
        """Returns the loss of the steps in which the architecture learns."""
        return self._loss.result()

    def get_arrays(self) -> Arrays:
        """Returns the state that no file of Keras holds."""
        return {} if self._is_removed else self._bilevel.get_arrays()

    def set_arrays(self, arrays: Arrays) -> None:
        """Restores what `get_arrays` returned."""
        self._bilevel.set_arrays(arrays)

    def _on_removed(self) -> None:
        """Runs at the end, or when `fit` is called again after an error."""
        self._bilevel.remove()
        self._is_removed = True


def check_trainable(
    model: keras.Model, decisions: Mapping[str, Decision]
) -> None:
    """Refuses a model that DARTS cannot train.

    Raises:
        ValueError: If a decision has no weights, or the optimizer does not
            make one step of the weights per batch.
    """
    without = [n for n, one in decisions.items() if one.weights is None]
    if without:
        raise ValueError(
            'Argument `method` must be "single_path" for decisions without '
            "weights, such as widths: no gradient leads to a size. "
            f"Received: method='darts', decisions {without}"
        )
    held = list(optimizers.find_optimizers(model))
    optimizer: Any = model.optimizer
    problem = None
    inner = list(optimizers.all_optimizers(optimizer))
    chain = optimizers.optimizer_chain(optimizer)
    if held != ["optimizer"] or len(inner) > len(chain):
        problem = "one optimizer for all weights"
    elif hasattr(optimizer, "inner_optimizer"):
        problem = (
            "an optimizer that does not scale the loss: a step that it skips "
            "would move the cycle. Use the policy 'mixed_bfloat16', or "
            "compile with auto_scale_loss=False"
        )
    elif optimizer.gradient_accumulation_steps:
        problem = (
            "an optimizer that updates in each step: use larger batches "
            "instead of `gradient_accumulation_steps`"
        )
    if problem is not None:
        raise ValueError(
            f"DARTS needs {problem}. Received: optimizer="
            f"{type(optimizer).__name__}, optimizers of the model {held}"
        )
