"""The result of `measure_transfer`: curves, scores, controls and a verdict."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_netopt import tables
from keras_netopt.paired_difference import (
    PairedDifference,
    format_spread,
    paired_difference,
)
from keras_netopt.progressive.transfer_score import (
    TransferScore,
    transfer_score,
)
from keras_netopt.report import Report

PROGRESSIVE, SCRATCH = "progressive", "scratch"
RANDOM, WIDE = "random_column", "equal_width"
HEAD, TUNED = "head_only", "fine_tuning"
CONTROLS = {RANDOM: "random column", WIDE: "equal width"}
ARMS = (SCRATCH, PROGRESSIVE, RANDOM, WIDE, HEAD, TUNED)
# Metrics that cannot exceed 1, by the last word of their name.
BOUNDED = ("acc", "accuracy", "auc", "precision", "recall", "iou")
LOW_CEILING = 1.3


@dataclass(frozen=True, eq=False)
class TransferReport(Report):
    """The result of `measure_transfer`: a printable table, and curves.

    Example:

    >>> import numpy as np
    >>> report = TransferReport(
    ...     curves={
    ...         "scratch": np.array([[0.4, 0.6], [0.5, 0.5]]),
    ...         "progressive": np.array([[0.5, 0.7], [0.6, 0.6]]),
    ...     },
    ...     monitor="val_accuracy",
    ... )
    >>> print(report.scores()["progressive"])
    transfer score 1.2000 ± 0.0000 (median 1.2000, 2 seeds)
    >>> print(report.verdict)
    Open: random column and equal width were not trained, so a score above 1 is
    no proof of transfer.
    No score can exceed 2.000 here, because the val_accuracy of scratch averages
    0.500.

    Args:
        curves: Monitored quantity by arm, arrays of shape `(seeds, epochs)`;
            "scratch" is the baseline.
        monitor: Name of the monitored quantity.
        mode: "max" if larger values are better, or "min". Defaults to
            `"max"`.
        floor: Value of no performance, see `transfer_score`. Defaults to
            `0.0`.
        seeds: The seeds, one per row of a curve. Defaults to `()`.
        parameters: Parameters of the model of each arm, frozen ones included.
            Defaults to none.
        trainable: Trainable parameters of the model of each arm. Defaults to
            none.
        missing: Why an arm was not trained, by arm. Defaults to none.
    """

    curves: Mapping[str, np.ndarray]
    monitor: str
    mode: str = "max"
    floor: float = 0.0
    seeds: tuple[int, ...] = ()
    parameters: Mapping[str, int] = field(default_factory=dict)
    trainable: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    def scores(self) -> dict[str, TransferScore]:
        """Returns the transfer score of each arm against "scratch".

        An arm whose area is not positive, because a run diverged, has none.
        """
        found = {}
        for name, curve in self.curves.items():
            try:
                found[name] = transfer_score(
                    curve,
                    self.curves[SCRATCH],
                    monitor=self.monitor,
                    mode=self.mode,
                    floor=self.floor,
                )
            except (KeyError, ValueError):
                continue
        return found

    @property
    def ceiling(self) -> float | None:
        """Largest possible score of a metric that cannot exceed 1.

        The score of a curve that is 1 from the first epoch, which is the
        inverse of the mean of the scratch curves; `None` for other metrics.
        """
        base = self.curves.get(SCRATCH)
        if base is None:
            return None
        return find_ceiling(base, self.monitor, self.mode, self.floor)

    def gains(self) -> dict[str, PairedDifference]:
        """Returns the score of "progressive" minus that of other arms.

        The differences are paired by seed; those of "scratch" and of the two
        controls are given, as far as they were trained.
        """
        scores = self.scores()
        if PROGRESSIVE not in scores:
            return {}
        mine = scores[PROGRESSIVE].ratios
        return {
            name: paired_difference(name, mine, scores[name].ratios)
            for name in (SCRATCH, *CONTROLS)
            if name in scores
        }

    @property
    def verdict(self) -> str:
        """What the controls say about the score, and the ceiling, in words."""
        lines = [self._judge()]
        if self.ceiling is not None:
            text = (
                f"No score can exceed {self.ceiling:.3f} here, because the "
                f"{self.monitor} of scratch averages "
                f"{np.mean(self.curves[SCRATCH]):.3f}."
            )
            if self.ceiling < LOW_CEILING:
                text += (
                    " Fewer labels or a harder task would leave more room to "
                    "show transfer."
                )
            lines.append(text)
        return "\n".join(lines)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Plots curves and scores, see `plots.transfer_curves`."""
        from keras_netopt import plots

        return plots.transfer_curves(self, path=path)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, scores, ceiling and verdict, JSON-safe."""
        return super().to_dict() | {
            "scores": {k: v.to_dict() for k, v in self.scores().items()},
            "ceiling": self.ceiling,
            "verdict": self.verdict,
        }

    def __str__(self) -> str:
        headers = [
            "arm",
            "parameters",
            "trainable",
            f"mean {self.monitor}",
            "last epoch",
            "transfer score",
        ]
        names = [*self.curves, *(n for n in ARMS if n in self.missing)]
        # Controls have a row, also where they were not trained.
        names += [name for name in CONTROLS if name not in names]
        count, epochs = np.shape(next(iter(self.curves.values())))
        title = (
            f"Transfer to a new task ({len(self.curves)} arms; paired seeds: "
            f"{count}; epochs: {epochs})"
        )
        rows = [self._row(name) for name in names]
        table = tables.render(headers, rows, title=title, align="lrrrrr")
        notes = self.verdict.splitlines() + [
            f"{name} was not trained: {reason}"
            for name, reason in self.missing.items()
        ]
        return "\n".join([table, *map(_wrap, notes)])

    def _row(self, name: str) -> list[Any]:
        label = f"{name} (control)" if name in CONTROLS else name
        if name not in self.curves:
            return [label, None, None, None, None, "not trained"]
        curve, score = self.curves[name], self.scores().get(name)
        if name == SCRATCH:
            text = "1 (baseline)"
        else:
            text = format_spread(score.ratios) if score else "no area"
        return [
            label,
            self.parameters.get(name),
            self.trainable.get(name),
            format_spread(curve.mean(axis=1)),
            format_spread(curve[:, -1]),
            text,
        ]

    def _judge(self) -> str:
        scores, gains = self.scores(), self.gains()
        if SCRATCH not in scores:
            return (
                "Open: the curves of scratch have no positive area, so there "
                "is no ratio. Set `floor` below the values, or lower the "
                "learning rate if a run diverged."
            )
        if PROGRESSIVE not in scores:
            return "Open: the progressive column has no score."
        mine = scores[PROGRESSIVE]
        for name, gain in gains.items():
            if not _is_above(gain):
                return _explain(name, gain, mine, scores[name])
        absent = [words for key, words in CONTROLS.items() if key not in gains]
        if absent:
            verb = "were" if len(absent) > 1 else "was"
            return (
                f"Open: {' and '.join(absent)} {verb} not trained, so a score "
                "above 1 is no proof of transfer."
            )
        parts = " and ".join(
            f"{gains[name]} above the {words} control"
            for name, words in CONTROLS.items()
        )
        if gains[RANDOM].low is None:
            return (
                f"Open: the score of {mine.mean:.3f} is {parts}, but one seed "
                "gives no interval. Train several seeds."
            )
        return f"Transfer: the score of {mine.mean:.3f} is {parts}."


def find_ceiling(
    curves: np.ndarray, monitor: str, mode: str, floor: float = 0.0
) -> float | None:
    """Returns the score of a perfect curve against some baseline curves.

    `None` for a metric that may exceed 1.

    Example:

    >>> find_ceiling(np.array([[0.4, 0.6]]), "val_accuracy", "max")
    2.0
    """
    if mode != "max" or monitor.split("_")[-1] not in BOUNDED:
        return None
    mean = float(np.mean(curves)) - floor
    if not 0 < mean <= 1 - floor or np.max(curves) > 1:
        return None
    return (1 - floor) / mean


def _explain(
    name: str, gain: PairedDifference, mine: TransferScore, other: TransferScore
) -> str:
    """Says why there is no transfer, if an arm scores as much."""
    words = {SCRATCH: "scratch", **CONTROLS}[name]
    if gain.mean > 0:
        return (
            f"Open: the score of {mine.mean:.3f} is {gain} above {words}, and "
            "the 95 % interval holds 0. More seeds may decide it."
        )
    if name == SCRATCH:
        return (
            f"No gain: the score of {mine.mean:.3f} is not above scratch "
            f"({gain}){_doubt(gain)}."
        )
    cause = {
        RANDOM: "a frozen column that never learned anything helps as much, so "
        "the earlier task does not explain the gain",
        WIDE: "a column from scratch with as many parameters gains as much, so "
        "the size explains the gain",
    }[name]
    return (
        f"No transfer shown: the {words} control scores {other.mean:.3f} "
        f"against {mine.mean:.3f} (difference {gain}): {cause}{_doubt(gain)}."
    )


def _is_above(gain: PairedDifference) -> bool:
    """Whether a difference is positive, beyond its interval if there is one."""
    return (gain.mean if gain.low is None else gain.low) > 0


def _doubt(gain: PairedDifference) -> str:
    return "; one seed, no interval" if gain.low is None else ""


def _wrap(text: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, 79))
