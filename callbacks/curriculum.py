"""Decides which samples the model sees next, while `fit` runs."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt import curriculum as engine
from keras_netopt.checks import check_integer
from keras_netopt.curriculum.dataset_adapters import as_source
from keras_netopt.curriculum.fit_checks import (
    check_fit,
    doubts,
    idle_reasons,
)
from keras_netopt.curriculum.report import CurriculumReport, describe
from keras_netopt.curriculum.sequence_length import fitted_length
from keras_netopt.curriculum.session import CurriculumSession
from keras_netopt.curriculum.settings import CurriculumSettings
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
from keras_netopt.training.order import LOGGERS


@export_class
class Curriculum(ResumableCallback):
    """Orders and weights the training data by difficulty, inside `fit`.

    Train on `dataset()` instead of the arrays. Each epoch is planned as a
    whole from the seed, the epoch and the scores; it always has the same
    number of steps, so a curriculum costs as much as ordinary training and
    can be compared with `ordering="random"`, its control arm, and
    `ordering="shuffle"`, the baseline.

    Curricula help with wrong labels, short trainings and long sequences, and
    hardly on clean data with a full budget. Each class keeps at least half of
    its share among the samples in play. Validation data go to `fit` as
    always; split arrays yourself instead of `validation_split`. Augment in
    layers of the model: scores then belong to the samples as they are. With
    `BackupAndRestore` a killed run goes on from its last whole epoch as if
    never interrupted.

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
            `curriculum.Stream`), a `keras.utils.PyDataset` (its batches are
            put in order, whole), or a torch `Dataset` or `DataLoader`.
        y: Targets where `x` is arrays. Defaults to `None`.
        sample_weight: Weight of each sample or token; the curriculum's
            weights multiply it. Defaults to `None`.
        difficulty: What makes a sample hard: "loss" of the model being
            trained, "length", "rarity", "el2n", "forgetting", an array of
            scores (larger is harder), a `callable(x, y)` that returns them
            for a batch, `Teacher`, `CrossScored` and others of
            `keras_netopt.curriculum`, or a list of those: a sample is then
            in play when it is inside the fraction of each. Defaults to
            `"loss"`.
        pacing: Share of the data in play, in (0, 1]: a schedule from
            `keras_netopt.schedules`, or "linear", "quadratic", "root", "exp",
            "log", "step", "competence". Defaults to `None`: a straight line
            from 0.2 to all data at half of the fit.
        ordering: "easy_first", "hard_first", "random", "shuffle", or
            `BabySteps`, `OnePass`, `SelfPaced` of `keras_netopt.curriculum`.
            Defaults to `"easy_first"`.
        length: A `keras_netopt.curriculum.SequenceLengthWarmup`. Defaults to
            `None`.
        refresh: Time from one scoring by the model being trained to the next,
            rounded up to whole epochs: "3ep", a fraction of the fit or steps.
            Defaults to `"1ep"`.
        warmup: Time before the first one, with all samples. Defaults to
            `"1ep"`.
        labels: Class of each sample for the class guard, where targets do not
            tell it. Defaults to `None`: integers and one-hot targets are
            classes; `False` for no classes.
        class_balanced: Whether samples come into play class by class, each by
            its share. Defaults to `False`.
        min_share: Part of its share that each class keeps among the samples
            in play, in [0, 1]. Defaults to `0.5`.
        min_per_class: Samples of each class that are always in play, at least
            0. Defaults to `1`.
        by: Whether the pacing means a share of the samples, "rank", or of the
            range of the scores, "value". Defaults to `"rank"`.
        num_samples: Samples to take of a `tf.data.Dataset` of unknown size.
            Defaults to `None`.
        verbose: 1 shows a progress bar while scoring, 0 none. Defaults to
            `"auto"`: as `fit`, where scores are made once.
        seed: Seed of the order, an integer of at least 0. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range or does not fit the data,
            at construction or before the first step.

    Reference:
        Wu, Dyer and Neyshabur, 2020, https://arxiv.org/abs/2012.03107;
        Platanios et al., 2019, https://arxiv.org/abs/1903.09848.
    """

    should_precede = LOGGERS
    log_keys = {
        "curriculum_fraction": "share of the samples in play, in (0, 1]",
        "curriculum_weight_zero": "share of the samples not shown, in [0, 1)",
        "curriculum_refresh_seconds": "time spent on scoring, in seconds",
        "curriculum_threshold": "highest difficulty score in play",
        "curriculum_difficulty": "mean difficulty score of the samples shown",
        "curriculum_coverage": "smallest share of a class in play, in [0, 1]",
    }
    data_args = ("x", "y", "sample_weight", "difficulty", "labels")
    # Nothing is done at batches, so JAX and torch need not wait for them.
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
        length: engine.SequenceLengthWarmup | None = None,
        refresh: Point = "1ep",
        warmup: Point = "1ep",
        labels: Any = None,
        class_balanced: bool = False,
        min_share: float = 0.5,
        min_per_class: int = 1,
        by: str = "rank",
        num_samples: int | None = None,
        verbose: int | str = "auto",
        seed: int = 0,
    ) -> None:
        super().__init__()
        source = as_source(x, y, sample_weight, num_samples)
        self.x, self.y = x, y
        self.sample_weight = sample_weight
        self.difficulty = difficulty
        self.pacing = pacing
        self.ordering = ordering
        self.length = length
        self.refresh = refresh
        self.warmup = warmup
        self.labels = labels
        self.class_balanced = class_balanced
        self.min_share = min_share
        self.min_per_class = min_per_class
        self.by = by
        self.num_samples = num_samples
        self.verbose = verbose
        self.seed = seed
        _check_verbose(verbose)
        self._made_of = CurriculumSettings.create(
            source,
            difficulty=difficulty,
            pacing=pacing,
            ordering=ordering,
            labels=labels,
            class_balanced=class_balanced,
            min_share=min_share,
            refresh=refresh,
            warmup=warmup,
            min_per_class=min_per_class,
            by=by,
            seed=seed,
        )
        fitted = fitted_length(length, source)
        self._data = engine.CurriculumData(source, fitted)
        self.reset()

    def dataset(
        self,
        batch_size: int | None = None,
        *,
        steps_per_epoch: int | None = None,
        class_weight: Mapping[int, float] | None = None,
        token_weights: bool | None = None,
        table: Any = None,
        workers: int = 1,
    ) -> Any:
        """Returns the data set for `fit`; the newest one is planned for.

        Args:
            batch_size: Samples of a batch, at most all. Defaults to `None`:
                32, or whole batches of a `PyDataset`.
            steps_per_epoch: Batches of each epoch. Defaults to `None`: as
                many as all samples fill.
            class_weight: Weight of each class, which `fit` would not see.
                Defaults to `None`.
            token_weights: Whether the loss has a value for each token.
                Defaults to `None`: as the targets look.
            table: A number for each sample that travels beside its weight, in
                weights of shape `(batch, 2)`. Defaults to `None`.
            workers: Threads that read ahead, at least 0. Defaults to `1`.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If an argument is out of range.
        """
        if batch_size is None:
            batch_size = 1 if self._data.source.unit == "batch" else 32
        return self._data.open(
            batch_size,
            steps_per_epoch=steps_per_epoch,
            class_weight=class_weight,
            token_weights=token_weights,
            table=table,
            workers=workers,
        )

    def batch_sampler(self, batch_size: int) -> engine.PlanSampler:
        """Returns the `batch_sampler` of a torch `DataLoader` on the data.

        Weights cannot travel that way; use `dataset` where there are some.

        Args:
            batch_size: Samples of a batch, at most all.

        Raises:
            ValueError: If the ordering has weights.
        """
        return engine.PlanSampler(
            self._data, batch_size, self._made_of.ordering
        )

    def reset(self) -> None:
        """Resets what belongs to one model."""
        self._fed = False
        self._course = CurriculumSession(
            self._made_of, self._data, RunLength(None, 0)
        )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        super().on_train_begin(logs)
        self._data.begin(None)
        run = self._progress.run
        self._course = CurriculumSession(self._made_of, self._data, run)
        arguments = order.find_fit_arguments(self._model)
        self._fed = self._data.feeds(arguments.get("x"))
        if self._fed:
            check_fit(self._made_of, self._data, run, arguments, self._model)
            for doubt in doubts(self._made_of, run, arguments):
                self.warn(NotIntendedUseWarning, doubt)

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras; the only time at which anything changes."""
        first = not self._started
        super().on_epoch_begin(epoch, logs)
        if not self._fed:
            return
        saved = self.loaded_state() if first else None
        if saved is not None:
            for doubt in self._course.take_up(*saved, epoch):
                self.warn(NotIntendedUseWarning, doubt)
        self._course.begin_epoch(epoch, self.model, self._bar())
        run, scores = self._progress.run, self._course.scores
        for reason in idle_reasons(self._made_of, run, scores, epoch):
            self.warn(NoEffectWarning, reason)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        super().on_epoch_end(epoch, logs)
        if not self._data.served:
            self.warn(
                NoEffectWarning,
                "`fit` trains on other data: no batch of the plan was read. "
                "Train on `curriculum.dataset(batch_size)`.",
            )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras, but not when `fit` raises."""
        super().on_train_end(logs)
        self._data.begin(None)

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Called by `CheckpointState` whenever the weights are saved."""
        facts, _ = super().save_state()
        # Where BackupAndRestore saves in the middle, Keras starts the epoch
        # again on weights that have seen a part of it.
        whole = order.find_ending_epoch() is not None or self._data.plan is None
        facts = {**facts, **self._course.facts(), "whole": whole}
        return facts, self._course.arrays()

    def progress_logs(self) -> dict[str, float]:
        """Returns what the plan of the running epoch is, in numbers."""
        return self._course.logs

    @property
    def scores(self) -> np.ndarray:
        """Difficulty of each sample as it is known now, larger is harder.

        Before `fit` those that need no model being trained are made here.
        """
        return self._course.known_scores()

    def suspects(self, count: int = 20) -> np.ndarray:
        """Returns the hardest samples: often those with a wrong label.

        Args:
            count: How many, at least 1. Defaults to `20`.

        Returns:
            Their ids, hardest first.
        """
        check_integer(count, "count", minimum=1)
        return np.argsort(-self.scores, kind="stable")[:count]

    def shown(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns how often each epoch has drawn each sample.

        Returns:
            Numbers of the epochs, of shape `(epochs,)`, and counts up to 255,
            uint8 of shape `(epochs, samples)`.
        """
        return self._course.shown_counts()

    def report(self) -> CurriculumReport:
        """Returns what was shown so far; a ValueError before any `fit`."""
        plan = self._course.plan
        if plan is None:
            raise ValueError(
                "Pass the callback to `fit` before asking for its report. "
                f"Received: {self!r}"
            )
        drawn = self.shown()[1].sum(axis=0, dtype="int64")
        labels = self._made_of.labels
        return describe(plan.active(-1), drawn, self._course.scores, labels)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Curriculum":
        """A copy plans for the same data: a tuner gives `fit` the original."""
        copied = type(self).__new__(type(self))
        vars(copied).update(vars(self))
        ResumableCallback.__init__(copied)
        copied.reset()
        return copied

    @classmethod
    def from_config(cls, config: dict[str, Any], **data: Any) -> Any:
        """Builds the callback again, from a config and the data beside it.

        Args:
            config: What `get_config` returned.
            **data: `x`, `y` and whatever else a config cannot hold.
        """
        kept = config.get("difficulty")
        if "difficulty" not in data and isinstance(kept, str):
            data["difficulty"] = kept
        for name in ("x", "difficulty"):
            if name not in data:
                raise ValueError(
                    f"Argument `{name}` must be passed beside the config, "
                    "which holds no data: `Curriculum.from_config(config, "
                    f"{name}=...)`. Received: {name}={config.get(name)!r}"
                )
        return super().from_config(config, **data)

    def _settings(self) -> dict[str, Any]:
        found = super()._settings()  # `verbose` may differ between runs.
        return {k: v for k, v in found.items() if "verbose" not in k}

    def _bar(self) -> int:
        if self.verbose != "auto":
            return int(self.verbose)
        once = not self._made_of.difficulty.follows_training
        return int(once and bool(self.params.get("verbose", 0)))


def _check_verbose(verbose: Any) -> None:
    if verbose not in ("auto", 0, 1) or isinstance(verbose, bool):
        raise ValueError(
            'Argument `verbose` must be 0, 1 or "auto". '
            f"Received: verbose={verbose!r}"
        )
