"""The scores of an untrained model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from keras_netopt import tables
from keras_netopt.report import Report


@dataclass(frozen=True)
class ZeroCostReport(Report):
    """Scores of an untrained model by proxy.

    A score compares models of one search space and task, by rank; its unit
    has no meaning of its own. `report["synflow"]` and `dict(report.scores)`
    read the scores.

    Args:
        model: Name of the model.
        scores: Score of each proxy; higher is expected to be better, -inf is
            a model that cannot be trained or scored.
        milliseconds: Time of each proxy. Proxies that share a measurement
            have its time at the first of them.
        samples: Number of samples in the batch.
    """

    model: str
    scores: Mapping[str, float]
    milliseconds: Mapping[str, float]
    samples: int

    def __getitem__(self, proxy: str) -> float:
        return self.scores[proxy]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scores)

    def __str__(self) -> str:
        rows = [
            [name, f"{score:.6g}", f"{self.milliseconds.get(name, 0.0):.1f}"]
            for name, score in self.scores.items()
        ]
        return tables.render(
            ["proxy", "score", "ms"],
            rows,
            title=f"{self.model}, {self.samples} samples",
            align="lrr",
        )
