"""Report of the sparsity of each weight of a model."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.graph.check_model import check_model
from keras_netopt.report import Report
from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.kernel_zeros import used_value
from keras_netopt.sparsity.layer_collapse import is_collapsed
from keras_netopt.sparsity.prunability import is_kernel
from keras_netopt.sparsity.selection import (
    Selection,
    SkippedWeight,
    WeightTarget,
    select,
)
from keras_netopt.tables import render
from keras_netopt.training import MaskStore, sync_variables

HEADERS = ("Weight", "Shape", "Weights", "Zeros", "Sparsity", "Pattern", "Dead")
MINOR = ("bias", "normalization weight", "vector")


@dataclass(frozen=True)
class ReportRow:
    """One weight of a model.

    Args:
        key: Its unique name.
        layer: Class of the layer that holds it.
        shape: Its shape.
        weights: Number of its elements.
        zeros: How many of them are exactly zero.
        zero_units: Output units whose weights are all zero.
        target: Sparsity of its mask, `None` without a mask.
        pattern: Pattern of the mask, where known.
        reason: Why it is not pruned, `None` if it is.
        outputs: Number of output units.
        is_kernel: Whether it counts in the sparsity of the model: not a bias,
            normalization weight, other vector or LoRA pair.
    """

    key: str
    layer: str
    shape: tuple[int, ...]
    weights: int
    zeros: int
    zero_units: int
    target: float | None = None
    pattern: str | None = None
    reason: str | None = None
    outputs: int = 0
    is_kernel: bool = True

    @property
    def sparsity(self) -> float:
        """Share of zeros."""
        return self.zeros / self.weights if self.weights else 0.0

    def cells(self) -> tuple[Any, ...]:
        """Returns the cells of the row in the table."""
        pattern = self.pattern if self.reason is None else f"({self.reason})"
        sparsity = f"{self.sparsity:.1%}"
        if self.target is not None and self.target - self.sparsity > 5e-4:
            sparsity += f" (not {self.target:.1%})"
        return (
            self.key,
            str(self.shape),
            self.weights,
            self.zeros,
            sparsity,
            pattern,
            self.zero_units,
        )


@dataclass(frozen=True, repr=False)
class SparsityReport(Report):
    """The sparsity of a model; prints as a table like `model.summary()`.

    Args:
        rows: One row per weight, in the order of `model.weights`.
        name: Name of the model.
    """

    rows: tuple[ReportRow, ...]
    name: str = ""

    @property
    def pruned(self) -> tuple[ReportRow, ...]:
        """The rows of the selected weights."""
        return tuple(row for row in self.rows if row.reason is None)

    @property
    def skipped(self) -> tuple[ReportRow, ...]:
        """The rows of the skipped weights, each with the reason."""
        return tuple(row for row in self.rows if row.reason is not None)

    @property
    def kernels(self) -> tuple[ReportRow, ...]:
        """The rows of all kernels, embeddings included, and the pruned rows."""
        return tuple(r for r in self.rows if r.is_kernel or r.reason is None)

    @property
    def collapsed(self) -> tuple[ReportRow, ...]:
        """The pruned rows that keep at most one weight per output unit.

        Rows count only if they keep less than a quarter of the share that all
        pruned rows together keep.
        """
        density = 1.0 - self.selected_sparsity
        return tuple(
            row
            for row in self.pruned
            if is_collapsed(
                row.weights - row.zeros, row.weights, row.outputs, density
            )
        )

    @property
    def weights(self) -> int:
        """Number of elements of all kernels."""
        return sum(row.weights for row in self.kernels)

    @property
    def zeros(self) -> int:
        """Zeros in all kernels."""
        return sum(row.zeros for row in self.kernels)

    @property
    def sparsity(self) -> float:
        """Share of zeros in all kernels, 0.0 if there are none."""
        return _share(self.kernels)

    @property
    def selected_sparsity(self) -> float:
        """Share of zeros in the pruned rows, 0.0 if there are none."""
        return _share(self.pruned)

    @property
    def model_sparsity(self) -> float:
        """Share of zeros in every weight of the model, biases included."""
        return _share(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Returns the totals and the rows ("rows") as JSON-safe values."""
        totals = (
            *("weights", "zeros", "sparsity"),
            *("selected_sparsity", "model_sparsity"),
        )
        plain = super().to_dict() | {k: getattr(self, k) for k in totals}
        for row, values in zip(self.rows, plain["rows"], strict=True):
            values["sparsity"] = row.sparsity
        return plain

    def __str__(self) -> str:
        """Returns the table; biases and other vectors are only counted."""
        minor = [row for row in self.rows if row.reason in MINOR]
        shown = [row for row in self.rows if row.reason not in MINOR]
        title = f'Sparsity of "{self.name}"' if self.name else "Sparsity"
        lines = [render(HEADERS, [row.cells() for row in shown], title=title)]
        selected = sum(row.weights for row in self.pruned)
        zeros = sum(row.zeros for row in self.pruned)
        lines.append(
            f"Kernels: {self.zeros:,} of {self.weights:,} weights are zero "
            f"({self.sparsity:.2%})."
        )
        if selected != self.weights:
            lines.append(
                f"Selected for pruning: {zeros:,} of {selected:,} "
                f"({self.selected_sparsity:.2%})."
            )
        if any(row.zero_units for row in shown):
            lines.append("Dead: output units whose weights are all zero.")
        if self.collapsed:
            names = ", ".join(row.key for row in self.collapsed)
            lines.append(
                f"Collapsed (at most one weight per output unit): {names}."
            )
        counts = Counter(row.reason for row in minor)
        if counts:
            listed = ", ".join(f"{n} x {why}" for why, n in counts.items())
            lines.append(f"Skipped and not shown: {listed}.")
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Shows the table at the prompt and in notebooks."""
        return str(self)


def _share(rows: tuple[ReportRow, ...]) -> float:
    weights = sum(row.weights for row in rows)
    return sum(row.zeros for row in rows) / weights if weights else 0.0


def report(model: keras.Model) -> SparsityReport:
    """Counts the zeros of a model.

    It reads the weights, so it works for any Keras model, also one that was
    pruned by other code or loaded from a file. If the model has masks, the
    report compares the zeros with them. In a layer with LoRA, it counts the
    sum of kernel and LoRA product.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential(
    ...     [keras.Input((3,)), keras.layers.Dense(2, name="out")], name="net"
    ... )
    >>> model.set_weights([np.eye(3)[:, :2], np.zeros(2)])
    >>> found = report(model)
    >>> found.zeros, found.weights
    (4, 6)

    Args:
        model: A built model.

    Returns:
        The report; `print` shows it as a table.

    Raises:
        TypeError: If `model` is not a Keras model.
        ValueError: If it is not built.
    """
    check_model(model)
    sync_variables(model)
    store = MaskStore.of(model)
    masks = {} if store is None else store.masks()
    labels = {} if store is None else store.labels
    return make_report(model, _with_masked(select(model), masks), masks, labels)


def make_report(
    model: keras.Model,
    selection: Selection,
    masks: dict[str, np.ndarray],
    pattern: str | Mapping[str, str] | None = None,
) -> SparsityReport:
    """Builds the report of a selection.

    `masks` by key may be empty; `pattern` is the label of all targets, or
    labels by key.
    """
    labels: Mapping[str, str | None] = (
        pattern
        if isinstance(pattern, Mapping)
        else dict.fromkeys((t.key for t in selection.targets), pattern)
    )
    items: list[WeightTarget | SkippedWeight] = [
        *selection.targets,
        *selection.skipped,
    ]
    order = {id(v): i for i, v in enumerate(model.weights)}
    items.sort(key=lambda item: order[id(item.variable)])
    rows = tuple(
        _row(item, masks.get(item.key), labels.get(item.key)) for item in items
    )
    return SparsityReport(rows, model.name)


def _with_masked(
    selection: Selection, masks: dict[str, np.ndarray]
) -> Selection:
    """Returns the selection of the masked weights, if there are masks."""
    if not masks:
        return selection
    added = tuple(
        WeightTarget(
            s.key, s.variable, s.layer, KernelView.of(s.variable, s.layer)
        )
        for s in selection.skipped
        if s.key in masks
    )
    reasons = {
        t.key: "no mask" for t in selection.targets if t.key not in masks
    }
    rest = tuple(s for s in selection.skipped if s.key not in masks)
    return Selection((*selection.targets, *added), rest).without(reasons)


def _row(
    item: WeightTarget | SkippedWeight,
    mask: np.ndarray | None,
    pattern: str | None,
) -> ReportRow:
    values = used_value(item.variable, item.layer)
    view = KernelView.of(item.variable, item.layer, values.shape)
    zero_units = int(np.sum(~np.any(view.to_2d(values != 0), axis=0)))
    is_target = isinstance(item, WeightTarget)
    return ReportRow(
        key=item.key,
        layer=type(item.layer).__name__,
        shape=view.shape,
        weights=math.prod(view.shape),
        zeros=int(values.size - np.count_nonzero(values)),
        zero_units=zero_units,
        target=None if mask is None else 1.0 - float(np.mean(mask)),
        pattern=pattern if is_target else None,
        reason=None if isinstance(item, WeightTarget) else item.reason,
        outputs=view.fan_out,
        is_kernel=is_kernel(item.variable, item.layer),
    )
