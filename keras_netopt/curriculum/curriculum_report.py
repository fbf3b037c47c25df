"""The report of a curriculum: active samples and sample counts."""

from dataclasses import dataclass

import numpy as np

from keras_netopt.report import Report
from keras_netopt.tables import render

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class ClassShare:
    """Shares of one class in the data, the active set and the batches.

    Args:
        label: Number of the class, from 0 in the order of the labels.
        samples: Number of samples of the class.
        share: Its share of all samples.
        active: Its share of the active samples.
        trained: Its share of the samples in the batches so far.
    """

    label: int
    samples: int
    share: float
    active: float
    trained: float


@dataclass(frozen=True)
class CurriculumReport(Report):
    """Active samples and how often each sample was trained on.

    Example:

    >>> import numpy as np
    >>> report = make_curriculum_report(
    ...     np.array([0, 1]),
    ...     np.array([2, 2, 0, 0]),
    ...     np.array([0.1, 0.2, 0.3, 0.4]),
    ...     np.array([0, 1, 0, 1]),
    ... )
    >>> report.active, report.unused, [row.trained for row in report.classes]
    (2, 2, [0.5, 0.5])
    >>> report.score_quantiles[1.0]
    0.2

    Args:
        samples: Number of samples in the data.
        active: Number of active samples at the last planned step.
        unused: Number of samples that were in no batch so far.
        sample_counts: Number of batches that each sample was in, int64 of
            shape `(samples,)`.
        score_quantiles: Difficulty scores of the active samples, by quantile;
            empty before the first scoring.
        classes: One row per class; empty for data without classes.
        dropped: Number of samples that fill no whole batch: so many are left
            out in each epoch, others each time.
    """

    samples: int
    active: int
    unused: int
    sample_counts: np.ndarray
    score_quantiles: dict[float, float]
    classes: tuple[ClassShare, ...]
    dropped: int = 0

    def __str__(self) -> str:
        used = self.sample_counts[self.sample_counts > 0]
        parts = [
            f"{self.active:,} of {self.samples:,} samples active, "
            f"{self.unused:,} in no batch, the others in "
            f"{used.min(initial=0)} to {self.sample_counts.max()} batches"
        ]
        if self.dropped:
            parts.append(
                f"{self.dropped:,} samples fill no whole batch and are left "
                "out in each epoch, others each time; "
                "`dataset(drop_remainder=False)` keeps them"
            )
        if self.score_quantiles:
            scores = [
                f"{q:.0%}: {s:.4g}" for q, s in self.score_quantiles.items()
            ]
            parts.append(f"scores of active samples: {', '.join(scores)}")
        if self.classes:
            headers = ["class", "samples", "share", "active", "trained"]
            rows = [
                [r.label, r.samples, r.share, r.active, r.trained]
                for r in self.classes
            ]
            parts.append(render(headers, rows))
        return "\n".join(parts)


def make_curriculum_report(
    active: np.ndarray,
    sample_counts: np.ndarray,
    scores: np.ndarray | None,
    labels: np.ndarray | None,
    dropped: int = 0,
) -> CurriculumReport:
    """Creates the report from ids, counts, scores and labels of the samples.

    `active` holds the ids of the active samples, `sample_counts` the number of
    batches that each sample was in. `dropped` samples fill no whole batch.
    """
    quantiles = {}
    if scores is not None:
        found = np.quantile(scores[active], QUANTILES)
        quantiles = dict(zip(QUANTILES, map(float, found), strict=True))
    classes: tuple[ClassShare, ...] = ()
    if labels is not None:
        classes = tuple(_class_shares(active, sample_counts, labels))
    return CurriculumReport(
        samples=len(sample_counts),
        active=len(active),
        unused=int((sample_counts == 0).sum()),
        sample_counts=sample_counts,
        score_quantiles=quantiles,
        classes=classes,
        dropped=dropped,
    )


def _class_shares(
    active: np.ndarray, sample_counts: np.ndarray, labels: np.ndarray
) -> list[ClassShare]:
    samples = np.bincount(labels)
    in_active = np.bincount(labels[active], minlength=len(samples))
    trained = np.bincount(labels, weights=sample_counts, minlength=len(samples))
    return [
        ClassShare(
            label=number,
            samples=int(samples[number]),
            share=float(samples[number] / len(labels)),
            active=float(in_active[number] / len(active)),
            trained=float(trained[number] / max(1, sample_counts.sum())),
        )
        for number in range(len(samples))
    ]
