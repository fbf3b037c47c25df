"""Elastic weight consolidation: `fit` keeps what earlier tasks need."""

from pathlib import Path
from typing import Any, Self

import keras

from keras_netopt.checks import (
    check_at_least_zero,
    check_bool,
    check_choice,
    check_integer,
    check_probability,
    check_seed,
)
from keras_netopt.continual.anchors import Anchors
from keras_netopt.continual.anchors_file import load_anchors, save_anchors
from keras_netopt.continual.consolidation_report import ConsolidationReport
from keras_netopt.continual.fisher import check_finite, compute_fisher
from keras_netopt.continual.heads import find_heads
from keras_netopt.continual.likelihood import NAMES, find_likelihoods
from keras_netopt.continual.weight_penalty import WeightPenalty, make_report
from keras_netopt.graph.check_model import check_model
from keras_netopt.serialization import export_class
from keras_netopt.training import (
    CheckpointState,
    NoEffectWarning,
    ResumableCallback,
)
from keras_netopt.training.order import LOGGERS
from keras_netopt.training.own_train_step import calls_compute_loss
from keras_netopt.warnings import NotIntendedUseWarning


@export_class
class ElasticWeightConsolidation(ResumableCallback):
    """Elastic weight consolidation (EWC): learns a task, keeps earlier ones.

    After a task, `consolidate(model, x)` records its weights and how much
    each of them matters to the model's outputs: the diagonal of the Fisher
    information. In later `fit` calls the penalty
    `strength / 2 * sum(fisher * (weight - anchor) ** 2)` on the weights that
    the model in `fit` shares with the consolidated ones joins the training
    loss. Validation, `evaluate` and `val_loss` stay those of the compiled
    loss.

    The model of the next task is the same Keras model, or another one that
    shares layers. Give each task a head of its own: with one head for all
    classes no strength prevents forgetting. Consolidating again adds the
    information of the next task (online EWC): earlier information counts
    `gamma` times, and the anchors are the latest weights. An interrupted
    `fit` takes anchors and information from its checkpoint and ends at the
    same weights, bit for bit.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> inputs = keras.Input((8,))
    >>> features = keras.layers.Dense(16, "relu")(inputs)
    >>> first, second = (
    ...     keras.Model(inputs, keras.layers.Dense(2, "softmax")(features))
    ...     for _ in range(2))
    >>> for task in (first, second):
    ...     task.compile("adam", "sparse_categorical_crossentropy")
    >>> x, y = np.random.normal(size=(64, 8)), np.arange(64) % 2
    >>> _ = first.fit(x, y, verbose=0)
    >>> ewc = netopt.callbacks.ElasticWeightConsolidation(strength=1e3)
    >>> report = ewc.consolidate(first, x)
    >>> history = second.fit(-x, y, callbacks=[ewc], verbose=0)
    >>> sorted(history.history)
    ['ewc_penalty', 'loss']

    Args:
        strength: Factor of the penalty, at least 0; 1e2 to 1e4 gain over
            fine-tuning on small dense networks, 1e2 and 1e3 the most where
            tasks differ much. Defaults to `3e3`.
        gamma: Factor of the information of earlier tasks at each further
            `consolidate`, in [0, 1]. Defaults to `1.0`: all tasks count
            alike.
        fisher_samples: Number of examples of which the information is
            computed, one at a time, at least 1. Defaults to `200`.
        shared_head: Whether tasks may share the layer that makes an output,
            as where they have the same classes and differ in their inputs;
            otherwise a warning says so. Defaults to `False`.
        seed: Of the targets drawn from the model's outputs. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range; before the first step, if
            nothing was consolidated, the model shares no trainable weight
            with a consolidated one, or its `train_step` does not call
            `compute_loss`.

    Reference:
        Kirkpatrick et al., 2017, https://arxiv.org/abs/1612.00796; online
        form: Schwarz et al., 2018, https://arxiv.org/abs/1805.06370
    """

    should_precede = LOGGERS
    conflicts_with = (
        "ArchitectureSearch",
        "ChannelPruning",
        "Distillation",
        "Growing",
    )
    log_keys = {
        "ewc_penalty": "mean of the penalty over the epoch's training steps; "
        "a part of `loss`"
    }

    def __init__(
        self,
        strength: float = 3e3,
        *,
        gamma: float = 1.0,
        fisher_samples: int = 200,
        shared_head: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_at_least_zero(strength, "strength")
        check_probability(gamma, "gamma")
        check_integer(fisher_samples, "fisher_samples", minimum=1)
        check_bool(shared_head, "shared_head")
        check_seed(seed)
        self.strength = strength
        self.gamma = gamma
        self.fisher_samples = fisher_samples
        self.shared_head = shared_head
        self.seed = seed
        self._anchors = Anchors()
        self._penalty: WeightPenalty | None = None
        self.reset()

    def reset(self) -> None:
        """Resets the state that belongs to one model; anchors stay."""
        if self._penalty is not None:
            self._penalty.hook.remove()
        self._penalty = None
        self._shared: list[Any] = []
        self._logs: dict[str, float] = {}

    def consolidate(
        self,
        model: keras.Model,
        calibration_data: Any,
        *,
        loss: str = "auto",
        from_logits: bool | None = None,
    ) -> ConsolidationReport:
        """Records the weights of a trained task and their importance.

        Args:
            model: A built model; its trainable weights are recorded. It does
                not change.
            calibration_data: Inputs of the task: an array, `(x, y)`, or
                batches. Targets are ignored; they are drawn from the model's
                outputs.
            loss: "softmax", "sigmoid" or "mse" (numbers with normal errors of
                variance 1) for every output; "auto" reads it from the last
                activation and the compiled loss. Defaults to `"auto"`.
            from_logits: Whether the outputs are logits rather than
                probabilities. Defaults to `None`: read likewise.

        Returns:
            A report with a row per weight.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If the model is not built, has no trainable weight,
                gives outputs or gradients that are not finite, or it is not
                clear what an output holds.
        """
        check_model(model)
        check_choice(loss, "loss", NAMES)
        if from_logits is not None:
            check_bool(from_logits, "from_logits")
        variables = list(model.trainable_variables)
        if not variables:
            raise ValueError(
                "Argument `model` must have trainable weights: set "
                "`model.trainable = True` before `consolidate`. "
                f"Received: model={model.name!r} with no trainable weight"
            )
        fisher = compute_fisher(
            model,
            variables,
            find_likelihoods(model, loss, from_logits),
            calibration_data,
            samples=self.fisher_samples,
            seed=(self.seed, self._anchors.tasks),
        )
        check_finite(model, variables, fisher)
        heads = find_heads(model)
        self._anchors = self._anchors.with_task(
            variables, fisher, heads, self.gamma
        )
        self._penalty = None
        return self._report_on(variables)

    def save(self, filepath: str | Path, model: keras.Model) -> None:
        """Saves anchors and information of the weights of a model.

        Args:
            filepath: Path of the file, in NumPy's format ".npz".
            model: A model that holds these weights.
        """
        self._require_anchors("save")
        save_anchors(self._anchors, filepath, model)

    def load(self, filepath: str | Path, model: keras.Model) -> None:
        """Loads what `save` wrote, for further tasks in another process.

        Args:
            filepath: Path of the file.
            model: The model as it was then; it holds the shared layers.
        """
        check_model(model)
        anchors = load_anchors(filepath, model)
        self.reset()
        self._anchors = anchors

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras. Also ends what a failed `fit` left."""
        if self._penalty is not None:
            self._penalty.hook.remove()
        super().on_train_begin(logs)

    def on_model_ready(self, model: keras.Model) -> None:
        """Checks the model."""
        if not calls_compute_loss(model):
            raise ValueError(
                "ElasticWeightConsolidation needs a model whose `train_step` "
                "calls `self.compute_loss(x=x, y=y, y_pred=y_pred, ...)`. "
                f"Received: {type(model).__name__}.train_step, which does not"
            )
        for other in self.other_callbacks(model):
            if isinstance(other, ElasticWeightConsolidation):
                raise ValueError(
                    "ElasticWeightConsolidation must be used once per `fit`: "
                    "one callback holds all tasks, `consolidate` adds them. "
                    f"Received: another one beside {self!r}"
                )

    def on_resume(self, model: keras.Model) -> None:
        """Takes the anchors of a checkpoint; adds the penalty."""
        saved = self.loaded_state()
        if saved is not None and saved[1]:
            self._anchors = Anchors.from_state(model, *saved)
        self._require_anchors("fit")
        self._check_shared(model)
        held = self._penalty
        if held is None or not held.is_for(model, self._anchors):
            held = WeightPenalty(model, self._anchors, self.strength)
        self._penalty = held
        self._shared = [v for v, _ in held.shared]
        held.install()
        held.means.reset()

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        is_first = not self._started
        super().on_epoch_begin(epoch, logs)
        if self._penalty is not None and not is_first:
            self._penalty.means.reset()

    def on_steps(self, before: int, after: int) -> None:
        """Checks after the first step that it used the penalty."""
        if self._penalty is not None and not self._penalty.hook.traces:
            self._penalty.hook.remove()
            raise ValueError(
                "ElasticWeightConsolidation needs a `train_step` that calls "
                "`self.compute_loss`; the first step did not. Received: "
                f"{type(self.model).__name__}.train_step"
            )

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras; reads the mean penalty of the epoch."""
        if self._penalty is not None:
            self._logs = self._penalty.means.result()
        super().on_epoch_end(epoch, logs)
        self._logs = {}

    def on_fit_end(self, model: keras.Model) -> None:
        """Restores the model's own loss."""
        if self._penalty is not None:
            self._penalty.hook.remove()
        CheckpointState.of(model).states.pop(self._state_name, None)

    def progress_logs(self) -> dict[str, float]:
        """Returns the mean penalty at the end of an epoch."""
        return self._logs

    def save_state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Called by `CheckpointState` whenever the weights are saved."""
        values, _ = super().save_state()
        own, arrays = self._anchors.to_state(self._model)
        return {**values, **own}, arrays

    def report(self) -> ConsolidationReport:
        """Returns what is held of the model in the last `fit`, as it is now.

        Raises:
            ValueError: If the callback was not passed to `fit` yet.
        """
        if not self._shared:
            raise self.report_error("shared weights")
        return self._report_on(self._shared)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copies the settings and what was consolidated."""
        copied = super().__deepcopy__(memo)
        copied._anchors = self._anchors
        return copied

    def _report_on(self, variables: list[Any]) -> ConsolidationReport:
        shared = self._anchors.shared(variables)
        return make_report(self._anchors.tasks, self.strength, shared)

    def _require_anchors(self, what: str) -> None:
        if not self._anchors.tasks:
            raise ValueError(
                f"ElasticWeightConsolidation must know an earlier task before "
                f"`{what}`: call `consolidate(model, x)` once that is "
                f"trained. Received: {self!r} without a consolidated task"
            )

    def _check_shared(self, model: keras.Model) -> None:
        shared = self._anchors.shared(model.trainable_variables)
        if not shared:
            raise ValueError(
                "ElasticWeightConsolidation needs a model that shares "
                "trainable weights with a consolidated one: build both from "
                "the same layers, and leave these trainable. Received: model="
                f"{model.name!r}, which shares none"
            )
        if not self.strength or not any(e.fisher.any() for _, e in shared):
            self.warn(
                NoEffectWarning,
                "no weight is held. Give a `strength` above 0, and "
                "`consolidate` with inputs on which the outputs depend.",
            )
        heads = {id(v) for v in find_heads(model)}
        mixed = any(e.in_head and id(v) in heads for v, e in shared)
        if mixed and not self.shared_head:
            self.warn(
                NotIntendedUseWarning,
                "the tasks share a head. If they have different classes, no "
                "strength prevents forgetting: give each task a head of its "
                "own on the shared layers. If they have the same classes, set "
                "`shared_head=True`.",
            )
