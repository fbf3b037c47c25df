"""Markdown tables of the verification benchmark, made from its JSON alone."""

from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import load

NAME = "litert_verification"
Row = dict[str, Any]


def cells(row: Row) -> list[str]:
    """Returns the cells of one export."""
    gap = 100 * abs(row["reported"] - row["held_out"])
    said = "refused" if row["refused"] else "exported"
    if not row["refused"] and row["warnings"]:
        said = f"{len(row['warnings'])} warning" + "s" * (
            len(row["warnings"]) > 1
        )
    return [
        row["model"],
        row["mode"],
        f"{row['reported']:.4f} ({row['samples']:,})",
        f"{row['held_out']:.4f} ({row['held_out_samples']:,})",
        f"{gap:.2f}",
        f"{row['first_reported']:.4f}, {row['first_held_out']:.4f}",
        f"{row['median']:.2g}, {row['p95']:.2g}",
        said,
    ]


def exports_table() -> str:
    """Returns one line per export."""
    head = [
        "model",
        "`quantize`",
        "same class, report (samples)",
        "same class, held out (samples)",
        "points apart",
        "first 256 given: report, held out",
        "difference / spread: median, 95 %",
        "outcome",
    ]
    return markdown(head, [cells(row) for row in load(NAME)["rows"]])


def summary_table() -> str:
    """Returns how far the reports are from the truth."""
    rows = load(NAME)["rows"]
    head = ["`calibration_data`", "within 2 points", "largest distance, points"]
    lines = []
    for text, reported, true in (
        ("all samples, sorted by class", "reported", "held_out"),
        ("the first 256 of them", "first_reported", "first_held_out"),
    ):
        gaps = [100 * abs(row[reported] - row[true]) for row in rows]
        within = sum(gap <= 2 for gap in gaps)
        lines.append([text, f"{within} of {len(rows)}", f"{max(gaps):.2f}"])
    return markdown(head, lines)


TABLES: dict[str, Callable[[], str]] = {
    "litert verification": exports_table,
    "litert verification summary": summary_table,
}
