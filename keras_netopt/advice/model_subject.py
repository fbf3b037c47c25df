"""What the rules look at: a Keras model and what was measured of it."""

import functools
import warnings
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.advice.measured_files import (
    HALF,
    MeasuredFiles,
    host_target,
)
from keras_netopt.advice.xnnpack_chain import SparseChain, check_chain
from keras_netopt.cost.cost_report import CostReport, LayerCost
from keras_netopt.cost.summarize import summarize
from keras_netopt.graph.layers import walk_paths
from keras_netopt.graph.model_graph import is_graph_model
from keras_netopt.graph.symbolic import input_specs, is_never_called
from keras_netopt.quantization.quantization_report import report
from keras_netopt.sparsity.kernel_zeros import KernelZeros
from keras_netopt.surgery.cutting.prune_channels import prune_channels
from keras_netopt.surgery.edits.edit_report import EditReport


@dataclass
class ModelSubject:
    """A Keras model on a target, looked at once per fact.

    Args:
        model: A built model.
        target: The target.
        input_shape: Shapes that fix free axes. Defaults to `None`.
        files: What was measured. Defaults to `None`.
    """

    model: keras.Model
    target: str
    input_shape: Any = None
    files: MeasuredFiles | None = None

    @functools.cached_property
    def cost(self) -> CostReport:
        """Parameters, MACs and bytes by layer."""
        return summarize(self.model, input_shape=self.input_shape)

    @functools.cached_property
    def layers(self) -> dict[str, keras.layers.Layer]:
        """The layers by path."""
        return dict(walk_paths(self.model))

    @functools.cached_property
    def sparsity(self) -> float:
        """Share of zeros in the kernels."""
        return KernelZeros.of(self.model).share()

    @functools.cached_property
    def grid_bits(self) -> int | None:
        """Bits of the grid that holds most of the kernels, or `None`."""
        rows = report(self.model).rows
        weights = sum(row.weights for row in rows)
        low = [row for row in rows if row.bits is not None and row.bits <= 4]
        if not weights or 2 * sum(row.weights for row in low) < weights:
            return None
        return max(row.bits or 0 for row in low)

    @functools.cached_property
    def half_layers(self) -> list[str]:
        """The layers in half precision."""
        from keras_netopt.export.float32_clone import find_half_layers

        return find_half_layers(self.model)

    @functools.cached_property
    def is_graph(self) -> bool:
        """Whether the calls of the model are recorded."""
        return is_graph_model(self.model)

    @functools.cached_property
    def chain(self) -> SparseChain | None:
        """The chain of sparse inference; `None` without a graph."""
        return check_chain(self.model) if self.is_graph else None

    @functools.cached_property
    def free_axes(self) -> list[Any]:
        """Shapes of the inputs, if an axis other than the batch is free."""
        if self.input_shape is not None or is_never_called(self.model):
            return []
        specs = input_specs(self.model)
        shapes = [tuple(x.shape) for x in keras.tree.flatten(specs)]
        return shapes if any(None in s[1:] for s in shapes) else []

    @functools.cached_property
    def cut(self) -> EditReport | str:
        """Half of the channels removed in a dry run, or why not."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return prune_channels(
                    self.model,
                    HALF,
                    input_shape=self.input_shape,
                    dry_run=True,
                )
        # The code of the model, while it is traced, may raise anything.
        except Exception as error:
            return str(error).strip().replace("\n", " ")

    @property
    def reached(self) -> dict[str, str]:
        """Why channel pruning leaves layers unchanged, by path."""
        cut = self.cut
        return {} if isinstance(cut, str) else dict(cut.skipped)

    @property
    def is_timed(self) -> bool:
        """Whether times measured here are those of the target."""
        return self.target == host_target() and bool(
            self.files and self.files.clock
        )

    def time_ratio(self, form: str) -> float | None:
        """Returns the time of a form over that of float32 on the target."""
        if not self.is_timed or self.files is None:
            return None
        return self.files.ratio(form)

    def heaviest(self, what: str) -> tuple[float, list[LayerCost]]:
        """Returns the three layers with most "macs" or "bytes".

        The first value is their share of the model.
        """
        rows = sorted(
            self.cost.layers,
            key=lambda row: -(getattr(row, what) or 0),
        )[:3]
        total = getattr(self.cost, what)
        found = sum(getattr(row, what) or 0 for row in rows)
        return (found / total if total else 0.0), rows

    def describe(self) -> tuple[str, ...]:
        """Returns the facts above the findings."""
        cost = self.cost
        macs = f"{cost.macs:,} MACs"
        if cost.unknown:
            macs = f"at least {macs}"
        lines = [
            f"{cost.params:,} parameters, {macs}, {self.sparsity:.1%} of the "
            "kernels are zero"
        ]
        if self.files is not None:
            lines += describe_files(self.files, self.is_timed)
        return tuple(lines)


def describe_files(files: MeasuredFiles, is_timed: bool) -> list[str]:
    """Returns one line per measured file."""
    lines = []
    for form, one in files.forms.items():
        line = f"{form} file: {one.raw:,} bytes, gzip {one.gzip:,}"
        if is_timed and one.milliseconds is not None:
            line += f", {one.milliseconds:.3g} ms"
        lines.append(line)
    if is_timed:
        lines.append(f"({files.clock})")
    return lines
