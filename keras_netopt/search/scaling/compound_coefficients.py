"""The grid of coefficients of compound scaling."""

from dataclasses import dataclass

from keras_netopt.report import Report
from keras_netopt.tables import render


@dataclass(frozen=True)
class CoefficientRow:
    """One triple of coefficients.

    Args:
        alpha: Factor of the depth.
        beta: Factor of the width.
        gamma: Factor of the resolution.
        macs_ratio: MACs of the network scaled with phi = 1, in relation to
            the network itself.
        score: What `evaluate` returned, or `None`. Defaults to `None`.
    """

    alpha: float
    beta: float
    gamma: float
    macs_ratio: float
    score: float | None = None


@dataclass(frozen=True)
class CompoundCoefficients(Report):
    """The best coefficients of compound scaling; `print` shows all.

    Example:

    >>> row = CoefficientRow(1.2, 1.1, 1.15, 1.95)
    >>> CompoundCoefficients(row, (row,)).best.gamma
    1.15

    Args:
        best: The row with the best score, or without scores the one whose
            MACs are nearest to the factor asked for.
        rows: All rows, the best first.
    """

    best: CoefficientRow
    rows: tuple[CoefficientRow, ...]

    def __str__(self) -> str:
        header = ["alpha", "beta", "gamma", "MACs ratio", "score"]
        rows = [
            [
                f"{one.alpha:.2f}",
                f"{one.beta:.2f}",
                f"{one.gamma:.2f}",
                f"{one.macs_ratio:.2f}",
                "" if one.score is None else f"{one.score:.4g}",
            ]
            for one in self.rows
        ]
        return render(header, rows)
