"""The parameters, MACs and bytes of a model, by layer and in total."""

from dataclasses import dataclass
from typing import Any

from keras_netopt.report import Report
from keras_netopt.tables import render


@dataclass(frozen=True)
class LayerCost(Report):
    """The cost of one layer; a shared layer is one row.

    Example:

    >>> row = LayerCost("dense", "Dense", ((1, 3),), 15, 12, 60, 12)
    >>> row.zeros
    3

    Args:
        name: The path of the layer: "block/conv" inside a nested model.
        kind: The class name.
        output_shapes: One shape per output of the first call, batch axis 1.
        params: Number of weights, without those shared with an earlier row.
        nonzero: Number of weights that are not 0.
        bytes: Bytes of the weights in the model's dtypes.
        macs: Multiply-accumulates per sample over all calls; `None` where
            they cannot be counted.
        calls: Number of calls in one forward pass. Defaults to 1.
        note: The reason where `macs` is `None`. Defaults to "".
    """

    name: str
    kind: str
    output_shapes: tuple[tuple[int | None, ...], ...]
    params: int
    nonzero: int
    bytes: int
    macs: int | None
    calls: int = 1
    note: str = ""

    @property
    def zeros(self) -> int:
        """Number of weights that are exactly 0."""
        return self.params - self.nonzero

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields and the number of zeros, JSON-safe."""
        return {**super().to_dict(), "zeros": self.zeros}


@dataclass(frozen=True)
class CostReport(Report):
    """The cost of a model, by layer and in total; printable as a table.

    Example:

    >>> row = LayerCost("dense", "Dense", ((1, 3),), 15, 12, 60, 12)
    >>> report = CostReport("model", (row,))
    >>> report.macs, report.flops, report.sparsity
    (12, 24, 0.2)

    Args:
        name: The name of the model.
        layers: One row per layer, in the order of execution.
    """

    name: str
    layers: tuple[LayerCost, ...]

    @property
    def params(self) -> int:
        """Number of weights, shared ones counted once."""
        return sum(row.params for row in self.layers)

    @property
    def nonzero(self) -> int:
        """Number of weights that are not 0."""
        return sum(row.nonzero for row in self.layers)

    @property
    def zeros(self) -> int:
        """Number of weights that are exactly 0."""
        return self.params - self.nonzero

    @property
    def sparsity(self) -> float:
        """Share of weights that are exactly 0."""
        return self.zeros / self.params if self.params else 0.0

    @property
    def bytes(self) -> int:
        """Bytes of all weights."""
        return sum(row.bytes for row in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per sample of all counted rows."""
        return sum(row.macs or 0 for row in self.layers)

    @property
    def flops(self) -> int:
        """Floating-point operations per sample, two per MAC."""
        return 2 * self.macs

    @property
    def unknown(self) -> tuple[LayerCost, ...]:
        """The rows whose MACs could not be counted."""
        return tuple(row for row in self.layers if row.macs is None)

    def to_dict(self) -> dict[str, Any]:
        """Returns the rows, the totals and the unknown layers, JSON-safe."""
        totals = ("params", "nonzero", "zeros", "sparsity", "bytes", "macs")
        return {
            **{total: getattr(self, total) for total in totals},
            "unknown": [row.name for row in self.unknown],
            **super().to_dict(),
        }

    def __str__(self) -> str:
        headers = ["layer (type)", "output", "params", "zeros", "MACs", "bytes"]
        rows: list[list[object]] = [
            [
                f"{row.name} ({row.kind})",
                ", ".join(_shape(shape) for shape in row.output_shapes),
                row.params,
                row.zeros,
                "?" if row.macs is None else f"{row.macs:,}",
                row.bytes,
            ]
            for row in self.layers
        ]
        macs = f"{'>= ' if self.unknown else ''}{self.macs:,}"
        rows.append(["total", "", self.params, self.zeros, macs, self.bytes])
        table = render(
            headers, rows, title=f'Cost of "{self.name}"', align="llrrrr"
        )
        notes = [
            f"Not counted: {row.name} ({row.kind}): {row.note}"
            for row in self.unknown
        ]
        return "\n".join([table, *notes])


def _shape(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join(str(axis) for axis in shape) + ")"
