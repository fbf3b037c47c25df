"""How far a model is from a target, as one number."""

import gzip
import os
import tempfile
import warnings
from typing import Any

import keras
import numpy as np

from keras_netopt import cost, quantization, sparsity
from keras_netopt.compression.target import Target
from keras_netopt.export.file_meter import FileMeter
from keras_netopt.serialization import export_class
from keras_netopt.surgery.edits.rehearsal import temporary_copy
from keras_netopt.warnings import NotIntendedUseWarning

# Trained ranges and biases that are no longer zero add some bytes: 312 to a
# file of 7,472, 160 to one of 12,000.
RAW_MARGIN = 1.01
RAW_MORE = 400
# Training changes how well the weights of a file compress.
GZIP_MARGIN = 1.05


@export_class
class TargetMeter:
    """Measures the largest ratio of a model's costs to the limits.

    A model whose value is at most 1 meets the target. Its file is written as
    training will leave it: with zeros, and kernels on a grid. The first model
    is the original one, to which relative limits refer.

    Example:

    >>> from keras_netopt import Target
    >>> TargetMeter(Target(macs=1000), quantize="int8")
    TargetMeter(target=Target(macs=1000), quantize='int8', zeros=0.0)

    Args:
        target: The limits.
        quantize: The number format of the file, as in `export.to_litert`.
        zeros: Share of zeros in the kernels, in [0, 1). Defaults to `0.0`.
    """

    def __init__(
        self, target: Target, *, quantize: str, zeros: float = 0.0
    ) -> None:
        self.target = target
        self.quantize = quantize
        self.zeros = zeros
        self._macs: float | None = None
        self._original: bytes | None = None

    def __call__(self, model: keras.Model) -> float:
        """Returns the largest ratio of a cost to its limit."""
        return max(self.ratios(model).values())

    def ratios(self, model: keras.Model) -> dict[str, float]:
        """Returns the ratio of each cost to its limit, by its name."""
        limits, found = self.target.limits, {}
        if "macs" in limits:
            macs = float(cost.summarize(model).macs)
            self._macs = self._macs or macs
            found["macs"] = macs / float(self.target.max_macs(self._macs) or 1)
        if set(limits) == {"macs"}:
            return found
        if "latency_ratio" in limits and self._original is None:
            self._original = FileMeter().write(model)
        content = self._write(model)
        if "kilobytes" in limits:
            size = len(content) * RAW_MARGIN + RAW_MORE
            found["kilobytes"] = size / (1000 * limits["kilobytes"])
        if "gzip_kilobytes" in limits:
            size = len(gzip.compress(content, 9, mtime=0)) * GZIP_MARGIN
            found["gzip_kilobytes"] = size / (1000 * limits["gzip_kilobytes"])
        if self._original is not None:
            ratio = _compare_latency(self._original, content)
            found["latency_ratio"] = ratio / limits["latency_ratio"]
        return found

    def _write(self, model: keras.Model) -> bytes:
        with temporary_copy(model) as copy:
            before = copy.get_weights() if copy is model else None
            try:
                _fill_zero_vectors(copy)
                with warnings.catch_warnings():
                    # Accuracy is not measured here.
                    warnings.simplefilter("ignore", NotIntendedUseWarning)
                    if self.zeros:
                        sparsity.prune(copy, self.zeros)
                    if self.quantize == "int4":
                        quantization.quantize(copy, 4)
                return FileMeter(self.quantize).write(copy)
            finally:
                if before is not None:
                    copy.set_weights(before)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        given = {**self.target.limits, "io": self.target.io}
        return {
            "target": given,
            "quantize": self.quantize,
            "zeros": self.zeros,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TargetMeter":
        """Creates the meter again."""
        return cls(**{**config, "target": Target(**config["target"])})

    def __repr__(self) -> str:
        return (
            f"TargetMeter(target={self.target!r}, quantize={self.quantize!r}, "
            f"zeros={self.zeros!r})"
        )


def _fill_zero_vectors(model: keras.Model) -> None:
    """The converter leaves out biases that are zero before training."""
    for variable in model.weights:
        if len(variable.shape) == 1:
            value = np.array(keras.ops.convert_to_numpy(variable))
            if value.dtype.kind == "f" and not value.any():
                variable.assign(np.linspace(0.01, 0.02, len(value)))


def _compare_latency(original: bytes, content: bytes) -> float:
    """Returns the latency of a file divided by that of the original."""
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for name, one in (("original", original), ("this", content)):
            files[name] = os.path.join(folder, f"{name}.tflite")
            with open(files[name], "wb") as file:
                file.write(one)
        report = cost.measure_latency(files)
    return float(report["this"].median / report["original"].median)
