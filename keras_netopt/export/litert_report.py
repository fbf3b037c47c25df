"""Size, accuracy and latency of an exported file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_netopt.cost.measure_latency import Latency
from keras_netopt.cost.tflite_model import TensorInfo
from keras_netopt.export.file_breakdown import FileBreakdown
from keras_netopt.export.micro.micro_run import MicroRun
from keras_netopt.export.sample_split import RANDOM
from keras_netopt.export.stored_kernel import (
    StoredKernel,
    render_kernels,
    summarize_integers,
    summarize_kernels,
)
from keras_netopt.export.trained_ranges import TrainedRanges
from keras_netopt.export.verification import NAMES, Verification
from keras_netopt.report import Report
from keras_netopt.tables import render

FLAGGED_OPS = ("DENSIFY", "IF", "WHILE")


@dataclass(frozen=True)
class FileSize(Report):
    """The size of a file in bytes.

    Example:

    >>> FileSize(raw=1000, gzip=250).gzip
    250

    Args:
        raw: Bytes on disk and in a device's memory.
        gzip: Bytes compressed by gzip at level 9, as for a download.
    """

    raw: int
    gzip: int


@dataclass(frozen=True)
class LitertReport(Report):
    """Size, accuracy and latency of a file written by `to_litert`.

    Example:

    >>> size = FileSize(raw=1000, gzip=250)
    >>> report = LitertReport("m.tflite", None, False, size, size)
    >>> report.raw_ratio, report.needs_flex
    (1.0, False)

    Args:
        path: The file.
        quantize: The number format; `None` is float32.
        sparse: Whether zeros are stored in a sparse format.
        size: The size of the file.
        float_size: The size of the plain float file of the same model.
        verification: Differences from the Keras model; `None` for a file
            that requires the Flex delegate.
        latency: Time of one call with a batch of 1 (or the fixed batch) on
            one thread; `None` for a file that requires the Flex delegate.
        ops: Number of occurrences of each operator.
        inputs: Names, shapes and dtypes of the inputs.
        outputs: Names, shapes and dtypes of the outputs.
        notes: Changes made for the export.
        warnings: Limits of the file.
        breakdown: The bytes of the file by what they hold.
        kernels: How the file stores each kernel: bits, bytes, zeros, why it
            is float, and whether the integers of its grid are equal.
        trained_ranges: Whether the scales of activations are those that were
            trained; `None` without trained ranges.
        target: The runtime for which the file was written and checked;
            `None` is the LiteRT interpreter.
        activation_bytes: Bytes of working memory for activations on a
            microcontroller, by a greedy plan; `None` for other targets.
        micro_run: The run in TFLite Micro; `None` for other targets.
    """

    path: str
    quantize: str | None
    sparse: bool
    size: FileSize
    float_size: FileSize
    verification: Verification | None = None
    latency: Latency | None = None
    ops: dict[str, int] = field(default_factory=dict)
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    breakdown: FileBreakdown | None = None
    kernels: tuple[StoredKernel, ...] = ()
    trained_ranges: TrainedRanges | None = None
    target: str | None = None
    activation_bytes: int | None = None
    micro_run: MicroRun | None = None

    @property
    def raw_ratio(self) -> float:
        """Raw bytes over the raw bytes of the float file."""
        return self.size.raw / self.float_size.raw

    @property
    def gzip_ratio(self) -> float:
        """Gzip bytes over the gzip bytes of the float file."""
        return self.size.gzip / self.float_size.gzip

    @property
    def max_abs_diff(self) -> float | None:
        """Largest difference from the Keras model, if the file could run."""
        if self.verification is None:
            return None
        return self.verification.max_abs_diff

    @property
    def needs_flex(self) -> bool:
        """Whether the file requires TensorFlow's Flex delegate."""
        return any(name.startswith("Flex") for name in self.ops)

    @property
    def flags(self) -> tuple[str, ...]:
        """Ops that some runtimes lack: Flex, DENSIFY, IF, WHILE."""
        flex = ("Flex",) if self.needs_flex else ()
        return flex + tuple(op for op in FLAGGED_OPS if op in self.ops)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields and the derived values, JSON-safe."""
        return {
            **super().to_dict(),
            "flags": list(self.flags),
            "raw_ratio": self.raw_ratio,
            "gzip_ratio": self.gzip_ratio,
        }

    def __str__(self) -> str:
        rows = [
            ["stored as", _kind(self)],
            ["raw bytes", f"{self.size.raw:,} ({self.raw_ratio:.2f} x float)"],
            [
                "gzip bytes",
                f"{self.size.gzip:,} ({self.gzip_ratio:.2f} x float)",
            ],
            [
                "bytes of",
                "-" if self.breakdown is None else str(self.breakdown),
            ],
            ["difference", _difference(self.verification)],
            *_sample_difference(self.verification),
            ["same class", _agreement(self.verification)],
            ["latency", _latency(self.latency)],
            ["ops", _ops(self)],
            ["inputs", list_tensors(self.inputs)],
            ["outputs", list_tensors(self.outputs)],
        ]
        if self.activation_bytes is not None:
            rows.append(["RAM bytes", f"{self.activation_bytes:,} (plan)"])
        if self.micro_run is not None:
            rows.append(["TFLite Micro", str(self.micro_run)])
        if self.kernels:
            rows.append(["kernels", summarize_kernels(self.kernels)])
        if integers := summarize_integers(self.kernels):
            rows.append(["integers", integers])
        if self.trained_ranges:
            rows.append(["trained ranges", str(self.trained_ranges)])
        notes = [*self.warnings, *self.notes]
        if notes:
            rows.append(["note", _shorten("; ".join(notes), 150)])
        text = render(["LiteRT file", _shorten(self.path, 70)], rows)
        if self.kernels and self.quantize not in (None, "float16"):
            text += "\n" + render_kernels(self.kernels)
        return text


def _kind(report: LitertReport) -> str:
    kind = report.quantize or "float32"
    kind = f"{kind}, sparse" if report.sparse else kind
    return f"{kind}, for {report.target}" if report.target else kind


def _difference(found: Verification | None) -> str:
    if found is None:
        return "not verified"
    return (
        f"at most {found.max_abs_diff:.2g}, {found.max_rel_diff:.2g} x the "
        "largest output"
    )


def _sample_difference(found: Verification | None) -> list[list[str]]:
    if found is None or found.source == RANDOM:
        return []
    text = (
        f"median {found.median_rel_diff:.2g}, 95 % below "
        f"{found.p95_rel_diff:.2g} x the spread of the outputs"
    )
    return [["per sample", text]]


def _agreement(found: Verification | None) -> str:
    if found is None:
        return "not verified"
    text = f"on {found.samples} {NAMES.get(found.source, found.source)}"
    if found.agreement is None:
        return f"no classes, {text}"
    return f"{found.agreement:.1%} {text}"


def _latency(latency: Latency | None) -> str:
    if latency is None:
        return "not measured"
    return f"{latency.median:.3f} ms median, {latency.minimum:.3f} ms min"


def _ops(report: LitertReport) -> str:
    text = f"{sum(report.ops.values())} ops of {len(report.ops)} kinds"
    return f"{text}; {', '.join(report.flags)}" if report.flags else text


def list_tensors(tensors: Sequence[TensorInfo]) -> str:
    """Describes inputs or outputs, three at most."""
    text = "; ".join(str(info) for info in tensors[:3])
    more = "; ..." if len(tensors) > 3 else ""
    return _shorten(text + more, 150)


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
