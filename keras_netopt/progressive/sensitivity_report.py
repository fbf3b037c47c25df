"""The result of `sensitivity`: how much each layer uses each column."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_netopt import tables
from keras_netopt.report import Report

METHODS = {
    "usage": "usage of the lateral connections",
    "fisher": "average Fisher sensitivity (AFS)",
    "perturbation": "average perturbation sensitivity (APS)",
}


@dataclass(frozen=True, eq=False)
class SensitivityReport(Report):
    """Share of each column in each layer, in [0, 1].

    Example:

    >>> import numpy as np
    >>> report = SensitivityReport(
    ...     "fisher", ("hidden1",), ("task2", "task1"), np.array([[3.0, 1.0]])
    ... )
    >>> report.shares.tolist()
    [[0.75, 0.25]]

    Args:
        method: "usage", "fisher" or "perturbation".
        layers: Names of the lateral connections, shallow to deep.
        columns: Names of the columns; of "usage" the sources alone, otherwise
            first the own one.
        values: Array of shape `(layers, columns)`, what the shares are
            computed from; NaN where a layer does not read a column.
    """

    method: str
    layers: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """The values of each layer divided by their sum; NaN if that is 0."""
        values = np.asarray(self.values, "float64")
        total = np.nansum(values, axis=1, keepdims=True)
        return values / np.where(total > 0, total, np.nan)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Plots the shares, see `plots.sensitivity_heatmap`."""
        from keras_netopt import plots

        return plots.sensitivity_heatmap(self, path=path)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields and the shares, JSON-safe; `None` for NaN."""
        return {
            "method": self.method,
            "layers": list(self.layers),
            "columns": list(self.columns),
            "values": _without_nan(self.values),
            "shares": _without_nan(self.shares),
        }

    def __str__(self) -> str:
        rows = [
            [name, *map(format_share, shares)]
            for name, shares in zip(self.layers, self.shares, strict=True)
        ]
        align = "l" + "r" * len(self.columns)
        title = f"Share of each column, {METHODS[self.method]}"
        headers = ["layer", *self.columns]
        return tables.render(headers, rows, title=title, align=align)


def format_share(value: float) -> str:
    """Returns a share as text, "-" for NaN."""
    return "-" if np.isnan(value) else f"{value:.1%}"


def _without_nan(values: np.ndarray) -> list[list[float | None]]:
    return [
        [None if np.isnan(value) else float(value) for value in row]
        for row in np.asarray(values, "float64")
    ]
