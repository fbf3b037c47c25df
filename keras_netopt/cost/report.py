"""The parameters, MACs and bytes of a model, by layer and in total."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from keras_netopt.tables import render


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs; a shared layer is one row.

    Example:

    >>> row = LayerCost("dense", "Dense", ((1, 3),), 15, 12, 60, 12)
    >>> row.zeros
    3

    Args:
        name: The path of the layer: "block/conv" inside a nested model.
        kind: The class name.
        output_shapes: One shape an output, of the first call, batch axis 1.
        params: Number of weights, those shared with an earlier row left out.
        nonzero: Number of weights that are not 0.
        bytes: Bytes of the weights as they are stored in the model.
        macs: Multiply-accumulates a sample, all calls together, or `None`
            where nobody can tell.
        calls: How often one forward pass calls it. Defaults to 1.
        note: Why `macs` is `None`. Defaults to "".
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


@dataclass(frozen=True)
class CostReport:
    """What a model costs. `print` it, or read `layers` and the totals.

    Example:

    >>> row = LayerCost("dense", "Dense", ((1, 3),), 15, 12, 60, 12)
    >>> report = CostReport("model", (row,))
    >>> report.macs, report.flops, report.sparsity
    (12, 24, 0.2)

    Args:
        name: The name of the model.
        layers: One row a layer, in the order of execution.
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
        """Multiply-accumulates a sample of the rows that can be counted."""
        return sum(row.macs or 0 for row in self.layers)

    @property
    def flops(self) -> int:
        """Two operations a multiply-accumulate."""
        return 2 * self.macs

    @property
    def unknown(self) -> tuple[LayerCost, ...]:
        """The rows whose MACs are not part of `macs`; empty is complete."""
        return tuple(row for row in self.layers if row.macs is None)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report in types that JSON knows."""
        totals = ("params", "nonzero", "zeros", "sparsity", "bytes", "macs")
        rows = [
            {**dataclasses.asdict(row), "zeros": row.zeros}
            for row in self.layers
        ]
        for row in rows:
            row["output_shapes"] = [list(s) for s in row["output_shapes"]]
        return {
            "name": self.name,
            **{total: getattr(self, total) for total in totals},
            "unknown": [row.name for row in self.unknown],
            "layers": rows,
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
