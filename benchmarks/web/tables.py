"""Markdown tables of the browser benchmark, made from its JSON alone."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.pruning.tables import markdown
from benchmarks.records import load

NAME = "web"
Row = dict[str, Any]


def files_table() -> str:
    """Returns one line per file that runs."""
    head = [
        "file",
        "bytes",
        "gzip bytes",
        "largest difference",
        "browser, ms",
        "Python, ms",
        "browser / Python",
    ]
    rows = [row for row in load(NAME)["rows"] if not row["refused"]]
    return markdown(head, [_cells(row) for row in rows if row["bytes"]])


def refused_table() -> str:
    """Returns one line per file that the runtime refuses."""
    rows = [row for row in load(NAME)["rows"] if row["refused"]]
    lines = [
        [row["file"], row["stage"], row["error"].split(" at ")[0]]
        for row in rows
    ]
    return markdown(["file", "refused at", "message of LiteRT.js"], lines)


def versions_table() -> str:
    """Returns what was run."""
    content = load(NAME)
    run = content["runs"][-1]
    rows = content["rows"]
    loaded = statistics.median(rows[0]["runtime_ms"])
    lines = [
        ["date", run["date"][:10]],
        ["LiteRT.js", content["settings"]["litertjs"]],
        ["Chromium", content["settings"]["chromium"]],
        ["node", content["settings"]["node"]],
        ["ai-edge-litert", run["environment"]["ai-edge-litert"]],
        ["processor", run["environment"]["processor"]],
        ["time to load LiteRT.js", f"{loaded:.0f} ms"],
    ]
    return markdown(["what", "value"], lines)


def _cells(row: Row) -> list[str]:
    times = row["browser_ms"], row["python_ms"]
    fastest = [min(one) if one else None for one in times]
    both = all(fastest)
    exits = row["exits"]
    name = row["file"]
    if exits:
        taken = " and ".join(str(count or 0) for count in exits)
        name += f" ({taken} samples leave at the exits)"
    return [
        name,
        f"{row['bytes']:,}",
        f"{row['gzip']:,}" if row["gzip"] else "-",
        f"{row['difference']:.1e}" if row["difference"] else "0",
        *(f"{one:.3f}" if one else "-" for one in fastest),
        f"{fastest[0] / fastest[1]:.1f}" if both else "-",  # type: ignore[operator]
    ]


TABLES: dict[str, Callable[[], str]] = {
    "web files": files_table,
    "web refused": refused_table,
    "web versions": versions_table,
}
