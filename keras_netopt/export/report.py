"""The honest report of one exported file."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from keras_netopt.cost.interpreter import TensorInfo
from keras_netopt.cost.latency import Latency
from keras_netopt.export.verify import Verification
from keras_netopt.tables import render

FLAGGED_OPS = ("DENSIFY", "IF", "WHILE")


@dataclass(frozen=True)
class FileSize:
    """The size of a file in bytes.

    Example:

    >>> FileSize(raw=1000, gzip=250).gzip
    250

    Args:
        raw: As it lies on the disk and in a device's memory.
        gzip: Compressed at level 9, as a download.
    """

    raw: int
    gzip: int


@dataclass(frozen=True)
class LitertReport:
    """What `to_litert` wrote, how big, how exact and how fast it is.

    Example:

    >>> size = FileSize(raw=1000, gzip=250)
    >>> report = LitertReport("m.tflite", None, False, size, size)
    >>> report.raw_ratio, report.needs_flex
    (1.0, False)

    Args:
        path: Where the file lies.
        quantize: How its numbers are stored; `None` is float32.
        sparse: Whether zeros are stored in a sparse format.
        size: The size of the file.
        float_size: The size of the plain float file of the same model.
        verification: How far it is from the Keras model, or `None` for a
            file that only the Flex delegate can run.
        latency: Time of one call with a batch of 1 (or the fixed batch) on
            one thread, or `None` likewise.
        ops: How often each operator occurs.
        inputs: Names, shapes and dtypes of the inputs.
        outputs: Names, shapes and dtypes of the outputs.
        notes: What was decided for the user.
        warnings: What the user should look at.
    """

    path: str
    quantize: str | None
    sparse: bool
    size: FileSize
    float_size: FileSize
    verification: Verification | None = None
    latency: Latency | None = None
    ops: dict[str, int] = dataclasses.field(default_factory=dict)
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

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
        """Largest difference to the Keras model, if the file could run."""
        if self.verification is None:
            return None
        return self.verification.max_abs_diff

    @property
    def needs_flex(self) -> bool:
        """Whether the device must bring TensorFlow's Flex delegate."""
        return any(name.startswith("Flex") for name in self.ops)

    @property
    def flags(self) -> tuple[str, ...]:
        """What not every runtime can do: Flex, DENSIFY, IF, WHILE."""
        flex = ("Flex",) if self.needs_flex else ()
        return flex + tuple(op for op in FLAGGED_OPS if op in self.ops)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report in types that JSON knows."""
        content = dataclasses.asdict(self)
        for side in ("inputs", "outputs"):
            content[side] = [
                {**entry, "shape": list(entry["shape"])}
                for entry in content[side]
            ]
        content["notes"] = list(self.notes)
        content["warnings"] = list(self.warnings)
        content["flags"] = list(self.flags)
        content["raw_ratio"] = self.raw_ratio
        content["gzip_ratio"] = self.gzip_ratio
        return content

    def __str__(self) -> str:
        rows = [
            ["stored as", _kind(self)],
            ["raw bytes", f"{self.size.raw:,} ({self.raw_ratio:.2f} x float)"],
            [
                "gzip bytes",
                f"{self.size.gzip:,} ({self.gzip_ratio:.2f} x float)",
            ],
            ["difference", _difference(self.verification)],
            ["latency", _latency(self.latency)],
            ["ops", _ops(self)],
            ["io", _io(self)],
        ]
        said = [*self.warnings, *self.notes]
        if said:
            rows.append(["note", _shorten("; ".join(said), 150)])
        return render(["LiteRT file", _shorten(self.path, 70)], rows)


def _kind(report: LitertReport) -> str:
    kind = report.quantize or "float32"
    return f"{kind}, sparse" if report.sparse else kind


def _difference(found: Verification | None) -> str:
    if found is None:
        return "not verified"
    text = f"{found.max_abs_diff:.2g} (relative {found.max_rel_diff:.2g})"
    if found.agreement is not None:
        text += f", same class {found.agreement:.0%}"
    return f"{text} on {found.samples} samples"


def _latency(latency: Latency | None) -> str:
    if latency is None:
        return "not measured"
    return f"{latency.median:.3f} ms median, {latency.minimum:.3f} ms min"


def _ops(report: LitertReport) -> str:
    text = f"{sum(report.ops.values())} ops of {len(report.ops)} kinds"
    return f"{text}; {', '.join(report.flags)}" if report.flags else text


def _io(report: LitertReport) -> str:
    sides = [report.inputs, report.outputs]
    text = [", ".join(_tensor(t) for t in side[:3]) for side in sides]
    return _shorten(" -> ".join(text), 75)


def _tensor(info: TensorInfo) -> str:
    shape = ",".join("?" if axis is None else str(axis) for axis in info.shape)
    return f"{info.name} {info.dtype}[{shape}]"


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
