"""What a curriculum has shown so far."""

from dataclasses import dataclass

import numpy as np

from keras_netopt.tables import render

QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class ClassRow:
    """How one class fared.

    Args:
        label: Number of the class, from 0 in the order of the labels.
        samples: Samples of the class in all data.
        share: Its share of all data.
        active: Its share of the samples in play.
        drawn: Its share of the samples drawn so far.
    """

    label: int
    samples: int
    share: float
    active: float
    drawn: float


@dataclass(frozen=True)
class CurriculumReport:
    """What was shown. `print` it, or read its fields.

    Example:

    >>> import numpy as np
    >>> report = describe(
    ...     np.array([0, 1]),
    ...     np.array([2, 2, 0, 0]),
    ...     np.array([0.1, 0.2, 0.3, 0.4]),
    ...     np.array([0, 1, 0, 1]),
    ... )
    >>> report.active, report.never, [row.drawn for row in report.classes]
    (2, 2, [0.5, 0.5])
    >>> report.quantiles[1.0]
    0.2

    Args:
        samples: Samples in all data.
        active: Samples in play now.
        never: Samples that were never drawn so far.
        drawn: How often each sample was drawn, int64 of shape `(samples,)`.
        quantiles: Scores of the samples in play, by quantile; empty before
            the first scoring.
        classes: One row for each class; empty for data without classes.
    """

    samples: int
    active: int
    never: int
    drawn: np.ndarray
    quantiles: dict[float, float]
    classes: tuple[ClassRow, ...]

    def __str__(self) -> str:
        title = (
            f"{self.active:,} of {self.samples:,} samples in play, "
            f"{self.never:,} never drawn, the others "
            f"{self.drawn[self.drawn > 0].min(initial=0)} to "
            f"{self.drawn.max()} times"
        )
        parts = [title]
        if self.quantiles:
            scores = [f"{q:.0%}: {s:.4g}" for q, s in self.quantiles.items()]
            parts.append(f"scores in play: {', '.join(scores)}")
        if self.classes:
            headers = ["class", "samples", "share", "in play", "drawn"]
            rows = [
                [r.label, r.samples, r.share, r.active, r.drawn]
                for r in self.classes
            ]
            parts.append(render(headers, rows))
        return "\n".join(parts)


def describe(
    active: np.ndarray,
    drawn: np.ndarray,
    scores: np.ndarray | None,
    labels: np.ndarray | None,
) -> CurriculumReport:
    """Makes the report.

    Args:
        active: Ids of the samples in play.
        drawn: How often each sample was drawn.
        scores: Difficulty of each sample, or `None`.
        labels: Class number of each sample, or `None`.

    Returns:
        The report.
    """
    quantiles = {}
    if scores is not None:
        found = np.quantile(scores[active], QUANTILES)
        quantiles = dict(zip(QUANTILES, map(float, found), strict=True))
    return CurriculumReport(
        samples=len(drawn),
        active=len(active),
        never=int((drawn == 0).sum()),
        drawn=drawn,
        quantiles=quantiles,
        classes=()
        if labels is None
        else tuple(_class_rows(active, drawn, labels)),
    )


def _class_rows(
    active: np.ndarray, drawn: np.ndarray, labels: np.ndarray
) -> list[ClassRow]:
    samples = np.bincount(labels)
    in_play = np.bincount(labels[active], minlength=len(samples))
    times = np.bincount(labels, weights=drawn, minlength=len(samples))
    return [
        ClassRow(
            label=number,
            samples=int(samples[number]),
            share=float(samples[number] / len(labels)),
            active=float(in_play[number] / len(active)),
            drawn=float(times[number] / max(1, drawn.sum())),
        )
        for number in range(len(samples))
    ]
