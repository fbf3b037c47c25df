"""The outcome of `compress`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras

from keras_netopt.compression.candidate import Candidate, describe_limit
from keras_netopt.compression.target import Target
from keras_netopt.report import Report
from keras_netopt.tables import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class CompressionResult(Report):
    """The file that a run has delivered, and all others that it measured.

    Printing it shows a table of the files.

    Example:

    >>> import keras_netopt as netopt
    >>> from keras_netopt.compression import Candidate, CompressionResult
    >>> dense = Candidate("original", "float32", 344.0, 320.0, 1.0, 9e6, 0.9, 0)
    >>> small = Candidate("int8", "int8", 58.2, 50.1, 0.31, 9e5, 0.88, 0.004)
    >>> target = netopt.Target(kilobytes=60)
    >>> result = CompressionResult(
    ...     "m.tflite", None, target, 0.01, dense, (small,), 0, "accuracy")
    >>> result.met, result.file.kilobytes
    (True, 58.2)

    Args:
        path: The file.
        model: The Keras model that the file was written from.
        target: The limits.
        max_drop: By how much the metric may be worse.
        original: Figures of the original model's float32 file.
        candidates: Figures of the files in the order of the stages.
        best: Number of the candidate that was delivered.
        metric: The metric that judges files.
        history: One list per log of the trainings, with "stage" and "epoch".
            Defaults to none.
        failures: Stages that ended without a file, each with the reason.
            Defaults to none.
        seconds: Seconds of "training", "planning", "files" and in "total".
            Defaults to none.
        planned_files: Files that were measured for the plan. Defaults to
            `0`.
        is_lower_better: Whether lower values of the metric are better.
            Defaults to `False`.
    """

    path: str
    model: keras.Model
    target: Target
    max_drop: float
    original: Candidate
    candidates: tuple[Candidate, ...]
    best: int
    metric: str
    history: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    planned_files: int = 0
    is_lower_better: bool = False

    @property
    def file(self) -> Candidate:
        """Figures of the file that was delivered."""
        return self.candidates[self.best]

    @property
    def met(self) -> bool:
        """Whether the file meets all limits and `max_drop`."""
        return self.file.meets

    @property
    def in_the_way(self) -> list[str]:
        """What the file misses, in words; empty if it meets the target."""
        return [self._describe(name) for name in self.file.misses]

    @property
    def overhead(self) -> float:
        """Share of the time that was spent on other things than training."""
        total = self.seconds.get("total", 0.0)
        return 1 - self.seconds.get("training", 0.0) / total if total else 0.0

    @property
    def front(self) -> list[Candidate]:
        """The files that no other file beats in all figures."""
        return [
            one
            for one in self.candidates
            if not any(other.dominates(one) for other in self.candidates)
        ]

    def plot(self, path: Any = None, *, title: str | None = None) -> "Figure":
        """Plots the drop of the metric against the size of all files.

        Args:
            path: Image file to write. Defaults to `None`: no file.
            title: Title of the figure. Defaults to `None`.

        Raises:
            ImportError: If matplotlib is not installed.
        """
        from keras_netopt import plots

        points = [
            plots.FilePoint(
                one.name,
                one.kilobytes,
                one.score,
                one.latency_ratio,
                is_best=one is self.file,
                is_front=one in self.front,
            )
            for one in (self.original, *self.candidates)
        ]
        allowed = self.max_drop if self.is_lower_better else -self.max_drop
        return plots.pareto_files(
            points,
            metric=self.metric,
            max_kilobytes=self.target.kilobytes,
            limit=self.original.score + allowed,
            title=title,
            path=path,
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures as JSON-safe values, without the model."""
        values = super().to_dict()
        del values["model"]
        return {
            **values,
            "met": self.met,
            "in_the_way": self.in_the_way,
            "overhead": self.overhead,
        }

    def __str__(self) -> str:
        """Shows a table of the files."""
        rows = [
            [
                one.name + (" *" if one is self.file else ""),
                f"{one.kilobytes:,.1f}",
                f"{one.gzip_kilobytes:,.1f}",
                f"{one.latency_ratio:.2f}",
                f"{one.macs:,.0f}",
                f"{one.score:.4f}",
                f"{one.drop:+.4f}",
                str(one.epochs),
            ]
            for one in (self.original, *self.candidates)
        ]
        names = ["file", "kB", "gzip kB", "latency x", "MACs"]
        table = render(
            [*names, self.metric, "drop", "epochs"],
            rows,
            title=f"{self.path}: {self.target!r}, max_drop={self.max_drop:g}",
            align="lrrrrrrr",
        )
        lines = [table, self._summarize()]
        lines += [f"no file: {text}" for text in self.failures]
        return "\n".join(lines)

    def _summarize(self) -> str:
        total = self.seconds.get("total", 0.0)
        time = f"{total:,.0f} s, of which {self.overhead:.0%} without training"
        if self.met:
            return f"target met; {time}"
        return f"target missed: {'; '.join(self.in_the_way)}; {time}"

    def _describe(self, name: str) -> str:
        value = self.file.misses[name]
        if name == "max_drop":
            return (
                f"{self.metric} is worse than the original's by {value:.4f}, "
                f"{self.max_drop:g} is allowed (train more epochs, or raise a "
                "limit)"
            )
        limit = self.target.limits[name]
        if name == "macs":
            limit = float(self.target.max_macs(self.original.macs) or 0)
        return (
            f"{describe_limit(name, value)} of at most "
            f"{describe_limit(name, limit)}"
        )
