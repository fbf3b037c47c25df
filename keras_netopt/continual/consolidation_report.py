"""Report of the weights that earlier tasks hold."""

from dataclasses import dataclass

from keras_netopt.report import Report
from keras_netopt.tables import render

HEADERS = ("Weight", "Size", "Fisher", "Share", "Moved", "Penalty")


@dataclass(frozen=True)
class ConsolidationRow:
    """One weight that earlier tasks hold.

    Args:
        weight: Its path.
        size: Number of its elements.
        fisher: Mean Fisher information of an element.
        share: Its share in the Fisher information of all weights.
        moved: Root mean square distance from its anchor.
        penalty: Its part of the penalty.
    """

    weight: str
    size: int
    fisher: float
    share: float
    moved: float
    penalty: float


@dataclass(frozen=True, repr=False)
class ConsolidationReport(Report):
    """What elastic weight consolidation holds, and how far weights moved.

    Example:

    >>> row = ConsolidationRow("dense/kernel", 6, 0.25, 1.0, 0.0, 0.0)
    >>> print(str(ConsolidationReport(1, 3000.0, (row,))).splitlines()[-1])
    1 task(s), strength 3000, penalty 0

    Args:
        tasks: Number of consolidated tasks.
        strength: Factor of the penalty.
        rows: One row per weight.
    """

    tasks: int
    strength: float
    rows: tuple[ConsolidationRow, ...]

    @property
    def penalty(self) -> float:
        """The penalty on the weights as they are."""
        return sum(row.penalty for row in self.rows)

    def __str__(self) -> str:
        lines = [
            (
                row.weight,
                f"{row.size:,}",
                f"{row.fisher:.2g}",
                f"{row.share:.1%}",
                f"{row.moved:.2g}",
                f"{row.penalty:.3g}",
            )
            for row in self.rows
        ]
        return (
            render(HEADERS, lines) + f"\n{self.tasks} task(s), strength "
            f"{self.strength:g}, penalty {self.penalty:.3g}"
        )
