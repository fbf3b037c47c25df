"""The table of components and distributions, made from its JSON alone."""

from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import load

NAME = "distribution"
KINDS = ("Mirrored 2", "MultiWorker 2", "DataParallel 4", "ModelParallel 2")
Row = dict[str, Any]


def differences_table() -> str:
    """Returns a line per component, with the largest differences."""
    rows = load(NAME)["rows"]
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
    reasons = _reasons(load(NAME)["rows"])
    return markdown(
        ["", "error"],
        [[str(number), text] for text, number in reasons.items()],
    )


def _reasons(rows: list[Row]) -> dict[str, int]:
    texts = [_reason(row) for row in rows if "difference" not in row]
    return {text: i for i, text in enumerate(dict.fromkeys(texts), 1)}


def _reason(row: Row) -> str:
    text = row.get("refused") or row.get("failed") or ""
    line = " ".join(text.split()).replace("|", "/")
    return line if len(line) <= 300 else f"{line[:297]}..."


def _cell(row: Row | None, reasons: dict[str, int]) -> str:
    if row is None:
        return "not run"
    if "difference" in row:
        return f"{row['difference']:.1e}"
    word = "refused" if "refused" in row else "failed"
    return f"{word} ({reasons[_reason(row)]})"


TABLES: dict[str, Callable[[], str]] = {
    "distribution differences": differences_table,
    "distribution reasons": reasons_table,
}
