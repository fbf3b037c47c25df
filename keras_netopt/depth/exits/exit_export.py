"""LiteRT files of a network that leaves early."""

import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_netopt.depth.exits.stage_files import write_folder
from keras_netopt.depth.exits.switch_file import write_switch
from keras_netopt.export.exportable_model import check_backend, check_path
from keras_netopt.export.quantization_mode import MODES
from keras_netopt.tables import render

if TYPE_CHECKING:
    from keras_netopt.depth.exits.calibrated_exits import CalibratedExits
    from keras_netopt.depth.exits.exit_state import ExitState
    from keras_netopt.export.litert_report import LitertReport

SINGLE_MODES = (None, "dynamic")


@dataclass(frozen=True)
class ExitExport:
    """What was written, how exact it is and how fast by exit.

    Args:
        path: The folder, or the single file.
        reports: What `export.to_litert` says of each file.
        state: The thresholds in the files; those of quantized files were
            found again on the files' own answers.
        exit_names: The exits.
        latency_ms: Median milliseconds of a sample that leaves at each exit,
            on one thread; `None` where no sample did.
        full_ms: The same for a file of the model without exits, of the same
            kind, timed in the same loop.
        float_accuracy: Accuracy of the Keras model with its thresholds, on
            the calibration samples; `None` where there are none.
        accuracy: Accuracy of the files with theirs, likewise.
        checked: Samples on which files and decisions were compared.
        branches: The exits at which one of these left.
    """

    path: str
    reports: "tuple[LitertReport, ...]"
    state: "ExitState"
    exit_names: tuple[str, ...]
    latency_ms: tuple[float | None, ...]
    full_ms: float
    float_accuracy: float | None
    accuracy: float | None
    checked: int
    branches: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Bytes of all LiteRT files."""
        return sum(report.size.raw for report in self.reports)

    @property
    def expected_ms(self) -> float:
        """Mean latency at the shares of the calibration."""
        shares = self.state.point.fractions
        return sum(
            share * taken
            for share, taken in zip(shares, self.latency_ms, strict=True)
            if share and taken is not None
        )

    @property
    def speedup(self) -> float:
        """How many times faster than without exits, on the mean."""
        return self.full_ms / self.expected_ms

    @property
    def flags(self) -> tuple[str, ...]:
        """What not every runtime can do, as IF."""
        return tuple(sorted({f for r in self.reports for f in r.flags}))

    def to_dict(self) -> dict[str, Any]:
        """Returns the report in types that JSON knows."""
        return {
            **{
                field.name: getattr(self, field.name)
                for field in dataclasses.fields(self)
                if field.name not in ("reports", "state")
            },
            "bytes": self.bytes,
            "expected_ms": self.expected_ms,
            "speedup": self.speedup,
            "reports": [report.to_dict() for report in self.reports],
            "thresholds": self.state.to_dict(),
        }

    def __str__(self) -> str:
        shares = self.state.point.fractions
        rows = [
            [name, f"{100 * share:.1f} %", _milliseconds(taken)]
            for name, share, taken in zip(
                self.exit_names, shares, self.latency_ms, strict=True
            )
        ]
        rows.append(["expected", "100.0 %", f"{self.expected_ms:.3f}"])
        rows.append(["without exits", "", f"{self.full_ms:.3f}"])
        title = (
            f"{self.path}: {self.bytes:,} bytes, "
            f"{self.speedup:.2f} times faster"
        )
        table = render(
            ["exit", "leave here", "ms"], rows, title=title, align="lrr"
        )
        return "\n".join([table, *self._said()])

    def _said(self) -> list[str]:
        lines = [
            f"Checked on {self.checked} samples that left at "
            f"{', '.join(self.branches)}."
        ]
        if self.accuracy is not None and self.float_accuracy is not None:
            lines.append(
                f"Accuracy {self.accuracy:.4f} in the files, "
                f"{self.float_accuracy:.4f} in Keras."
            )
        missing = [n for n in self.exit_names if n not in self.branches]
        if missing:
            lines.append(f"No sample left at {', '.join(missing)}.")
        return lines


def _milliseconds(taken: float | None) -> str:
    return "-" if taken is None else f"{taken:.3f}"


def export_exits(
    exits: "CalibratedExits",
    path: str | os.PathLike[str],
    *,
    single_file: bool = False,
    quantize: str | None = None,
    calibration_data: Any = None,
    data: tuple[Any, Any] | None = None,
) -> ExitExport:
    """Writes calibrated exits as LiteRT files, runs and compares them.

    The folder route writes one file a stage, `thresholds.json` and
    `runner.py`, which needs numpy and the interpreter alone and runs every
    kind of file. The single file holds one branch (IF) for each exit, for a
    batch of 1. Needs the TensorFlow backend.

    Args:
        exits: What `depth.calibrate` returned.
        path: The folder, made where it is missing; a `.tflite` path for a
            single file.
        single_file: Whether to write one file. Defaults to `False`.
        quantize: As in `export.to_litert`; a single file takes "dynamic"
            alone. Thresholds of quantized files are found again, on their
            own answers. Defaults to `None`.
        calibration_data: Real inputs to calibrate and verify on. Defaults
            to `None`: the calibration samples.
        data: Samples and classes, held out, where thresholds were loaded.
            Defaults to `None`: the calibration samples.

    Returns:
        The report; `print` it.

    Raises:
        ExportError: If a file does not run or decides otherwise than Keras.
        ValueError: If an argument is out of range, the backend is not
            TensorFlow, or quantized files come without samples.
    """
    check_backend()
    samples = exits.data if data is None else data
    if quantize is not None and quantize not in MODES:
        known = ", ".join(repr(name) for name in MODES)
        raise ValueError(
            f"Argument `quantize` must be None or one of {known}. "
            f"Received: quantize={quantize!r}"
        )
    if quantize is not None and samples is None:
        raise ValueError(
            "Argument `data` must be given for quantized files, whose "
            "thresholds are found again on their own answers. Received: "
            "data=None. Pass (x, y) held out from training"
        )
    if not single_file:
        return write_folder(
            exits, os.fspath(path), quantize, calibration_data, samples
        )
    if quantize not in SINGLE_MODES:
        raise ValueError(
            "Argument `quantize` must be None or 'dynamic' for a single "
            "file: full integers leave the branches in float (measured: "
            "9.49 MB, where the same net without branches takes 3.23 MB). "
            f"Received: quantize={quantize!r}. Export the stages as files of "
            "their own, with `single_file=False`"
        )
    return write_switch(
        exits, check_path(path), quantize, calibration_data, samples
    )
