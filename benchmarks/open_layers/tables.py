"""Markdown tables of the open layers benchmark, made from its JSON alone."""

from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import load

NAME = "open_layers"
TOLERANCE = 1e-5
EXPECTED = ("reaches the output", "Normalization", "size of the heads")
Row = dict[str, Any]


def verdict(row: Row) -> str:
    """One line on a row, for the console."""
    return " | ".join(_cells(row))


def families_table() -> str:
    """Returns one line a family and backend."""
    head = [
        "family",
        "backend",
        "sets halved",
        "parameters",
        "MACs",
        "difference (zeroing moved)",
        "widened sets, difference",
        "reload",
        "`fit`",
        "LiteRT",
        "s: graph, cut",
    ]
    lines = [
        [row["family"], row["backend"], *_cells(row)]
        for row in load(NAME)["rows"]
    ]
    return markdown(head, lines)


def _cells(row: Row) -> list[str]:
    if "failed" in row:
        return [f"failed: {row['failed']}", *[""] * 8]
    cut, widen = row["cut"], row["widen"]
    if "error" in cut:
        return [f"raised {cut['error'][:80]}", *[""] * 8]
    if not cut["sets"]:
        return ["none", *[""] * 8]
    sets = ", ".join(f"{n} {kind}" for kind, n in cut["kinds"].items())
    return [
        sets,
        _pair(cut["params"]),
        _pair(cut["macs"]),
        f"{cut['difference']:.0e} ({cut['moved']:.1f})",
        _widened(widen),
        _both(cut, widen, _reload),
        _both(cut, widen, _fit),
        _litert(row.get("litert")),
        f"{cut['graph_seconds']:.1f}, {cut['edit_seconds']:.1f}",
    ]


def _pair(values: list[Any]) -> str:
    before, after = values
    if not before or after is None:
        return "not counted"
    return f"{before:,} → {after:,} (-{1 - after / before:.0%})"


def _widened(widen: Row) -> str:
    if "error" in widen:
        return f"raised {widen['error'][:60]}"
    return f"{widen['sets']}, {widen['difference']:.0e}"


def _both(cut: Row, widen: Row, cell: Callable[[Row], str]) -> str:
    one, two = cell(cut), cell(widen)
    return one if one == two else f"{one}; widened: {two}"


def _reload(part: Row) -> str:
    found = part.get("reload", {"error": part.get("error", "")})
    if "error" in found:
        return found["error"].split(":")[0]
    if found["difference"]:
        return f"off by {found['difference']:.0e}"
    return "exact" if found["iterations"] else "exact, optimizer lost"


def _fit(part: Row) -> str:
    found = part.get("fit", {"error": part.get("error", "")})
    if "error" in found:
        return found["error"].split(":")[0]
    if found["still"]:
        return f"{len(found['still'])} stand still"
    return "all move" if part["slots"] else "slots differ"


def _litert(found: Row | None) -> str:
    if found is None:
        return ""
    if "error" not in found:
        return "yes"
    return "no" if found["before"] != "exported" else "no, before yes"


def checks_note() -> str:
    """Returns how many rows passed each check."""
    rows = [r for r in load(NAME)["rows"] if r.get("cut", {}).get("sets")]
    rows = [r for r in rows if "error" not in r["cut"]]
    parts = [r[name] for r in rows for name in ("cut", "widen")]
    checks = [
        (
            "difference to zeroed units at most 1e-5",
            [r["cut"]["difference"] <= TOLERANCE for r in rows],
        ),
        (
            "zeroing moved the outputs by 0.1 or more",
            [r["cut"]["moved"] >= 0.1 for r in rows],
        ),
        (
            "30 % fewer parameters",
            [
                r["cut"]["params"][1] <= 0.7 * r["cut"]["params"][0]
                for r in rows
            ],
        ),
        (
            "widened: difference at most 1e-5",
            [r["widen"].get("difference", 1) <= TOLERANCE for r in rows],
        ),
        (
            "reloaded: difference 0, optimizer restored",
            [_reload(p) == "exact" for p in parts],
        ),
        (
            "a `fit` step moves what it moved before",
            [_fit(p) == "all move" for p in parts],
        ),
    ]
    body = [[text, f"{sum(met)} of {len(met)}"] for text, met in checks]
    return markdown(["check", "rows"], body)


def refused_table() -> str:
    """Returns what stays as it is in each family, by reason."""
    lines, seen = [], set()
    for row in load(NAME)["rows"]:
        for path, reason in row.get("cut", {}).get("refused", []):
            if any(text in reason for text in EXPECTED):
                continue
            line = (row["family"], path, reason)
            if line not in seen:
                seen.add(line)
                lines.append(list(line))
    return markdown(["family", "layer", "reason"], lines)


TABLES: dict[str, Callable[[], str]] = {
    "open layers": families_table,
    "open layers checks": checks_note,
    "open layers refused": refused_table,
}
