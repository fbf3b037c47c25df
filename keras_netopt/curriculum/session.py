"""The curriculum of one fit: scores, their refreshes, and a plan an epoch."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_netopt.curriculum.class_coverage import coverage
from keras_netopt.curriculum.data import CurriculumData
from keras_netopt.curriculum.difficulty import Scoring, checksum
from keras_netopt.curriculum.ordering import Shuffle
from keras_netopt.curriculum.pacing import fractions
from keras_netopt.curriculum.plan import EpochPlan, make_plan
from keras_netopt.curriculum.settings import CurriculumSettings
from keras_netopt.points import RunLength, resolve_point

SCORES, SHOWN = "scores", "shown"
MOST = 255  # Counts are kept in one byte.


@dataclass
class CurriculumSession:
    """Keeps scores up to date and plans epochs; knows nothing of Keras' loop.

    Args:
        settings: What the curriculum is made of.
        data: The data and the plan in force.
        run: Length of the fit.
    """

    settings: CurriculumSettings
    data: CurriculumData
    run: RunLength
    scores: np.ndarray | None = None
    state: dict[str, np.ndarray] = field(default_factory=dict)
    scored_at: int | None = None
    plan: EpochPlan | None = None
    logs: dict[str, float] = field(default_factory=dict)
    shown: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scores = self.data.scores

    def begin_epoch(self, epoch: int, model: Any, verbose: int) -> None:
        """Scores if that is due, and puts the plan of an epoch in force.

        Args:
            epoch: Number of the epoch, from 0.
            model: The model being trained.
            verbose: 1 shows a progress bar while scoring.
        """
        start, due = time.perf_counter(), self._due(epoch)
        if due:
            self.score(model, verbose)
            self.scored_at = epoch if self._follows else None
        seconds = time.perf_counter() - start if due else 0.0
        self.plan = plan = self._make_plan(epoch)
        self.data.begin(plan)
        self.logs = self._numbers(plan, seconds)
        self.shown[epoch] = np.minimum(plan.counts(), MOST).astype("uint8")

    def known_scores(self) -> np.ndarray:
        """Returns the scores, made now where no training model is needed."""
        if self.scores is None:
            self.score(None)
        return self.scores  # type: ignore[return-value]

    def shown_counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the epochs, and how often each has drawn each sample."""
        epochs = sorted(self.shown)
        counts: np.ndarray = np.zeros(
            (len(epochs), self.data.source.samples), "uint8"
        )
        for row, epoch in enumerate(epochs):
            counts[row] = self.shown[epoch]
        return np.array(epochs, "int64"), counts

    def score(self, model: Any, verbose: int = 0) -> None:
        """Scores all samples now.

        Args:
            model: The model being trained, or `None`.
            verbose: 1 shows a progress bar.
        """
        scoring = Scoring(self.data.source, model, self.state, verbose)
        self.scores = self.settings.difficulty.score(scoring)
        if not self.settings.difficulty.needs_model:
            self.data.scores = self.scores

    def facts(self) -> dict[str, Any]:
        """Returns what a resumed fit compares and takes up, JSON-safe."""
        static = self.scores is not None and not self._follows
        return {
            "samples": self.data.source.samples,
            "numpy": np.__version__,
            "scored_at": self.scored_at,
            "epochs": sorted(self.shown),
            "checksum": checksum(self.scores)
            if static and self.scores is not None
            else None,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the tables that cannot be made again."""
        kept = {f"state.{k}": v for k, v in self.state.items()}
        if self.scores is not None and self._is_kept:
            kept[SCORES] = self.scores
        if self.shown:
            kept[SHOWN] = self.shown_counts()[1]
        return kept

    def take_up(
        self, facts: dict[str, Any], arrays: dict[str, np.ndarray], epoch: int
    ) -> list[str]:
        """Goes on from what a file holds.

        Args:
            facts: What `facts` returned, and whether the epoch was `whole`.
            arrays: What `arrays` returned.
            epoch: The epoch that begins.

        Returns:
            Why the run will not equal one that was never interrupted.

        Raises:
            ValueError: If it belongs to other data.
        """
        samples = self.data.source.samples
        if facts["samples"] != samples:
            raise ValueError(
                "Argument `x` must hold the data of the saved state, which "
                f"has {facts['samples']} samples: use the same ones, or "
                f"remove the checkpoint. Received: {samples} samples"
            )
        self.scored_at = facts["scored_at"]
        rows = zip(facts["epochs"], arrays.get(SHOWN, ()), strict=True)
        self.shown = {e: np.array(row) for e, row in rows if e < epoch}
        self.state = {
            key.removeprefix("state."): value
            for key, value in arrays.items()
            if key.startswith("state.")
        }
        if SCORES in arrays:
            self.scores = np.array(arrays[SCORES], "float64")
        elif facts["checksum"] is not None:
            self._compare(facts["checksum"])
        return list(_doubts(facts, epoch))

    @property
    def _follows(self) -> bool:
        return self.settings.difficulty.follows_training

    @property
    def _is_kept(self) -> bool:
        return self._follows or self.settings.difficulty.costly

    def _compare(self, saved: int) -> None:
        self.score(None)
        own = checksum(self.scores) if self.scores is not None else None
        if own != saved:
            raise ValueError(
                "Argument `difficulty` must give the scores of the saved "
                f"state, whose checksum is {saved}: use the same data and "
                f"difficulty, or remove the checkpoint. Received: {own}"
            )

    def _due(self, epoch: int) -> bool:
        if self.settings.blind and self._is_kept:
            return False
        if not self._follows:
            return self.scores is None
        first = self.epochs_of("warmup")
        if epoch < first:
            return False
        every = max(1, self.epochs_of("refresh"))
        # An epoch that is repeated after a crash is scored once.
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
        if data.length is not None:
            lengths = data.length.lengths(self.run, epoch, steps)
        scores = self.scores
        known = scores is not None
        if scores is None:
            scores = np.zeros(data.source.samples)
        return make_plan(
            scores,
            fractions(settings.pacing, self.run, epoch, steps),
            batch_size=int(data.batch_size or 1),
            ordering=settings.ordering
            if known or settings.blind
            else Shuffle(),
            labels=settings.labels,
            seed=settings.seed,
            epoch=epoch,
            min_share=settings.min_share,
            min_per_class=settings.min_per_class,
            by=settings.by,
            lengths=lengths,
            buffer=data.source.buffer,
        )

    def _numbers(self, plan: EpochPlan, seconds: float) -> dict[str, float]:
        """What an epoch's plan is, for the logs."""
        samples = self.data.source.samples
        last = plan.active(-1)
        found = {
            "curriculum_fraction": len(last) / samples,
            "curriculum_weight_zero": float((plan.counts() == 0).mean()),
            "curriculum_refresh_seconds": seconds,
        }
        if self.scores is not None:
            found["curriculum_threshold"] = float(self.scores[last].max())
            served = self.scores[plan.ids]
            found["curriculum_difficulty"] = float(served.mean())
        share = coverage(plan.active(0), self.settings.labels)
        if share is not None:
            found["curriculum_coverage"] = share
        return found


def _doubts(facts: dict[str, Any], epoch: int) -> Iterator[str]:
    if facts["numpy"] != np.__version__:
        yield (
            f"the run was begun with NumPy {facts['numpy']} and goes on with "
            f"{np.__version__}: the order of the samples may differ from an "
            "uninterrupted run. Use the same version."
        )
    if not facts["whole"]:
        yield (
            f"the run was saved in the middle of epoch {epoch}, which starts "
            "again at its first batch on weights that have seen a part of "
            'it. Use `BackupAndRestore(save_freq="epoch")`.'
        )
