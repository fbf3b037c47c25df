"""The curriculum of one `fit`: scores, their refreshes, one plan per epoch."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_netopt.curriculum.class_coverage import class_coverage
from keras_netopt.curriculum.curriculum_data import CurriculumData
from keras_netopt.curriculum.curriculum_report import (
    CurriculumReport,
    make_curriculum_report,
)
from keras_netopt.curriculum.curriculum_settings import CurriculumSettings
from keras_netopt.curriculum.difficulty import (
    ScoringContext,
    score_checksum,
    select_by_prefix,
)
from keras_netopt.curriculum.epoch_plan import EpochPlan, make_plan
from keras_netopt.curriculum.ordering import Shuffle
from keras_netopt.curriculum.pacing import active_fractions
from keras_netopt.points import RunLength, resolve_point

SCORES, COUNTS = "scores", "sample_counts"
MAX_COUNT = 255  # Counts are stored as uint8.


@dataclass
class CurriculumSession:
    """Updates scores and plans epochs; independent of Keras' training loop."""

    settings: CurriculumSettings
    data: CurriculumData
    run: RunLength
    scores: np.ndarray | None = None
    score_state: dict[str, np.ndarray] = field(default_factory=dict)
    scored_at: int | None = None
    plan: EpochPlan | None = None
    logs: dict[str, float] = field(default_factory=dict)
    counts: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scores = self.data.static_scores

    def begin_epoch(self, epoch: int, model: Any, verbose: int) -> None:
        """Scores the samples if that is due, and sets the plan of an epoch."""
        start, due = time.perf_counter(), self._is_scoring_due(epoch)
        if due:
            self.score(model, verbose)
            self.scored_at = epoch if self._is_dynamic else None
        seconds = time.perf_counter() - start if due else 0.0
        self.plan = plan = self._make_plan(epoch)
        self.data.set_plan(plan)
        self.logs = self._plan_logs(plan, seconds)
        counts = np.minimum(plan.sample_counts(), MAX_COUNT)
        self.counts[epoch] = counts.astype("uint8")

    def compute_scores(self) -> np.ndarray:
        """Returns the scores; computes them if no training model is needed."""
        if self.scores is None:
            self.score(None)
        return self.scores  # type: ignore[return-value]

    def counts_by_epoch(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns epoch numbers, and the sample counts of each epoch."""
        epochs = sorted(self.counts)
        counts: np.ndarray = np.zeros(
            (len(epochs), self.data.source.samples), "uint8"
        )
        for row, epoch in enumerate(epochs):
            counts[row] = self.counts[epoch]
        return np.array(epochs, "int64"), counts

    def make_report(self) -> CurriculumReport:
        """Returns the report of the epochs planned so far."""
        return make_curriculum_report(
            self.plan.active_ids(-1),  # type: ignore[union-attr]
            self.counts_by_epoch()[1].sum(axis=0, dtype="int64"),
            self.scores,
            self.settings.labels,
            self.data.dropped,
        )

    def score(self, model: Any, verbose: int = 0) -> None:
        """Scores all samples now, with the model being trained or `None`."""
        context = ScoringContext(
            self.data.source, model, self.score_state, verbose
        )
        self.scores = self.settings.difficulty.score(context)
        if not self.settings.difficulty.needs_model:
            self.data.static_scores = self.scores

    def get_state(self) -> dict[str, Any]:
        """Returns the JSON-safe part of the checkpoint state."""
        static = self.scores is not None and not self._is_dynamic
        return {
            "samples": self.data.source.samples,
            "numpy": np.__version__,
            "scored_at": self.scored_at,
            "epochs": sorted(self.counts),
            "checksum": score_checksum(self.scores)
            if static and self.scores is not None
            else None,
        }

    def get_arrays(self) -> dict[str, np.ndarray]:
        """Returns the arrays of the checkpoint state."""
        kept = {f"state.{k}": v for k, v in self.score_state.items()}
        if self.scores is not None and self._saves_scores:
            kept[SCORES] = self.scores
        if self.counts:
            kept[COUNTS] = self.counts_by_epoch()[1]
        return kept

    def restore(
        self, state: dict[str, Any], arrays: dict[str, np.ndarray], epoch: int
    ) -> list[str]:
        """Restores a checkpoint state when an epoch begins.

        `state` is the result of `get_state` plus whether the epoch was `whole`,
        `arrays` that of `get_arrays`.

        Returns:
            Reasons why the run will differ from an uninterrupted one.

        Raises:
            ValueError: If the state belongs to other data.
        """
        samples = self.data.source.samples
        if state["samples"] != samples:
            raise ValueError(
                "Argument `x` must hold the data of the saved state, which "
                f"has {state['samples']} samples: use the same data, or "
                f"remove the checkpoint. Received: {samples} samples"
            )
        self.scored_at = state["scored_at"]
        rows = zip(state["epochs"], arrays.get(COUNTS, ()), strict=True)
        self.counts = {e: np.array(row) for e, row in rows if e < epoch}
        self.score_state = select_by_prefix(arrays, "state.")
        if SCORES in arrays:
            self.scores = np.array(arrays[SCORES], "float64")
        elif state["checksum"] is not None:
            self._check_scores_unchanged(state["checksum"])
        return list(_resume_differences(state, epoch))

    @property
    def _is_dynamic(self) -> bool:
        return self.settings.difficulty.dynamic

    @property
    def _saves_scores(self) -> bool:
        return self._is_dynamic or self.settings.difficulty.expensive

    def _check_scores_unchanged(self, saved: int) -> None:
        own = score_checksum(self.compute_scores())
        if own != saved:
            raise ValueError(
                "Argument `difficulty` must give the scores of the saved "
                f"state, whose checksum is {saved}: use the same data and "
                f"difficulty, or remove the checkpoint. Received: {own}"
            )

    def _is_scoring_due(self, epoch: int) -> bool:
        if self.settings.ignores_scores and self._saves_scores:
            return False
        if not self._is_dynamic:
            return self.scores is None
        first = self.epochs_of("scoring_begin")
        if epoch < first:
            return False
        every = max(1, self.epochs_of("scoring_interval"))
        # A resumed fit does not score an epoch a second time.
        again = (epoch - first) % every == 0 and self.scored_at != epoch
        return self.scores is None or again

    def epochs_of(self, name: str) -> int:
        """Returns a point of the settings in whole epochs, rounded up."""
        steps = resolve_point(getattr(self.settings, name), self.run, name)
        return -(-steps // int(self.data.steps or 1))

    def _make_plan(self, epoch: int) -> EpochPlan:
        settings, data = self.settings, self.data
        steps = int(data.steps or 1)
        lengths = None
        if data.sequence_length is not None:
            lengths = data.sequence_length.lengths(self.run, epoch, steps)
        scores = self.scores
        is_ordered = scores is not None or settings.ignores_scores
        if scores is None:
            scores = np.zeros(data.source.samples)
        return make_plan(
            scores,
            active_fractions(settings.pacing, self.run, epoch, steps),
            batch_size=int(data.batch_size or 1),
            last_batch_size=data.last_batch_size,
            ordering=settings.ordering if is_ordered else Shuffle(),
            labels=settings.labels,
            seed=settings.seed,
            epoch=epoch,
            min_class_share=settings.min_class_share,
            min_class_samples=settings.min_class_samples,
            difficulty_type=settings.difficulty_type,
            sequence_lengths=lengths,
            buffer_size=data.source.buffer_size,
        )

    def _plan_logs(self, plan: EpochPlan, seconds: float) -> dict[str, float]:
        samples = self.data.source.samples
        last = plan.active_ids(-1)
        found = {
            "curriculum_fraction": len(last) / samples,
            "curriculum_unused_fraction": float(
                (plan.sample_counts() == 0).mean()
            ),
            "curriculum_scoring_seconds": seconds,
        }
        if self.scores is not None:
            found["curriculum_max_difficulty"] = float(self.scores[last].max())
            found["curriculum_mean_difficulty"] = float(
                self.scores[plan.planned_ids()].mean()
            )
        share = class_coverage(plan.active_ids(0), self.settings.labels)
        if share is not None:
            found["curriculum_class_coverage"] = share
        return found


def _resume_differences(state: dict[str, Any], epoch: int) -> Iterator[str]:
    if state["numpy"] != np.__version__:
        yield (
            f"the run began with NumPy {state['numpy']} and resumes with "
            f"{np.__version__}: the order of the samples may differ from an "
            "uninterrupted run. Use the same version."
        )
    if not state["whole"]:
        yield (
            f"the checkpoint was saved in the middle of epoch {epoch}. The "
            "epoch starts again at its first batch, so some batches are "
            'trained on twice. Use `BackupAndRestore(save_freq="epoch")`.'
        )
