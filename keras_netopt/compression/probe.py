"""Figures of files that are written to plan a run, before any training."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from keras_netopt import quantization, sparsity
from keras_netopt.compression.route import Route
from keras_netopt.compression.target import Target
from keras_netopt.cost.measure_latency import measure_latency
from keras_netopt.cost.summarize import summarize
from keras_netopt.export.convert_model import measure_file
from keras_netopt.export.unverified_file import write_quickly
from keras_netopt.graph.model_graph import is_graph_model
from keras_netopt.report import Report
from keras_netopt.surgery.cutting.cut_to_widths import WidthCutter
from keras_netopt.surgery.edits.rehearsal import temporary_copy

ROUNDS = 100


@dataclass(frozen=True)
class Probe(Report):
    """The figures of a file.

    Example:

    >>> probe = Probe(0.5, 30.0, 25.0, 0.4, 100_000.0)
    >>> probe.figures["latency_ratio"]
    0.4

    Args:
        cut: Share of the parameters that was removed.
        kilobytes: Size in units of 1,000 bytes.
        gzip_kilobytes: Size after gzip, in units of 1,000 bytes.
        latency_ratio: Latency divided by that of the reference file.
        macs: Multiply-accumulates per sample.
    """

    cut: float
    kilobytes: float
    gzip_kilobytes: float
    latency_ratio: float
    macs: float

    @property
    def figures(self) -> dict[str, float]:
        """The values by the names of the limits of a target."""
        names = ("kilobytes", "gzip_kilobytes", "latency_ratio", "macs")
        return {name: getattr(self, name) for name in names}


def measure_figures(
    path: str, reference: str, macs: float, rounds: int = ROUNDS
) -> dict[str, float]:
    """Measures a file beside the original model's float32 file."""
    size = measure_file(path)
    report = measure_latency(
        {"reference": reference, "file": path}, rounds=rounds
    )
    ratio = report["file"].median / max(report["reference"].median, 1e-9)
    return {
        "kilobytes": size.raw / 1000,
        "gzip_kilobytes": size.gzip / 1000,
        "latency_ratio": ratio,
        "macs": macs,
    }


@dataclass
class ProbeWriter:
    """Writes and measures files of cut copies of a model.

    Args:
        model: The original model, which is not changed.
        reference: Its float32 file.
        target: The limits.
        folder: Folder of temporary files.
        cutter: Makes the cuts.
    """

    model: keras.Model
    reference: str
    target: Target
    folder: str
    cutter: WidthCutter
    count: int = 0

    def measure(self, route: Route, widths: Mapping[str, int]) -> Probe:
        """Measures the file of a route at some widths."""
        path = os.path.join(self.folder, "probe.tflite")
        self.count += 1
        whole = self.model.count_params()
        with temporary_copy(self.model) as copy:
            if widths:
                self.cutter.cut(copy, widths)
            round_for_probe(copy, route)
            io = self.target.io
            write_quickly(
                copy,
                path,
                route.format,
                quantized_io=route.bits == 8 and io != "float32" and io,
            )
            macs = count_macs(copy)
            cut = 1 - copy.count_params() / whole
        figures = measure_figures(path, self.reference, macs)
        os.unlink(path)
        return Probe(cut, **figures)


def count_macs(model: keras.Model) -> float:
    """Returns the multiply-accumulates per sample."""
    return float(summarize(model).macs)


def round_for_probe(model: keras.Model, route: Route) -> None:
    """Gives a copy zeros, a grid, and ranges that need no calibration."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        # The converter leaves out biases that no training has moved.
        if len(variable.shape) == 1 and not np.any(
            keras.ops.convert_to_numpy(variable)
        ):
            variable.assign(rng.uniform(-1e-3, 1e-3, variable.shape))
    if route.zeros:
        with warnings.catch_warnings():
            # The copy is measured, not used.
            warnings.simplefilter("ignore")
            sparsity.prune(model, route.zeros)
    if route.bits < 8:
        quantization.quantize(model, bits=route.bits)
    elif is_graph_model(model):
        ranges = quantization.ActivationRanges.attach(model)
        # Distinct scales: equal ones would share their bytes in the file.
        ends = rng.uniform(1.0, 2.0, (len(ranges.places), 2))
        ranges.assign((ends * [-1.0, 1.0]).astype("float32"))
