"""The table of components and distributions, made from its JSON alone."""

from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import RESULTS, load

NAME = "distribution"
KINDS = ("Mirrored 2", "MultiWorker 2", "DataParallel 4", "ModelParallel 2")
Row = dict[str, Any]


def differences_table() -> str:
    """Returns a line per component, with the largest differences."""
    rows = _rows()
    if not rows:
        return "Not measured yet."
    names = list(dict.fromkeys(row["piece"] for row in rows))
    held = {(row["piece"], row["kind"]): row for row in rows}
    reasons = _reasons(rows)
    lines = [
        [name, *(_cell(held.get((name, kind)), reasons) for kind in KINDS)]
        for name in names
    ]
    return markdown(["component", *KINDS], lines)


def reasons_table() -> str:
    """Returns the errors that the first table numbers."""
    reasons = _reasons(_rows())
    if not reasons:
        return "None." if _rows() else "Not measured yet."
    return markdown(
        ["", "error"],
        [[str(number), text] for text, number in reasons.items()],
    )


def _rows() -> list[Row]:
    path = RESULTS / f"{NAME}.json"
    rows: list[Row] = load(NAME)["rows"] if path.exists() else []
    return rows


def _reasons(rows: list[Row]) -> dict[str, int]:
    texts = [_reason(row) for row in rows if _has_error(row)]
    return {text: i for i, text in enumerate(dict.fromkeys(texts), 1)}


def _has_error(row: Row) -> bool:
    return "refused" in row or "failed" in row


def _reason(row: Row) -> str:
    text = row.get("refused") or row.get("failed") or ""
    line = " ".join(text.split()).replace("|", "/")
    return line if len(line) <= 300 else f"{line[:297]}..."


def _cell(row: Row | None, reasons: dict[str, int]) -> str:
    if row is not None and "difference" in row:
        return f"{row['difference']:.1e}"
    if row is None or not _has_error(row):
        return "not run"
    word = "refused" if "refused" in row else "failed"
    return f"{word} ({reasons[_reason(row)]})"


TABLES: dict[str, Callable[[], str]] = {
    "distribution differences": differences_table,
    "distribution reasons": reasons_table,
}
