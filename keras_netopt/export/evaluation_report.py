"""How well a LiteRT file predicts labels."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from keras_netopt.report import Report
from keras_netopt.tables import render


@dataclass(frozen=True)
class EvaluationReport(Report):
    """The metrics of a LiteRT file on labelled samples.

    Example:

    >>> report = EvaluationReport("m.tflite", 100, {"y": {"accuracy": 0.91}})
    >>> report.accuracy
    0.91

    Args:
        path: The file.
        samples: Number of samples.
        metrics: The value of each metric, by the names of the outputs.
        labels: How the labels of each output were read, such as "class
            numbers".
        notes: What to know about the values.
    """

    path: str
    samples: int
    metrics: Mapping[str, Mapping[str, float]]
    labels: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float | None:
        """The accuracy, if exactly one output has one; else `None`."""
        found = [
            m["accuracy"] for m in self.metrics.values() if "accuracy" in m
        ]
        return found[0] if len(found) == 1 else None

    def __str__(self) -> str:
        rows = [
            [output, self.labels.get(output, "-"), name, f"{value:.4f}"]
            for output, metrics in self.metrics.items()
            for name, value in metrics.items()
        ]
        title = f"{self.path} on {self.samples:,} samples"
        headers = ["output", "labels", "metric", "value"]
        table = render(headers, rows, title=title, align="lllr")
        return "\n".join([table, *self.notes])
