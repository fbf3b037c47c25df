"""The report of an export with early exits."""

from dataclasses import dataclass
from typing import Any

from keras_netopt.depth.exits.exit_calibration import (
    ExitCalibration,
    format_percent,
)
from keras_netopt.export.litert_report import LitertReport
from keras_netopt.report import Report
from keras_netopt.tables import render


@dataclass(frozen=True)
class ExitExport(Report):
    """Exported files, their accuracy and their latency by exit.

    Args:
        path: The folder, or the single file.
        reports: The report of `export.to_litert` for each file.
        calibration: The thresholds in the files; those of quantized files
            are calibrated on the predictions of the files.
        exit_names: Names of the exits.
        latency_ms: Median latency up to each exit, in milliseconds on one
            thread; `None` if no sample took the exit.
        full_ms: The same for a file of the model without exits, of the same
            kind and timed in the same loop.
        float_accuracy: Accuracy of the Keras model with its thresholds on the
            calibration samples; `None` without samples.
        accuracy: Accuracy of the files with their thresholds, likewise.
        checked: Number of samples on which files and Keras were compared.
        branches: The exits that one of these samples took.
    """

    path: str
    reports: tuple[LitertReport, ...]
    calibration: ExitCalibration
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
        """Mean latency in milliseconds at the calibrated exit fractions."""
        shares = self.calibration.point.fractions
        return sum(
            share * latency
            for share, latency in zip(shares, self.latency_ms, strict=True)
            if share and latency is not None
        )

    @property
    def speedup(self) -> float:
        """Latency without exits divided by the mean latency with exits."""
        return self.full_ms / self.expected_ms

    @property
    def flags(self) -> tuple[str, ...]:
        """Features that not every runtime supports, such as IF."""
        return tuple(sorted({f for r in self.reports for f in r.flags}))

    def to_dict(self) -> dict[str, Any]:
        """Returns fields and derived numbers as JSON-safe values."""
        return {
            **super().to_dict(),
            "bytes": self.bytes,
            "expected_ms": self.expected_ms,
            "speedup": self.speedup,
        }

    def __str__(self) -> str:
        shares = self.calibration.point.fractions
        rows = [
            [name, format_percent(share), _format_ms(latency)]
            for name, share, latency in zip(
                self.exit_names, shares, self.latency_ms, strict=True
            )
        ]
        rows.append(["expected", "100.0 %", _format_ms(self.expected_ms)])
        rows.append(["without exits", "", _format_ms(self.full_ms)])
        title = (
            f"{self.path}: {self.bytes:,} bytes, "
            f"{self.speedup:.2f} times faster than without exits"
        )
        headers = ["exit", "exit fraction", "ms"]
        table = render(headers, rows, title=title, align="lrr")
        return "\n".join([table, *self._notes()])

    def _notes(self) -> list[str]:
        lines = [
            f"Verified on {self.checked} samples, which took the exits "
            f"{', '.join(self.branches)}."
        ]
        if self.accuracy is not None and self.float_accuracy is not None:
            lines.append(
                f"Accuracy {self.accuracy:.4f} in the files, "
                f"{self.float_accuracy:.4f} in Keras."
            )
        missing = [n for n in self.exit_names if n not in self.branches]
        if missing:
            lines.append(f"No sample took {', '.join(missing)}.")
        return lines


def _format_ms(latency: float | None) -> str:
    return "-" if latency is None else f"{latency:.3f}"
