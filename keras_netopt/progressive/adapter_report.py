"""What was removed from the lateral connections of a task."""

from dataclasses import dataclass

from keras_netopt.report import Report
from keras_netopt.surgery import OutputDifference
from keras_netopt.tables import render


@dataclass(frozen=True)
class AdapterRow:
    """One lateral connection before and after.

    Args:
        layer: Name of the layer.
        usage: Root mean square of what the adapter adds, as a share of that
            of the sum.
        sources: Number of sources before.
        sources_after: Number of sources left; 0: the layer is gone.
        units: Units of the reducing layer before; for the linear adapter,
            its outputs.
        units_after: Units left.
        params: Parameters before.
        params_after: Parameters left.
    """

    layer: str
    usage: float
    sources: int
    sources_after: int
    units: int
    units_after: int
    params: int
    params_after: int


@dataclass(frozen=True)
class AdapterReport(Report):
    """Result of `progressive.prune_adapters`.

    Args:
        task: Name of the task.
        layers: One row per lateral connection.
        unread: Names of the tasks that the task no longer reads.
        difference: Outputs before and after, or `None` where they cannot be
            compared without `x`.
    """

    task: str
    layers: list[AdapterRow]
    unread: list[str]
    difference: OutputDifference | None

    @property
    def removed_params(self) -> int:
        """Parameters of the lateral connections that are gone."""
        return sum(row.params - row.params_after for row in self.layers)

    def __str__(self) -> str:
        rows = [
            [
                row.layer,
                f"{row.usage:.3f}",
                f"{row.sources} -> {row.sources_after}",
                f"{row.units} -> {row.units_after}",
                f"{row.params:,} -> {row.params_after:,}",
            ]
            for row in self.layers
        ]
        table = render(
            ["lateral connection", "usage", "sources", "units", "parameters"],
            rows,
        )
        unread = f"No longer read: {', '.join(self.unread)}.\n"
        return (
            f"{table}\n{unread if self.unread else ''}"
            f"Outputs of {self.task!r}: {self.difference or 'not compared'}"
        )
