"""Curriculum learning in `fit`."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt import curriculum as engine
from keras_netopt.checks import check_integer, check_verbose
from keras_netopt.curriculum import curriculum_settings, fit_checks
from keras_netopt.curriculum.curriculum_report import CurriculumReport
from keras_netopt.curriculum.curriculum_session import CurriculumSession
from keras_netopt.curriculum.dataset_adapters import as_sample_source
from keras_netopt.curriculum.sequence_length import fit_to_source
from keras_netopt.points import Point, RunLength
from keras_netopt.schedules import Schedule
from keras_netopt.serialization import export_class
from keras_netopt.training import (
    Arrays,
    NoEffectWarning,
    NotIntendedUseWarning,
    ResumableCallback,
    order,
)


@export_class
class Curriculum(ResumableCallback):
    """Curriculum learning: orders and weights training samples by difficulty.

    Train on `dataset()` instead of the arrays. Each epoch is planned when it
    begins, as a function of the seed, the epoch, the difficulty scores and
    the pacing function. Every epoch has the same number of steps, so a
    curriculum can be compared with the control arm `ordering="random"` and
    the baseline `ordering="shuffle"` at equal cost.

    Curricula help with wrong labels, short trainings and long sequences, and
    hardly with clean labels and a full training budget. By default each class
    keeps at least half of its share among the active samples. Pass validation
    data to `fit` as usual, instead of `validation_split`. Augment data in
    layers of the model, so that scores belong to the original samples. A run
    resumed with `BackupAndRestore` continues from its last whole epoch with
    the same numbers as an uninterrupted run.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> x, y = np.random.normal(size=(64, 8)), np.arange(64) % 2
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(True))
    >>> curriculum = netopt.callbacks.Curriculum(
    ...     x, y, difficulty=np.abs(x).sum(axis=1)
    ... )
    >>> history = model.fit(
    ...     curriculum.dataset(batch_size=8),
    ...     epochs=4,
    ...     verbose=0,
    ...     callbacks=[curriculum],
    ... )
    >>> [round(f, 2) for f in history.history["curriculum_fraction"]]
    [0.56, 0.95, 1.0, 1.0]

    Args:
        x: Inputs: arrays or nested structures of them, a `tf.data.Dataset`
            of single samples (read into memory, unless it is wrapped in
            `curriculum.StreamingDataset`), a `keras.utils.PyDataset` (whole
            batches are ordered), or a torch `Dataset` or `DataLoader`.
        y: Targets, if `x` is arrays. Defaults to `None`.
        sample_weight: Weight per sample or token, multiplied with the weights
            of the curriculum. Defaults to `None`.
        difficulty: Difficulty scores: "loss" of the model being trained,
            "length", "rarity", "el2n", "forgetting", an array with one score
            per sample (larger is harder), a `callable(x, y)` that returns the
            scores of a batch, a `keras_netopt.curriculum.Difficulty` such as
            `Teacher` or `CrossValidatedLoss`, or a list of those: a sample is
            then active when it is inside the active fraction for each.
            Defaults to `"loss"`.
        pacing: Pacing function, the fraction of active samples in (0, 1]: a
            schedule from `keras_netopt.schedules`, or "linear", "quadratic",
            "root", "exp", "log", "step", "competence". Defaults to `None`:
            linear from 0.2 to 1 at half of the fit.
        ordering: "easy_first", "hard_first", "random", "shuffle", or an
            ordering of `keras_netopt.curriculum`: `BabySteps`, `OnePass`,
            `SelfPaced`. Defaults to `"easy_first"`.
        sequence_length: A `keras_netopt.curriculum.SequenceLengthWarmup`.
            Defaults to `None`.
        scoring_begin: Time of the first scoring by the model being trained,
            with all samples active before: "3ep", a fraction of the fit or
            steps, rounded up to whole epochs. Defaults to `"1ep"`.
        scoring_interval: Time between two scorings by the model being
            trained, in the same units. Defaults to `"1ep"`.
        labels: Class of each sample for class coverage. Defaults to `None`:
            integer and one-hot targets are classes; `False` for no classes.
        class_balanced: Whether the active samples always have the class
            distribution of the data. Defaults to `False`.
        min_class_share: Smallest share of a class among the active samples,
            relative to its share of all data, in [0, 1]. Defaults to `0.5`.
        min_class_samples: Smallest number of active samples of each class, at
            least 0. Defaults to `1`.
        difficulty_type: "percentile": the pacing function is a share of the
            samples; "value": a share of the range of the scores. Defaults to
            `"percentile"`.
        num_samples: Number of samples to use of a `tf.data.Dataset` of
            unknown size. Defaults to `None`.
        verbose: 1 shows a progress bar while scoring, 0 none. Defaults to
            `"auto"`: as in `fit`, for scores that are computed once.
        seed: Seed of the order, an integer of at least 0. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range or does not match the
            data, at construction or before the first step.

    Reference:
        Wu, Dyer and Neyshabur, 2020, https://arxiv.org/abs/2012.03107;
        Platanios et al., 2019, https://arxiv.org/abs/1903.09848.
    """

    should_precede = order.LOGGERS
    data_args = ("x", "y", "sample_weight", "difficulty", "labels")
    required_data = ("x", "difficulty")
    log_keys = {
        "curriculum_fraction": "active share of the samples at the last step "
        "of the epoch, in (0, 1]",
        "curriculum_unused_fraction": "share of the samples that the epoch "
        "does not train on, in [0, 1]",
        "curriculum_max_difficulty": "largest score of an active sample at "
        "the last step of the epoch; from the first scoring on",
        "curriculum_mean_difficulty": "mean score of the samples of the "
        "epoch; from the first scoring on",
        "curriculum_class_coverage": "smallest share of a class among the "
        "active samples, relative to its share of all data",
        "curriculum_scoring_seconds": "time of scoring in the epoch, seconds",
    }
    # It does nothing at batches, so JAX and torch need not synchronize.
    on_train_batch_end = keras.callbacks.Callback.on_train_batch_end

    def __init__(
        self,
        x: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        difficulty: Any = "loss",
        pacing: str | Schedule | None = None,
        ordering: Any = "easy_first",
        sequence_length: engine.SequenceLengthWarmup | None = None,
        scoring_begin: Point = "1ep",
        scoring_interval: Point = "1ep",
        labels: Any = None,
        class_balanced: bool = False,
        min_class_share: float = 0.5,
        min_class_samples: int = 1,
        difficulty_type: str = "percentile",
        num_samples: int | None = None,
        verbose: int | str = "auto",
        seed: int = 0,
    ) -> None:
        super().__init__()
        source = as_sample_source(x, y, sample_weight, num_samples)
        self.x, self.y = x, y
        self.sample_weight = sample_weight
        self.difficulty = difficulty
        self.pacing = pacing
        self.ordering = ordering
        self.sequence_length = sequence_length
        self.scoring_begin = scoring_begin
        self.scoring_interval = scoring_interval
        self.labels = labels
        self.class_balanced = class_balanced
        self.min_class_share = min_class_share
        self.min_class_samples = min_class_samples
        self.difficulty_type = difficulty_type
        self.num_samples = num_samples
        self.verbose = verbose
        self.seed = seed
        check_verbose(verbose)
        self._plan_settings = curriculum_settings.CurriculumSettings(
            source,
            difficulty=difficulty,
            pacing=pacing,
            ordering=ordering,
            labels=labels,
            class_balanced=class_balanced,
            min_class_share=min_class_share,
            scoring_begin=scoring_begin,
            scoring_interval=scoring_interval,
            min_class_samples=min_class_samples,
            difficulty_type=difficulty_type,
            seed=seed,
        )
        warmup = fit_to_source(sequence_length, source)
        has_weights = self._plan_settings.ordering.has_weights
        self._data = engine.CurriculumData(source, warmup, has_weights)
        self.reset()

    def dataset(
        self,
        batch_size: int | None = None,
        *,
        drop_remainder: bool = True,
        steps_per_epoch: int | None = None,
        class_weight: Mapping[int, float] | None = None,
        token_weights: bool | None = None,
        irreducible_loss: Any = None,
        workers: int = 1,
    ) -> Any:
        """Returns the data set for `fit`; plans apply to the newest one.

        Args:
            batch_size: Samples per batch, at most all. Defaults to `None`:
                32, or the batches of a `PyDataset`.
            drop_remainder: Whether the samples that fill no whole batch are
                left out: others in each epoch. `False` trains on a smaller
                last batch, whose size JAX and XLA compile the step for once
                more. Defaults to `True`.
            steps_per_epoch: Batches per epoch, all whole. Defaults to `None`:
                the batches of one pass over the data.
            class_weight: Weight of each class; `class_weight` of `fit` has no
                effect on this data set. Defaults to `None`.
            token_weights: Whether the loss has one value per token. Defaults
                to `None`: decided by the targets; `fit` refuses the wrong one.
            irreducible_loss: Irreducible loss of each sample for
                `SelectiveBackprop(method="rho")`, passed to the step as
                second column of sample weights of shape `(batch, 2)`.
                Defaults to `None`.
            workers: Threads that read batches ahead, at least 0. Defaults to
                `1`.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If an argument is out of range.
        """
        return self._data.make_adapter(
            batch_size,
            drop_remainder=drop_remainder,
            steps_per_epoch=steps_per_epoch,
            class_weight=class_weight,
            token_weights=token_weights,
            irreducible_loss=irreducible_loss,
            workers=workers,
        )

    def batch_sampler(
        self, batch_size: int, *, drop_remainder: bool = True
    ) -> engine.PlanBatchSampler:
        """Returns a `batch_sampler` for a torch `DataLoader` of the data.

        Its batches have no sample weights; use `dataset` for orderings with
        weights.

        Args:
            batch_size: Samples per batch, at most all.
            drop_remainder: As in `dataset`. Defaults to `True`.

        Raises:
            ValueError: If the ordering has sample weights.
        """
        ordering = self._plan_settings.ordering
        return engine.PlanBatchSampler(
            self._data, batch_size, ordering, drop_remainder=drop_remainder
        )

    def reset(self) -> None:
        """Resets the state that belongs to one model."""
        self._is_input = False
        self._planner = CurriculumSession(
            self._plan_settings, self._data, RunLength(None, 0)
        )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        super().on_train_begin(logs)
        self._data.set_plan(None)
        run, settings = self._progress.run, self._plan_settings
        self._planner = CurriculumSession(settings, self._data, run)
        arguments = order.find_fit_arguments(self._model)
        self._is_input = self._data.is_input(arguments.get("x"))
        if self._is_input:
            for reason in fit_checks.check_fit(
                settings, self._data, run, arguments, self._model
            ):
                self.warn(NotIntendedUseWarning, reason)

    def on_resume(self, model: keras.Model) -> None:
        """Restores scores and counts of a checkpoint."""
        saved = self.loaded_state() if self._is_input else None
        epoch = self._progress.epoch
        for difference in self._planner.restore(*saved, epoch) if saved else ():
            self.warn(NotIntendedUseWarning, difference)

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras; scores the samples and plans the epoch."""
        super().on_epoch_begin(epoch, logs)
        if not self._is_input:
            return
        self._planner.begin_epoch(epoch, self.model, self._scoring_verbose())
        facts = self._plan_settings, self._progress.run, self._planner.scores
        for reason in fit_checks.no_effect_reasons(*facts, epoch):
            self.warn(NoEffectWarning, reason)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        self._progress.end_epoch()
        super().on_epoch_end(epoch, logs)
        if not self._data.batches_read:
            self.warn(
                NoEffectWarning,
                "`fit` trains on other data and read no batch of the plan. "
                "Train on `curriculum.dataset(batch_size)`.",
            )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras, but not when `fit` raises."""
        super().on_train_end(logs)
        self._data.set_plan(None)

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Called by `CheckpointState` whenever the weights are saved."""
        state, _ = super().save_state()
        # After a save in the middle of an epoch, Keras repeats the epoch on
        # weights that are already trained on a part of it.
        whole = order.find_ending_epoch() is not None or self._data.plan is None
        state = {**state, **self._planner.get_state(), "whole": whole}
        return state, self._planner.get_arrays()

    def progress_logs(self) -> dict[str, float]:
        """Returns the numbers of the current epoch's plan."""
        return self._planner.logs

    @property
    def scores(self) -> np.ndarray:
        """Current difficulty of each sample, larger is harder.

        Before `fit`, scores that do not need the model being trained are
        computed on first access.
        """
        return self._planner.compute_scores()

    def hardest_samples(self, count: int = 20) -> np.ndarray:
        """Returns the ids of the samples with the highest scores, in order.

        They often have wrong labels.

        Args:
            count: Number of samples, at least 1. Defaults to `20`.
        """
        check_integer(count, "count", minimum=1)
        return np.argsort(-self.scores, kind="stable")[:count]

    def sample_counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns how often each epoch trained on each sample.

        Returns:
            Epoch numbers `(epochs,)`; counts up to 255 `(epochs, samples)`.
        """
        return self._planner.counts_by_epoch()

    def report(self) -> CurriculumReport:
        """Returns active samples, sample counts and class shares.

        Raises:
            ValueError: Before the first epoch.
        """
        if self._planner.plan is None:
            raise self.report_error("planned epoch")
        return self._planner.make_report()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Curriculum":
        """Copies the settings and shares the data: a tuner needs both."""
        copied = type(self).__new__(type(self))
        copied.__dict__.update(vars(self))
        ResumableCallback.__init__(copied)
        copied.reset()
        return copied

    @classmethod
    def from_config(cls, config: dict[str, Any], **data: Any) -> Any:
        """Creates the callback; `data` are `x`, `y` and the like."""
        if isinstance(config.get("difficulty"), str):
            data.setdefault("difficulty", config["difficulty"])
        return super().from_config(config, **data)

    def _settings(self) -> dict[str, Any]:
        found = super()._settings()  # `verbose` may differ between runs.
        return {k: v for k, v in found.items() if "verbose" not in k}

    def _scoring_verbose(self) -> int:
        if self.verbose != "auto":
            return int(self.verbose)
        once = not self._plan_settings.difficulty.dynamic
        return int(once and bool(self.params.get("verbose", 0)))
