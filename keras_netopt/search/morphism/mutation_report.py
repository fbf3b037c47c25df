"""The mutations of a network, and why others are impossible."""

from dataclasses import dataclass

from keras_netopt.report import Report
from keras_netopt.tables import render


@dataclass(frozen=True)
class MutationReport(Report):
    """What a search may change in a network; `print` shows a table.

    Example:

    >>> report = MutationReport("net", (("widen", "conv", ""),), (1.5, 2.0))
    >>> report.possible
    (('widen', 'conv'),)

    Args:
        model: Name of the model.
        rows: Operation, layer, and why it is impossible; "" if it is
            possible.
        factors: Ratios of widths that "widen" and "narrow" use.
    """

    model: str
    rows: tuple[tuple[str, str, str], ...]
    factors: tuple[float, ...] = ()

    @property
    def possible(self) -> tuple[tuple[str, str], ...]:
        """Operation and layer of each possible mutation."""
        return tuple((a, b) for a, b, reason in self.rows if not reason)

    def __str__(self) -> str:
        """Shows a table of all mutations."""
        rows = [(a, b, reason or "yes") for a, b, reason in self.rows]
        return render(
            ["operation", "layer", "possible"],
            rows,
            title=f"Mutations of {self.model}; widths change by "
            f"{', '.join(f'{f:g}' for f in self.factors)}",
        )
